"""Times our two views of a frame against torchvision's on PIL images, in turns, on one thread.

    python benchmarks/augmentation.py

Both read the same 250×250 JPEG and make two uint8 views of 3×224×224; normalisation is left to the device in both.
"""

import io
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageFilter
from torchvision import transforms

from trainers.data.augmentation import MoCoAugmentation
from trainers.data.frames import Frame, Frames, decode_jpeg, encode_jpeg, write_frames
from trainers.data.loading import ViewLoader, random_views

NUM_FRAMES = 64
NUM_ROUNDS = 9
STORED_PX = 250


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


def moco_on_pil() -> transforms.Compose:
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(224, scale=(0.2, 1.0)),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            transforms.RandomGrayscale(p=0.2),
            transforms.RandomApply([gaussian_blur], p=0.5),
            transforms.RandomHorizontalFlip(),
            transforms.PILToTensor(),
        ]
    )


def milliseconds_per_frame(work: Callable[[int], object]) -> float:
    start = time.perf_counter()
    for row in range(NUM_FRAMES):
        work(row)
    return (time.perf_counter() - start) / NUM_FRAMES * 1e3


def compare(contenders: dict[str, Callable[[int], object]]) -> dict[str, float]:
    """Median milliseconds per frame of each contender; they take turns, so that a slow moment hits all alike."""
    rounds = [{name: milliseconds_per_frame(work) for name, work in contenders.items()} for _ in range(NUM_ROUNDS)]
    return {name: statistics.median(measured[name] for measured in rounds[1:]) for name in contenders}


def loader_frames_per_second(frames: Frames, threads: int) -> float:
    loader = ViewLoader(frames, MoCoAugmentation(), batch_size=16, seed=0, threads=threads)
    start = time.perf_counter()
    num_frames = sum(len(batch.frame_ids) for epoch in range(4) for batch in loader.epoch(epoch))
    return num_frames / (time.perf_counter() - start)


def main() -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    images = [frame_like(seed) for seed in range(NUM_FRAMES)]
    jpegs = [encode_jpeg(image) for image in images]
    augmentation, pil_views = MoCoAugmentation(), moco_on_pil()
    out = np.empty((2, 3, augmentation.size_px, augmentation.size_px), np.uint8)
    generator = np.random.default_rng(0)

    def with_pil(row: int) -> None:
        image = Image.open(io.BytesIO(jpegs[row])).convert("RGB")
        out[0], out[1] = pil_views(image), pil_views(image)

    with tempfile.TemporaryDirectory() as folder:
        rows = (Frame(index, 0, image) for index, image in enumerate(images))
        write_frames(Path(folder), rows, source="benchmark", label_names=["phase"])
        with Frames([Path(folder)]) as frames:
            times = compare(
                {
                    "ours: decode": lambda row: decode_jpeg(jpegs[row]),
                    "ours: one view": lambda row: augmentation.view(images[row], generator),
                    "ours: read, decode, two views": lambda row: random_views(frames, row, augmentation, 0, 0, out=out),
                    "PIL: decode, two views": with_pil,
                }
            )
            rates = {threads: loader_frames_per_second(frames, threads) for threads in (1, 2, 4)}
    for name, value in times.items():
        print(f"{name:32s}{value:8.2f} ms per frame")
    print(f"{'ratio':32s}{times['PIL: decode, two views'] / times['ours: read, decode, two views']:8.1f} ×")
    for threads, rate in rates.items():
        print(f"{f'loader, {threads} threads':32s}{rate:8.0f} frames/s")


if __name__ == "__main__":
    main()
