"""Runs the benchmarks of training on whatever GPU there is, and a short study at scale `full`: 8 minutes at most.

    python -m benchmarks.gpu [--small] [--output FILE]

It needs torch, torchvision, OpenCV and PyArrow alone, and for the short study PyAV; what cannot run is said and left
out. Without a GPU it times the CPU, which takes longer.
"""

import importlib
import time
from typing import Any

import torch

from benchmarks import measuring

BENCHMARKS = ("step", "features", "temporal", "data_path", "full_scale")


def measure(device: torch.device, small: bool) -> dict[str, Any]:
    """Prints the table of every benchmark, and returns their figures by name."""
    figures: dict[str, Any] = {}
    for name in BENCHMARKS:
        start = time.perf_counter()
        print(f"--- {name}", flush=True)
        try:
            figures[name] = importlib.import_module(f"benchmarks.{name}").measure(device, small)
        except Exception as error:  # the others go on: time on a lent GPU is short
            figures[name] = {"failed": f"{type(error).__name__}: {error}"}
            print(f"{name} failed: {figures[name]['failed']}")
        print(f"--- {name}: {time.perf_counter() - start:.0f} s", flush=True)
    return figures


def main() -> None:
    measuring.run(measure, (__doc__ or "").splitlines()[0])


if __name__ == "__main__":
    main()
