"""The frame store: one Arrow IPC file of JPEG bytes and labels per video, read at random by offset.

Neighbouring frames of a video are near-duplicates, so a training epoch has to visit frames in a truly random order.
Each JPEG is therefore found by its offset in the file and read with `pread`, which is several times faster than a
cold memory map and safe to share between threads.
"""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import pyarrow as pa

from trainers.fields import CountOrZero
from trainers.runtime.open_files import RandomFile
from trainers.runtime.randomness import derived_seed
from trainers.stage import Config, InputError, Stage

FILE_NAME = "frames.arrow"
UNLABELLED = -1
JPEG_QUALITY = 95
ROWS_PER_CHUNK = 1024

SCHEMA = pa.schema([("frame", pa.int32()), ("label", pa.int8()), ("jpeg", pa.binary())])
"""frame: index in the source video; label: index of the class name, or -1; jpeg: the encoded RGB frame."""


class FrameSource(Stage):
    """A stage that leaves a frame store: a video, or a set of images."""

    @property
    @abstractmethod
    def num_source_frames(self) -> int:
        """Frames of the source before sampling, for the plan; 0 where unknown."""


@dataclass(frozen=True, kw_only=True)
class LeftOut(Config):
    """Rows of a store that are left out.

    Attributes:
        source: number of the store among those that are read.
        start, stop: the column `frame` of these rows is at least `start` and below `stop`.
    """

    source: CountOrZero
    start: CountOrZero
    stop: CountOrZero


