"""Check that no stage of a search reads a video that is tested."""

from collections.abc import Callable
from functools import cache

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import SplitName, is_split
from study import Trial
from study.core.graph import walk
from trainers.data.ingest.video import Ingest
from trainers.stage import InputError


def untested_check(conditions: Conditions) -> Callable[[Trial], None]:
    """A check that refuses a trial whose last stage has a tested video of its split among its inputs, at any depth.

    Objectives of this repository leave the tested videos out; those of a user's own file may forget to. Videos are
    compared by their content, at whatever size and rate they are stored.
    """

    @cache
    def tested(split: SplitName | None) -> frozenset[str]:
        return frozenset(video.video_digest for video in conditions.videos(split).test)

    def check(trial: Trial) -> None:
        split = trial.parameters.get("split")
        digests = tested(split if is_split(split) else None)
        for stage in walk(trial.stage).values():
            if isinstance(stage, Ingest) and stage.video_digest in digests:
                raise InputError(
                    f"{stage.name} is tested, and {trial.stage.title}, which values a trial of the search, learns from "
                    "it or reads it: let last_stage of the objective return a stage before the test, and recipes leave "
                    "test videos to it."
                )

    return check
