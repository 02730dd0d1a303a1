"""Files of a tape: what frozen networks said of every frame of an epoch, one file per epoch and worker."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from trainers.runtime import distributed
from trainers.runtime.conditions import Conditions
from trainers.runtime.files import replacing
from trainers.runtime.open_files import RandomFile
from trainers.stage import MachineError

INDEX = "tape.json"
STORED: Mapping[str, tuple[str, torch.dtype, torch.dtype]] = {
    "float32": ("<f4", torch.float32, torch.float32),
    "bfloat16": ("<i2", torch.int16, torch.bfloat16),
}
"""NumPy's type of stored numbers, torch's type of the same bytes, and the type of the numbers: all bits are kept."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a tape holds of a frame.

    Attributes:
        num_views: rows of numbers, one for each view.
        width: C, numbers in a row.
        precision: of the numbers, as the network gives them: `float32` or `bfloat16`.
    """

    num_views: int
    width: int
    precision: str

    @property
    def record(self) -> np.dtype[Any]:
        """NumPy's type of what is stored of a frame: which frame it is, and the numbers."""
        return np.dtype([("frame", "<i8"), ("said", STORED[self.precision][0], (self.num_views, self.width))])


@dataclass(frozen=True, kw_only=True)
class Index:
    """Description of a whole tape.

    Attributes:
        layout: of every frame.
        conditions: under which it was recorded.
        epochs: that it holds.
        steps: of every epoch.
        batch_size: frames of every step in the file of one worker.
    """

    layout: Layout
    conditions: Conditions
    epochs: int
    steps: int
    batch_size: int

    def write(self, folder: Path) -> None:
        """Writes it into the folder of the tape, once all epochs are there."""
        with replacing(folder / INDEX) as path:
            path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")


def read_index(folder: Path) -> Index:
    """The description of a tape."""
    stored = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    layout, conditions = Layout(**stored.pop("layout")), Conditions(**stored.pop("conditions"))
    return Index(layout=layout, conditions=conditions, **stored)


@contextmanager
def recording(folder: Path, epoch: int) -> Iterator[BinaryIO]:
    """A block that writes this worker's file of an epoch (0-based), which appears when it is whole."""
    with replacing(_file(folder, epoch)) as path, path.open("wb") as file:
        yield file
        file.flush()


def write_batch(file: BinaryIO, layout: Layout, frame_ids: Tensor, said: Sequence[Tensor]) -> None:
    """Adds a batch to a file: N frames, and the numbers of each of their views, N×C."""
    records = np.empty(len(frame_ids), layout.record)
    records["frame"] = frame_ids.cpu().numpy()
    for view, numbers in enumerate(said):
        records["said"][:, view] = numbers.cpu().contiguous().view(STORED[layout.precision][1]).numpy()
    file.write(records.tobytes())


def num_recorded(folder: Path, epochs: int, device: torch.device) -> int:
    """The number of epochs, from the first on, that all workers have recorded."""
    own = next((epoch for epoch in range(epochs) if not _file(folder, epoch).exists()), epochs)
    return int(distributed.all_gather(torch.tensor([own], device=device)).min())


def remove_other_files(folder: Path) -> None:
    """Removes what an interrupted run on another number of workers has left."""
    for path in folder.glob("*.tape"):
        if not path.name.endswith(_ending()):
            path.unlink()


class TapeReader:
    """Reads this worker's part of a tape, one batch after the other; an epoch's file is open while it is read.

    Attributes:
        index: description of the tape.
    """

    def __init__(self, folder: Path) -> None:
        self.index = read_index(folder)
        self._folder = folder
        self._open: tuple[int, RandomFile] | None = None

    def batch(self, epoch: int, step: int) -> tuple[Tensor, list[Tensor]]:
        """A step (0-based) of an epoch (0-based): which frames, N, and the numbers of each of their views, N×C.

        Raises:
            MachineError: the tape is not there any more, or is too short.
        """
        layout, count = self.index.layout, self.index.batch_size
        length = count * layout.record.itemsize
        data = self._file_of(epoch).read(length, step * length)
        if len(data) < length:
            raise self._fault("ends too early")
        records = np.frombuffer(data, layout.record)
        _, stored, dtype = STORED[layout.precision]
        said = [torch.from_numpy(records["said"][:, view].copy()) for view in range(layout.num_views)]
        return torch.from_numpy(records["frame"].copy()), [numbers.view(stored).view(dtype) for numbers in said]

    def close(self) -> None:
        """Closes the file that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _file_of(self, epoch: int) -> RandomFile:
        if self._open is None or self._open[0] != epoch:
            self.close()
            try:
                self._open = (epoch, RandomFile(_file(self._folder, epoch)))
            except OSError as error:
                raise self._fault(f"cannot be read ({error.strerror})") from error
        return self._open[1]

    def _fault(self, fault: str) -> MachineError:
        return MachineError(
            f"the tape {self._folder} {fault}: type the same command again: it goes on without, or records it again."
        )


def _file(folder: Path, epoch: int) -> Path:
    """This worker's file of an epoch."""
    return folder / f"epoch-{epoch + 1:04}{_ending()}"


def _ending() -> str:
    return f".{distributed.rank() + 1}-of-{distributed.world_size()}.tape"
