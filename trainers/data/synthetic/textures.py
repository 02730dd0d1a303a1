"""Textures of drawn images by the names of their kinds: fields N×N, float32, from 0 to 1."""

from collections.abc import Callable

import numpy as np

from trainers.data.synthetic.regular_textures import REGULAR
from trainers.data.synthetic.scattered_textures import SCATTERED
from trainers.data.synthetic.smooth_textures import SMOOTH

Field = Callable[[np.random.Generator, int], np.ndarray]

TEXTURES: dict[str, Field] = {**SMOOTH, **REGULAR, **SCATTERED}


def textured(name: str, generator: np.random.Generator, size: int) -> np.ndarray:
    """A field of a kind, N×N, float32."""
    field: np.ndarray = TEXTURES[name](generator, size).astype(np.float32, copy=False)
    return field
