"""Placement groups of workers whose run has died: Ray would keep them, and what they hold, until the command ends.

Ray Train removes the group of a run that ends in order, and watches over that of a run whose controller is killed, but
not where its workers had not started yet, nor where the dashboard is away. What waits for room would wait for ever.
"""

from typing import Any

import ray
from ray._private.state import state
from ray.core.generated.gcs_pb2 import PlacementGroupTableData as Table  # type: ignore[attr-defined]
from ray.util import remove_placement_group
from ray.util.placement_group import PlacementGroup

NOBODY = b"\xff"
"""Every byte of the id of an actor that there is not: the group was made by a driver or a task."""


def remove_abandoned() -> int:
    """Removes this job's placement groups whose actor has died; returns their number."""
    job = ray.get_runtime_context().get_job_id()
    groups = map(Table.FromString, state._connect_and_get_accessor().get_placement_group_table())
    abandoned = [group for group in groups if group.creator_job_id.hex() == job and _is_abandoned(group)]
    for group in abandoned:
        remove_placement_group(PlacementGroup(ray.PlacementGroupID(group.placement_group_id)))
    return len(abandoned)


def _is_abandoned(group: Any) -> bool:
    is_of_an_actor = bool(group.creator_actor_id.strip(NOBODY))
    return bool(is_of_an_actor and group.creator_actor_dead and not group.is_detached and group.state != Table.REMOVED)
