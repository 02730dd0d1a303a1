"""Counter-based randomness: a draw is a function of (seed, purpose, epoch or step, …), not of order or threads."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

Counter = int | str


def derived_seed(seed: int, purpose: str, *counters: Counter) -> int:
    """The 63-bit seed of one draw.

    Args:
        seed: the trial's seed.
        purpose: name of the draw, such as "permutation" or "view".
        counters: which of the purpose's draws: an epoch, a step, a video's digest, a frame.
    """
    text = "\x1f".join([str(seed), purpose, *map(str, counters)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def numpy_generator(seed: int, purpose: str, *counters: Counter) -> np.random.Generator:
    """A NumPy generator for one draw; arguments as in `derived_seed`."""
    return np.random.Generator(np.random.Philox(key=derived_seed(seed, purpose, *counters)))


def torch_generator(seed: int, purpose: str, *counters: Counter) -> torch.Generator:
    """A CPU torch generator for one draw; arguments as in `derived_seed`."""
    return torch.Generator().manual_seed(derived_seed(seed, purpose, *counters))


@contextmanager
def torch_seeded(seed: int, purpose: str, *counters: Counter) -> Iterator[None]:
    """Seeds torch's global generators inside the block (initialisation, dropout) and restores them after it."""
    unused = not torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = [] if unused else list(range(torch.cuda.device_count()))  # asking an unused GPU would start CUDA there
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derived_seed(seed, purpose, *counters))
        yield
