"""Counter-based randomness: a draw is a function of (seed, purpose, epoch or step, …), not of order or threads."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Generator

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


def torch_generator(seed: int, purpose: str, *counters: Counter) -> "Generator":
    """A CPU torch generator for one draw; arguments as in `derived_seed`."""
    import torch  # takes a second, which processes that make or read videos save

    return torch.Generator().manual_seed(derived_seed(seed, purpose, *counters))


class CounterDraws:
    """Uniform numbers for each of many things, such as every frame of an epoch.

    The arguments give the key of a Philox generator, the thing gives its counter: a draw takes a microsecond, where a
    generator of its own takes ten. Threads may draw at once.

    Args:
        seed: the trial's seed.
        purpose: name of the draw, such as "view".
        counters: which of the purpose's draws: an epoch.
    """

    def __init__(self, seed: int, purpose: str, *counters: Counter) -> None:
        self._key = derived_seed(seed, purpose, *counters)

    def numbers(self, source: str, index: int, count: int) -> list[float]:
        """The first `count` numbers from [0, 1) of one thing.

        Args:
            source: what the thing is part of: a video's digest.
            index: which of the source's things: a frame.
            count: how many; a larger count continues the same numbers.
        """
        numbers: list[float] = _philox.at(self._key, (0, index, *_words(source))).random(count).tolist()
        return numbers


class _Philox(threading.local):
    """A Philox generator of each thread, which can be put at any key and counter."""

    def __init__(self) -> None:
        self._bits = np.random.Philox(key=0)
        self._generator = np.random.Generator(self._bits)
        self._state = self._bits.state

    def at(self, key: int, counter: tuple[int, int, int, int]) -> np.random.Generator:
        self._state["state"] = {"counter": np.array(counter, np.uint64), "key": np.array((key, 0), np.uint64)}
        self._bits.state = self._state
        return self._generator


_philox = _Philox()


@lru_cache(maxsize=65_536)
def _words(source: str) -> tuple[int, int]:
    """128 bits that stand for a source."""
    digest = hashlib.blake2b(source.encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


@contextmanager
def torch_seeded(seed: int, purpose: str, *counters: Counter) -> Iterator[None]:
    """Seeds torch's global generators inside the block (initialisation, dropout) and restores them after it."""
    import torch

    unused = not torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = [] if unused else list(range(torch.cuda.device_count()))  # asking an unused GPU would start CUDA there
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derived_seed(seed, purpose, *counters))
        yield