def num_left_out(left_out: Iterable[LeftOut], sample_every: int) -> int:
    """The number of sampled frames in stretches, roughly: these need not begin and end at a row."""
    return sum((each.stop - each.start) // sample_every for each in left_out)


def expected_frames(sources: Iterable[FrameSource], sample_every: int, left_out: Iterable[LeftOut]) -> float:
    """The number of sampled frames of sources without the stretches that are left out, roughly."""
    sampled = sum(source.num_source_frames for source in sources) / sample_every
    return max(sampled - num_left_out(left_out, sample_every), 0.0)


@dataclass(frozen=True)
class Frame:
    """One decoded frame before it is stored."""

    index: int
    label: int
    image: np.ndarray
    """RGB, uint8, H×W×3."""


def write_frames(folder: Path, frames: Iterable[Frame], *, source: str, label_names: Sequence[str]) -> int:
    """Encodes frames into `folder`'s store and returns their number.

    Args:
        folder: the artifact folder; a store left there by an interrupted run is replaced.
        frames: the frames, in order of their index.
        source: the content digest of what they were cut from; random draws are keyed by it.
        label_names: the names that labels index.
    """
    schema = SCHEMA.with_metadata({"source": source, "label_names": "\t".join(label_names)})
    num_frames = 0
    with pa.OSFile(str(folder / FILE_NAME), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        chunk: list[tuple[int, int, bytes]] = []
        for frame in frames:
            chunk.append((frame.index, frame.label, encode_jpeg(frame.image)))
            num_frames += 1
            if len(chunk) == ROWS_PER_CHUNK:
                writer.write_batch(_record_batch(chunk, schema))
                chunk = []
        if chunk:
            writer.write_batch(_record_batch(chunk, schema))
    return num_frames


def encode_jpeg(image: np.ndarray) -> bytes:
    """The JPEG bytes of an RGB image (H×W×3, uint8)."""
    blue_first = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return encoded.tobytes()


def decode_jpeg(data: bytes) -> np.ndarray:
    """The RGB image (H×W×3, uint8) of JPEG bytes."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert image is not None, "the frame store holds whole JPEG images"
    return image


class FrameStore:
    """The frames of one video (or of one set of images), opened for reading at random.

    Attributes:
        source: content digest of what the frames were cut from.
        label_names: the names that `labels` index.
        frames: source frame index of every row, int32.
        labels: label of every row, int8; -1 where unknown.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / FILE_NAME
        with pa.memory_map(str(path)) as file:
            base = file.read_buffer(1).address
            reader = pa.ipc.open_file(file)
            metadata = reader.schema.metadata
            self.source: str = metadata[b"source"].decode()
            self.label_names: tuple[str, ...] = tuple(metadata[b"label_names"].decode().split("\t"))
            frames, labels, offsets, lengths = [], [], [], []
            for batch in (reader.get_batch(i) for i in range(reader.num_record_batches)):
                frames.append(batch.column("frame").to_numpy().copy())
                labels.append(batch.column("label").to_numpy().copy())
                _, ends, data = batch.column("jpeg").buffers()
                bounds = np.frombuffer(ends, np.int32, batch.num_rows + 1)
                offsets.append(data.address - base + bounds[:-1].astype(np.int64))
                lengths.append(np.diff(bounds))
        self.frames = np.concatenate(frames)
        self.labels = np.concatenate(labels)
        self._offsets = np.concatenate(offsets)
        self._lengths = np.concatenate(lengths)
        self._file = RandomFile(path)

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, row: int) -> np.ndarray:
        """The RGB image (H×W×3, uint8) of a row. Threads may call it at once."""
        length = int(self._lengths[row])
        return decode_jpeg(self._file.read(length, int(self._offsets[row])))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Frames:
    """Rows of several frame stores as one sequence, in the order of the stores.

    Attributes:
        label_names: the names that `labels` index, as the first store has them.
        labels: label of every row, int8; -1 where unknown.
        frames: source frame index of every row, int32.
        video: ordinal of the store of every row, int64.

    Args:
        folders: the artifact folders of the stores; none make a sequence without rows.
        sample_every: keeps the frames whose index in the source video is a multiple of it.
        labelled_only: keeps the frames whose label is known.
        left_out: stretches of the stores that are left out.

    Raises:
        InputError: labels are asked for and the stores name them differently.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        sample_every: int = 1,
        labelled_only: bool = False,
        left_out: Sequence[LeftOut] = (),
    ) -> None:
        self._opened = (tuple(folders), sample_every, labelled_only, tuple(left_out))
        self._stores = [FrameStore(folder) for folder in folders]
        self.label_names = self._stores[0].label_names if self._stores else ()
        if labelled_only:
            self._refuse_other_names(folders)
        kept = [
            _kept_rows(store, sample_every, labelled_only, [each for each in left_out if each.source == source])
            for source, store in enumerate(self._stores)
        ]
        chosen = list(zip(self._stores, kept, strict=True))
        self._rows = np.concatenate([np.empty(0, np.int64), *kept])
        self.video = np.repeat(np.arange(len(kept)), [len(rows) for rows in kept])
        self.labels = np.concatenate([np.empty(0, np.int8), *(store.labels[rows] for store, rows in chosen)])
        self.frames = np.concatenate([np.empty(0, np.int32), *(store.frames[rows] for store, rows in chosen)])

    def __len__(self) -> int:
        return len(self._rows)

    def image(self, row: int) -> np.ndarray:
        """The RGB image (H×W×3, uint8) of a row. Threads may call it at once."""
        return self._store(row).read(int(self._rows[row]))

    def source(self, row: int) -> str:
        """The content digest of the video that a row was cut from."""
        return self._store(row).source

    def frame(self, row: int) -> int:
        """The index of a row's frame in its source video."""
        return int(self.frames[row])

    def frame_id(self, row: int) -> int:
        """63 bits that tell a row's frame from all others, the same in every run and subset."""
        return derived_seed(0, "frame", self.source(row), self.frame(row))

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process, the same rows are opened there."""
        return _reopened, self._opened

    def close(self) -> None:
        for store in self._stores:
            store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _store(self, row: int) -> FrameStore:
        return self._stores[int(self.video[row])]

    def _refuse_other_names(self, folders: Sequence[Path]) -> None:
        for folder, store in zip(folders, self._stores, strict=True):
            if store.label_names != self.label_names:
                self.close()
                raise InputError(
                    f"{folder} labels its frames with {', '.join(store.label_names)} where {folders[0]} has "
                    f"{', '.join(self.label_names)}: train on videos of one dataset at a time."
                )


def _reopened(folders: Sequence[Path], sample_every: int, labelled_only: bool, left_out: Sequence[LeftOut]) -> Frames:
    return Frames(folders, sample_every=sample_every, labelled_only=labelled_only, left_out=left_out)


def _kept_rows(store: FrameStore, sample_every: int, labelled_only: bool, left_out: Sequence[LeftOut]) -> np.ndarray:
    kept = store.frames % sample_every == 0
    for stretch in left_out:
        kept &= (store.frames < stretch.start) | (store.frames >= stretch.stop)
    if labelled_only:
        kept &= store.labels != UNLABELLED
    return np.flatnonzero(kept)


def _record_batch(rows: list[tuple[int, int, bytes]], schema: pa.Schema) -> pa.RecordBatch:
    indices, labels, images = zip(*rows, strict=True)
    columns = [pa.array(indices, pa.int32()), pa.array(labels, pa.int8()), _binary(images)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _binary(values: Sequence[bytes]) -> pa.Array:
    """The values as one array; Arrow's own way to it takes twice the memory."""
    ends = np.cumsum([0, *map(len, values)], dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(pa.binary(), len(values), buffers)
