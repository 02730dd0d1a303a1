"""Copies of a video, encoded again: resized, cropped, with margins, cut, at another rate, dark for a while."""

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

Sides = tuple[float, float, float, float]


def recode(
    source: Path,
    target: Path,
    *,
    cropped: Sides = (0, 0, 0, 0),
    scale: tuple[float, float] = (1, 1),
    margin_px: int = 0,
    rate: int = 25,
    starts_at: int = 0,
    between_keys: int = 125,
    changed: Callable[[int, list[np.ndarray]], np.ndarray] = lambda index, frames: frames[index],
) -> Path:
    """Encodes a video again, at a lower quality and with few key frames; `cropped` is left, top, right, bottom."""
    with av.open(str(source)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    count = round((len(frames) - starts_at) * rate / 25)
    images = (changed(min(starts_at + round(k * 25 / rate), len(frames) - 1), frames) for k in range(count))
    with av.open(str(target), "w") as container:
        options = {"preset": "ultrafast", "crf": "33", "g": str(between_keys), "threads": "1"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        for number, image in enumerate(images):
            pixels = _reshaped(image, cropped, scale, margin_px)
            if not number:
                stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "yuv420p"
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return target


def _reshaped(image: np.ndarray, cropped: Sides, scale: tuple[float, float], margin_px: int) -> np.ndarray:
    height, width = image.shape[:2]
    left, top, right, bottom = cropped
    image = image[round(top * height) : round((1 - bottom) * height), round(left * width) : round((1 - right) * width)]
    size = [round(length * factor / 2) * 2 for length, factor in zip(image.shape[1::-1], scale, strict=True)]
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.pad(image, ((margin_px, margin_px), (margin_px, margin_px), (0, 0)))
