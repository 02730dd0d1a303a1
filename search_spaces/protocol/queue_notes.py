"""Notes of a plan and a report on queues that are longer than the data set."""

from collections.abc import Iterable, Iterator

from search_spaces.protocol.conditions import Conditions
from study import Trial
from study.core.graph import walk
from trainers.ssl.compress import CompRess
from trainers.ssl.method import ContrastiveConfig
from trainers.ssl.pretrain import Pretrain
from trainers.ssl.seed import SEED
from trainers.ssl.swav import SwAV


def queue_notes(conditions: Conditions, trials: Iterable[Trial]) -> tuple[str, ...]:
    """A sentence for every queue that holds more embeddings than there are frames to train on.

    The queues of a short pass, which sees few frames, are no longer than those of the study that it checks.
    """
    if conditions.brief:
        return ()
    stages = walk(*(trial.stage for trial in trials)).values()
    return tuple(dict.fromkeys(note for stage in stages if isinstance(stage, Pretrain) for note in _notes(stage)))


def _notes(stage: Pretrain) -> Iterator[str]:
    method, num_frames, epochs = stage.method, stage.num_frames, stage.optimisation.epochs
    if (
        not isinstance(method, ContrastiveConfig | CompRess | SEED | SwAV)
        or not num_frames
        or method.queue_size <= num_frames
    ):
        return
    times = f"{method.queue_size / num_frames:,.1f} times"
    what = f"every frame is {times} among its own negatives"
    if isinstance(method, SwAV):
        what = f"every frame is {times} among the earlier embeddings that share the prototypes with it"
    elif isinstance(method, CompRess | SEED):
        what = f"every frame is {times} among the frames that it is compared with"
    seen = epochs * num_frames
    until = "once the queue is full"
    if seen < method.queue_size:
        filling = "1 epoch fills" if epochs == 1 else f"{epochs} epochs fill"
        until = f"in a full queue, and {filling} {seen:,} of its places"
    yield (
        f"queue_size {method.queue_size} of {stage.kind} is more than its {num_frames:,} frames: {what} {until}. "
        "Lower queue_size, or add videos."
    )
