"""Arrays in one file, which is read whole or not at all."""

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trainers.runtime.files import replacing

DIGEST_BYTES = 16


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays, compressed, with a digest at the end of the file."""
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **arrays)
    content = packed.getvalue()
    with replacing(path, mark=f".{os.getpid()}") as temporary:
        temporary.write_bytes(content + _digest(content))


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays that were written; None where the file is missing, cannot be read or is damaged."""
    try:
        whole = path.read_bytes()
    except OSError:
        return None
    content, digest = whole[:-DIGEST_BYTES], whole[-DIGEST_BYTES:]
    if _digest(content) != digest:
        return None
    with np.load(io.BytesIO(content)) as arrays:
        return dict(arrays)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()
