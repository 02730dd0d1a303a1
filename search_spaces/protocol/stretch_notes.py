"""Notes of a plan and a report on black or frozen stretches of videos that pre-training leaves out."""

from collections.abc import Iterable

from search_spaces.protocol.conditions import Conditions
from study import Trial
from study.core.graph import walk
from trainers.data.ingest.timeline import NOMINAL_FPS
from trainers.ssl.pretrain import Pretrain


def stretch_notes(conditions: Conditions, trials: Iterable[Trial]) -> tuple[str, ...]:
    """A sentence on what any of the trials leaves out."""
    stages = walk(*(trial.stage for trial in trials)).values()
    found = {
        (stage.frames[each.source], each) for stage in stages if isinstance(stage, Pretrain) for each in stage.left_out
    }
    if not found:
        return ()
    minutes = sum(each.stop - each.start for _, each in found) / NOMINAL_FPS / 60
    num_videos = len({source for source, _ in found})
    return (
        f"Pre-training leaves out {minutes:.1f} minutes of black or frozen frames in {num_videos} "
        f"video{'s' if num_videos > 1 else ''}; `--set stretches=kept` keeps them.",
    )
