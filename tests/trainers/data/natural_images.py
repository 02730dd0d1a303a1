"""Images about as smooth and as red as frames of an operation."""

import cv2
import numpy as np
from PIL import Image


def natural_image(seed: int, side: int = 250) -> np.ndarray:
    """Reddish noise whose power falls with frequency, as in a frame of an operation."""
    generator = np.random.default_rng(seed)
    image = np.full((side, side, 3), (150, 80, 70), np.float32)
    for cells, strength in ((4, 70), (12, 45), (40, 25), (120, 10)):
        noise = generator.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        image += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    return image.clip(0, 255).astype(np.uint8)


IMAGES = [natural_image(seed, 224) for seed in range(4)]


def difference(ours, theirs):
    """Absolute differences over all test images, given a function of arrays and one of PIL images."""
    pairs = [(ours(image), np.asarray(theirs(Image.fromarray(image)))) for image in IMAGES]
    return np.abs(np.stack([a.astype(int) - b.astype(int) for a, b in pairs]))
