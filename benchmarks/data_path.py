"""Times the way from a stored JPEG to two views on the network's device, beside the authors' loader and albumentations.

    python -m benchmarks.data_path [--small] [--output FILE]

All read the same 250-px JPEGs and make two views of 3×224×224. The authors' loader and albumentations' usual pipeline
end in normalised float32; ours ends in uint8, which is a quarter to copy, and is normalised on the device. What is
compared is CPU time, in all threads and processes, so that other work on the machine changes little.
"""

import io
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image, ImageFilter
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks import measuring
from trainers.data.augmentation import MoCoAugmentation
from trainers.data.frames import Frame, Frames, decode_jpeg, encode_jpeg, write_frames
from trainers.data.loading import ViewLoader, random_views, view_draws
from trainers.networks.features import IMAGENET_MEAN, IMAGENET_STD

NUM_FRAMES, NUM_ROUNDS = 64, 6
SMALL_FRAMES, SMALL_ROUNDS = 16, 2
STORED_PX, SIZE_PX = 250, 224
AUTHORS_BATCH = 32
AUTHORS_REPEATS = 4
"""Frames are repeated, so that the start of a worker process counts little, as it does in an epoch of thousands."""

LOADER_BATCH, LOADER_STEPS = 128, 16
OURS, DECODE = "ours", "decode alone"
THREADS, PROCESSES = "threads", "processes"
AUTHORS, ALBUMENTATIONS, ALBUMENTATIONS_UINT8 = "authors' loader", "albumentations", "albumentations, uint8"

Batch = Callable[[], int]
"""Makes views of a number of frames, and returns the number."""


def frame_like(seed: int) -> np.ndarray:
    """Reddish noise whose power falls with frequency, about as hard to decode as a frame of an operation."""
    generator = np.random.default_rng(seed)
    image = np.full((STORED_PX, STORED_PX, 3), (150, 80, 70), np.float32)
    for cells, strength in ((4, 70), (12, 45), (40, 20), (120, 5)):
        noise = generator.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        image += cv2.resize(noise, (STORED_PX, STORED_PX), interpolation=cv2.INTER_CUBIC)
    return image.clip(0, 255).astype(np.uint8)


def gaussian_blur(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(0.1, 2.0)))


def views_by_pil() -> transforms.Compose:
    """MoCo v2's transforms, as the authors' code has them."""
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(SIZE_PX, scale=(0.2, 1.0)),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            transforms.RandomGrayscale(p=0.2),
            transforms.RandomApply([gaussian_blur], p=0.5),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )


class TwoViews(Dataset[list[torch.Tensor]]):
    """Two views of every frame by PIL, as the authors' data set makes them."""

    def __init__(self, jpegs: Sequence[bytes]) -> None:
        self.jpegs = jpegs
        self.transform = views_by_pil()

    def __len__(self) -> int:
        return len(self.jpegs)

    def __getitem__(self, row: int) -> list[torch.Tensor]:
        image = Image.open(io.BytesIO(self.jpegs[row])).convert("RGB")
        return [self.transform(image), self.transform(image)]


def authors_loader(jpegs: Sequence[bytes]) -> Batch:
    """An epoch of the authors' loader, by one worker process."""

    def epoch() -> int:
        loader = DataLoader(TwoViews(jpegs), AUTHORS_BATCH, shuffle=True, num_workers=1)
        return sum(len(query) for query, _ in loader)

    return epoch


def by_albumentations(jpegs: Sequence[bytes]) -> dict[str, Batch]:
    """The same views by albumentations, ending in floats and in uint8; none where it is not installed."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    try:
        import albumentations as library
    except ImportError:
        return {}
    steps = [
        library.RandomResizedCrop(size=(SIZE_PX, SIZE_PX), scale=(0.2, 1.0)),
        library.ColorJitter(brightness=(0.6, 1.4), contrast=(0.6, 1.4), saturation=(0.6, 1.4), hue=(-0.1, 0.1), p=0.8),
        library.ToGray(p=0.2),
        library.GaussianBlur(blur_limit=0, sigma_limit=(0.1, 2.0), p=0.5),
        library.HorizontalFlip(p=0.5),
    ]
    ends = {ALBUMENTATIONS: [library.Normalize(), library.ToTensorV2()], ALBUMENTATIONS_UINT8: [library.ToTensorV2()]}

    def epoch_of(end: list[object]) -> Batch:
        pipeline = library.Compose([*steps, *end])

        def epoch() -> int:
            for jpeg in jpegs:
                image = decode_jpeg(jpeg)
                torch.stack([pipeline(image=image)["image"], pipeline(image=image)["image"]])
            return len(jpegs)

        return epoch

    return {name: epoch_of(end) for name, end in ends.items()}


def ours(frames: Frames) -> Batch:
    """Two views of every frame, by the functions that the loader's threads call."""
    augmentation, epochs = MoCoAugmentation(size_px=SIZE_PX), iter(range(1_000_000))
    out = list(np.empty((2, 3, SIZE_PX, SIZE_PX), np.uint8))

    def epoch() -> int:
        draws = view_draws(0, next(epochs))
        for row in range(len(frames)):
            random_views(frames, row, augmentation, draws, out)
        return len(frames)

    return epoch


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def milliseconds_per_frame(batch: Batch) -> float:
    start = cpu_seconds()
    num_frames = batch()
    return (cpu_seconds() - start) / num_frames * 1e3


