"""Schedule of stages on a machine: as many at a time as there is room for, each after what it reads."""

from collections.abc import Callable

import pytest

from study.core.graph import key, walk
from study.core.schedule import Room, Schedule, schedule
from tests.study.core.test_plan import STUDY, Clip, Score, Train
from trainers.stage import Resources, Stage

STAGES = walk(*(trial.stage for trial in STUDY.trials(4)))
SECONDS = {stage_key: stage.expected_seconds() for stage_key, stage in STAGES.items()}
"""Four clips of 10 s, two trainings of 100 s that read all of them, and three scores of 10 s, one of the first clip."""


def timed(room: Room, granted: Callable[[Stage], Resources] = lambda stage: Resources()) -> Schedule:
    return schedule(STAGES, SECONDS, granted, room)


@pytest.mark.parametrize(("cores", "seconds"), [(1, 270.0), (2, 140.0), (4, 120.0), (100, 120.0)])
def test_more_cores_compute_more_stages_at_a_time(cores: int, seconds: float):
    assert timed(Room(cpus=cores)).seconds == seconds


def test_one_stage_at_a_time_is_computed_where_no_more_are_wanted():
    assert timed(Room(cpus=100, at_once=1)).seconds == sum(SECONDS.values())


def test_a_stage_begins_after_those_that_it_reads():
    times = timed(Room(cpus=3))
    for stage_key, stage in STAGES.items():
        if isinstance(stage, Train):
            assert times.starts[stage_key] >= max(times.ends[key(clip)] for clip in stage.clips)


def test_a_gpu_is_shared_by_stages_that_are_granted_a_part_of_it():
    def share(gpus: float) -> Callable[[Stage], Resources]:
        return lambda stage: Resources(gpus=gpus if isinstance(stage, Train) else 0)

    assert timed(Room(cpus=8, gpus=1), share(1)).seconds == 10 + 2 * 100 + 10
    assert timed(Room(cpus=8, gpus=1), share(0.5)).seconds == 10 + 100 + 10


def test_a_stage_that_does_not_fit_is_computed_alone():
    wide = timed(Room(cpus=2), lambda stage: Resources(threads=64, workers=2))
    assert wide.seconds == sum(SECONDS.values())


def test_what_stages_hold_at_a_time_is_counted():
    times = timed(Room(cpus=2))
    of_trainings = {stage_key: 5.0 for stage_key, stage in STAGES.items() if isinstance(stage, Train)}
    assert times.most(of_trainings) == 10
    assert timed(Room(cpus=1)).most(of_trainings) == 5
    clips = {stage_key: 1.0 for stage_key, stage in STAGES.items() if isinstance(stage, Clip)}
    assert times.most(clips) == 2
    scores = {stage_key: 1.0 for stage_key, stage in STAGES.items() if isinstance(stage, Score)}
    assert times.most({**clips, **scores}, until=dict.fromkeys(STAGES, times.seconds)) == 7
