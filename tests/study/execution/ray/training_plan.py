"""A pre-training on frames that its input stage paints; in workers of Ray Train it is slow enough to be killed."""

import time
from dataclasses import dataclass, fields, replace

from tests.trainers.tiny import BACKBONE, BATCH, EMBEDDING, SIZE_PX, Recording, write_recording
from trainers.data.augmentation import MoCoAugmentation
from trainers.ssl.loop import Optimisation
from trainers.ssl.moco import MoCo
from trainers.ssl.pretrain import Pretrain
from trainers.stage import EpochEnd, Report, Work

EPOCHS = 20
EPOCH_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Painted(Recording):
    """A recording that paints itself."""

    def run(self, work: Work) -> None:
        _, folder = write_recording(work.output / "painted", [0, 1, 2, 1] * 8)
        for path in folder.iterdir():
            path.rename(work.output / path.name)
        folder.rmdir()


@dataclass(frozen=True, kw_only=True)
class Unhurried(Pretrain):
    """A pre-training that waits after every epoch."""

    def _train(self, work: Work) -> None:
        def wait(report: Report) -> None:
            work.listener(report)
            if isinstance(report, EpochEnd):
                time.sleep(EPOCH_SECONDS)

        super()._train(replace(work, listener=wait))

    def hurried(self) -> Pretrain:
        """The same without waiting."""
        return Pretrain(**{field.name: getattr(self, field.name) for field in fields(self)})


def pretraining() -> Unhurried:
    return Unhurried(
        frames=(Painted(),),
        method=MoCo(temperature=0.2, queue_size=2 * BATCH, momentum=0.9, embedding_size=EMBEDDING),
        backbone=BACKBONE,
        augmentation=MoCoAugmentation(size_px=SIZE_PX),
        optimisation=Optimisation(epochs=EPOCHS, batch_size=BATCH, learning_rate=1e-4),
        seed=5,
    )
