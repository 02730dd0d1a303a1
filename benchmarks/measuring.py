"""What benchmarks of training share: the machine in words, timing in turns, tables and JSON."""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch
import torchvision

Measure = Callable[[torch.device, bool], dict[str, Any]]
Figures = Mapping[str, Any]


def chosen_device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def machine(device: torch.device) -> dict[str, Any]:
    """Device, processor and versions, for the record."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "date": time.strftime("%Y-%m-%d"),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "opencv": cv2.__version__,
            "pyarrow": pa.__version__,
            "numpy": np.__version__,
        },
    }


def milliseconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median wall time of some repeats; on a GPU, that in which it works through them one after the other."""
    if device.type == "cpu":
        return statistics.median(_seconds(work) for _ in range(repeats)) * 1e3
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
    marks[0].record()
    for mark in marks[1:]:
        work()
        mark.record()
    torch.cuda.synchronize()
    return statistics.median(before.elapsed_time(after) for before, after in pairwise(marks))


def in_turns(
    contenders: Mapping[str, Callable[[], object]], device: torch.device, *, rounds: int, repeats: int
) -> dict[str, float]:
    """Median milliseconds of each contender over some rounds, in which they take turns; the first round warms up."""
    measured = [
        {name: milliseconds(work, device, repeats) for name, work in contenders.items()} for _ in range(rounds + 1)
    ]
    return {name: statistics.median(each[name] for each in measured[1:]) for name in contenders}


def run(measure: Measure, description: str) -> None:
    """The command line of a benchmark: `--small`, `--output FILE`.

    Args:
        measure: prints a table, and returns its figures.
        description: of the benchmark.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--small", action="store_true", help="smallest sizes: seconds, for a look at whether it works")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    device = chosen_device()
    figures = {**machine(device), **measure(device, arguments.small)}
    if arguments.output:
        arguments.output.write_text(json.dumps(figures, indent=2) + "\n")


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
