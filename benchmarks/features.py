"""Times the features of stored frames: decoding alone, the network alone, and both, in single precision and in bf16.

    python -m benchmarks.features [--small] [--output FILE]

What features cost is the slower of the two: the data path, which decodes on CPU cores, and the network. `decode share`
says how much of the time decoding alone would take.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import measuring
from trainers.data.frames import Frame, Frames, write_frames
from trainers.data.loading import plain_batches
from trainers.fields import Precision
from trainers.networks.backbones import Architecture, Backbone
from trainers.networks.features import FEATURE_BATCH, features_of, forward, frozen, network_input

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
STORED_PX = 250
MAX_THREADS = 8
"""As of a stage that has a GPU to itself."""


@dataclass(frozen=True)
class Size:
    """What is extracted: an architecture, the side of its input, and a number of frames."""

    architecture: Architecture
    size_px: int
    num_frames: int


SIZES = {
    "cuda": Size("resnet50", 224, 16 * FEATURE_BATCH),
    "cpu": Size("resnet18", 112, FEATURE_BATCH),
    "small": Size("resnet18", 64, 32),
}


@contextmanager
def stored_frames(size: Size) -> Iterator[Frames]:
    """Frames of a made-up video, stored as those of real ones are."""
    generator = np.random.default_rng(0)
    side = STORED_PX if size.size_px == 224 else size.size_px
    coarse = generator.integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    pictures = [np.kron(each, np.ones((side // 32 + 1, side // 32 + 1, 1), np.uint8))[:side, :side] for each in coarse]
    with tempfile.TemporaryDirectory() as folder:
        frames = (Frame(index, 0, pictures[index % len(pictures)]) for index in range(size.num_frames))
        write_frames(Path(folder), frames, source="drawn", label_names=["one"])
        with Frames([Path(folder)]) as opened:
            yield opened


def measure(device: torch.device, small: bool) -> dict[str, Any]:
    """Prints the table and returns its figures."""
    size = SIZES["small" if small else device.type]
    threads = min(MAX_THREADS, len(os.sched_getaffinity(0)))
    network = Backbone(architecture=size.architecture).build(seed=0).to(device).to(memory_format=torch.channels_last)
    with stored_frames(size) as frames:
        batch = next(plain_batches(frames, size.size_px, FEATURE_BATCH, threads))
        inputs = network_input(batch, device)

        def decode() -> None:
            for _ in plain_batches(frames, size.size_px, FEATURE_BATCH, threads, pin_memory=device.type == "cuda"):
                pass

        def compute(precision: Precision) -> Callable[[], object]:
            network_here = frozen(network, precision)
            return lambda: [forward(network_here, inputs, precision) for _ in range(size.num_frames // len(batch))]

        def extract(precision: Precision) -> Callable[[], object]:
            network_here = frozen(network, precision)
            return lambda: features_of(network_here, frames, size.size_px, device, threads, precision)

        contenders: dict[str, Callable[[], object]] = {"decoding alone": decode}
        contenders |= {f"network alone, {precision}": compute(precision) for precision in PRECISIONS}
        contenders |= {f"features, {precision}": extract(precision) for precision in PRECISIONS}
        seconds = {name: _seconds(work, device) for name, work in contenders.items()}
    rates = {name: size.num_frames / taken for name, taken in seconds.items()}
    print(f"{size.architecture}, {size.size_px} px, {threads} threads")
    for name, rate in rates.items():
        print(f"  {name:24s}{rate:10.0f} frames/s")
    shares = {each: seconds["decoding alone"] / seconds[f"features, {each}"] for each in PRECISIONS}
    print("  " + ", ".join(f"decode share in {each} {share:.0%}" for each, share in shares.items()))
    return {
        "benchmark": "features",
        "architecture": size.architecture,
        "size_px": size.size_px,
        "threads": threads,
        "frames_per_second": rates,
        "decode_share": shares,
        "bf16_over_fp32": rates["features, bf16"] / rates["features, fp32"],
    }


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the second of two calls; the first one warms up."""
    taken = 0.0
    for _ in range(2):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken = time.perf_counter() - start
    return taken


def main() -> None:
    measuring.run(measure, (__doc__ or "").splitlines()[0])


if __name__ == "__main__":
    main()
