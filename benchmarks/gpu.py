"""Runs the benchmarks of training on whatever GPU there is, and a short study at scale `full`: 8 minutes at most.

    python -m benchmarks.gpu [--small] [--output FILE]

It needs torch, torchvision, OpenCV and PyArrow alone, and for the short study PyAV; what cannot run is said and left
out. Without a GPU it times the CPU, which takes longer.
"""

import importlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from benchmarks import measuring

BENCHMARKS = ("step", "features", "temporal", "data_path", "full_scale", "resuming")


def measure(device: torch.device, small: bool) -> dict[str, Any]:
    """Prints the table of every benchmark, and returns their figures by name."""

    def measured(name: str) -> dict[str, Any]:
        found: dict[str, Any] = importlib.import_module(f"benchmarks.{name}").measure(device, small)
        return found

    return {name: guarded(name, partial(measured, name)) for name in BENCHMARKS}


def guarded(name: str, benchmark: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    """The figures of a benchmark, or what it failed of: the others go on, for time on a lent GPU is short."""
    start = time.perf_counter()
    print(f"--- {name}", flush=True)
    try:
        figures = benchmark() or {}
    except Exception as error:
        figures = {"failed": f"{type(error).__name__}: {error}"}
        print(f"{name} failed: {figures['failed']}")
    print(f"--- {name}: {time.perf_counter() - start:.0f} s", flush=True)
    return figures


def main() -> None:
    measuring.run(measure, (__doc__ or "").splitlines()[0])


if __name__ == "__main__":
    main()