def compare(contenders: dict[str, Batch], num_rounds: int) -> dict[str, float]:
    """Median milliseconds of CPU per frame of each; they take turns, so that a slow moment hits all alike."""
    rounds = [{name: milliseconds_per_frame(batch) for name, batch in contenders.items()} for _ in range(num_rounds)]
    return {name: statistics.median(measured[name] for measured in rounds[1:]) for name in contenders}


class ByThreads(ViewLoader):
    """The loader of a CPU."""

    num_processes = 0


def loader_rate(images: Sequence[np.ndarray], workers: int, *, processes: bool, small: bool) -> float:
    """Frames per second of an epoch after the first one, in which threads or processes begin."""
    kind = type("ByProcesses", (ViewLoader,), {"num_processes": workers}) if processes else ByThreads
    batch_size = 16 if small else LOADER_BATCH
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rows = (Frame(row, 0, images[row % len(images)]) for row in range(batch_size * (1 if small else LOADER_STEPS)))
        write_frames(folder, rows, source="benchmark", label_names=["phase"])
        frames = stack.enter_context(Frames([folder]))
        augmentation = MoCoAugmentation(size_px=SIZE_PX)
        loader = stack.enter_context(kind(frames, augmentation, batch_size=batch_size, seed=0, threads=workers))
        for epoch in range(1 if small else 2):
            start = time.perf_counter()
            num_frames = sum(len(batch.frame_ids) for batch in loader.epoch(epoch))
        return num_frames / (time.perf_counter() - start)


def worker_counts(small: bool) -> Iterator[int]:
    """1, 4 and so on, up to the CPUs that this process may use, and these."""
    workers, cpus = 1, len(os.sched_getaffinity(0))
    while workers < cpus and not small:
        yield workers
        workers *= 4
    yield 2 if small else cpus


@dataclass(frozen=True)
class Measured:
    """Figures of one run.

    Attributes:
        milliseconds: of CPU per frame, by contender.
        frames_per_second: of our loader, by what makes the views and their number.
    """

    milliseconds: dict[str, float]
    frames_per_second: dict[str, dict[int, float]]


def measured(small: bool) -> Measured:
    """Compares all contenders on the same frames."""
    num_frames, num_rounds = (SMALL_FRAMES, SMALL_ROUNDS) if small else (NUM_FRAMES, NUM_ROUNDS)
    images = [frame_like(seed) for seed in range(num_frames)]
    jpegs = [encode_jpeg(image) for image in images]
    with tempfile.TemporaryDirectory() as folder:
        rows = (Frame(index, 0, image) for index, image in enumerate(images))
        write_frames(Path(folder), rows, source="benchmark", label_names=["phase"])
        with Frames([Path(folder)]) as frames:
            contenders = {
                AUTHORS: authors_loader(jpegs * (1 if small else AUTHORS_REPEATS)),
                **by_albumentations(jpegs),
                OURS: ours(frames),
                DECODE: lambda: len([decode_jpeg(jpeg) for jpeg in jpegs]),
            }
            times = compare(contenders, num_rounds)
        rates = {
            name: {n: loader_rate(images, n, processes=name == PROCESSES, small=small) for n in worker_counts(small)}
            for name in (THREADS, PROCESSES)
        }
    return Measured(times, rates)


def measure(device: torch.device, small: bool) -> dict[str, Any]:
    """Prints the table, and returns its figures.

    Args:
        device: of other benchmarks: views are made by the CPU.
        small: few frames and rounds, for a look at whether it works.
    """
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    found = measured(small)
    ratios = {name: value / found.milliseconds[OURS] for name, value in found.milliseconds.items()}
    print(f"two {SIZE_PX}-px views of a {STORED_PX}-px JPEG")
    for name, value in found.milliseconds.items():
        print(f"{name:32s}{value:8.2f} ms of CPU per frame{ratios[name]:8.1f} × ours")
    for kind, rates in found.frames_per_second.items():
        for workers, rate in rates.items():
            print(f"{f'our loader, {kind}: {workers}':32s}{rate:8.0f} frames/s")
    return {
        "cpu_milliseconds_per_frame": found.milliseconds,
        "times_ours": ratios,
        "loader_frames_per_second": {
            kind: {str(workers): rate for workers, rate in rates.items()}
            for kind, rates in found.frames_per_second.items()
        },
    }


def main() -> None:
    measuring.run(measure, (__doc__ or "").splitlines()[0])


if __name__ == "__main__":
    main()
