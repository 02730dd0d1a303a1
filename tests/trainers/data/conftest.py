"""Tiny real videos whose every frame says which one it is."""

from collections.abc import Callable, Iterable
from pathlib import Path

import av
import numpy as np
import pytest

NUM_BITS = 12
ROWS, COLUMNS = 3, 4
BLOCK_PX = 32
DARK, LIGHT = 70, 220


def paint(index: int) -> np.ndarray:
    """A 96×128 RGB picture of an index: twelve blocks, each a bit."""
    bits = np.array([index >> bit & 1 for bit in range(NUM_BITS)]).reshape(ROWS, COLUMNS)
    blocks = np.where(bits, LIGHT, DARK).astype(np.uint8)
    return np.kron(blocks, np.ones((BLOCK_PX, BLOCK_PX), np.uint8))[..., None].repeat(3, axis=2)


def read_index(image: np.ndarray) -> int:
    """The index that a picture painted by `paint`, at any size, shows."""
    height, width = image.shape[:2]
    rows = ((np.arange(ROWS) + 0.5) * height / ROWS).astype(int)
    columns = ((np.arange(COLUMNS) + 0.5) * width / COLUMNS).astype(int)
    bits = image[np.ix_(rows, columns)].mean(axis=2).ravel() > (DARK + LIGHT) / 2
    return int(sum(1 << bit for bit in np.flatnonzero(bits)))


def encode(
    path: Path,
    indices: int | Iterable[int],
    *,
    rate: int = 25,
    margins: tuple[int, int, int, int] = (0, 0, 0, 0),
    dark: Callable[[int], bool] = lambda index: False,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Writes an mp4 whose frame at time i / rate shows i, for each of the indices."""
    left, top, right, bottom = margins
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream("libx264", rate=rate, options={"g": "12", "threads": "1", **(options or {})})
        stream.width = BLOCK_PX * COLUMNS + left + right
        stream.height = BLOCK_PX * ROWS + top + bottom
        stream.pix_fmt = "yuv420p"
        for index in range(indices) if isinstance(indices, int) else indices:
            picture = np.zeros_like(paint(index)) if dark(index) else paint(index)
            framed = np.pad(picture, ((top, bottom), (left, right), (0, 0)))
            frame = av.VideoFrame.from_ndarray(framed, format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def paint_index() -> Callable[[int], np.ndarray]:
    return paint


@pytest.fixture
def index_of() -> Callable[[np.ndarray], int]:
    return read_index


@pytest.fixture
def encode_video() -> Callable[..., Path]:
    return encode
