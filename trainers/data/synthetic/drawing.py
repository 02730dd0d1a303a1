"""Painting of drawn images: a textured ground, things with relief and shadow on it, seen by a camera."""

import cv2
import numpy as np

from trainers.data.synthetic.outlines import OUTLINES
from trainers.data.synthetic.smooth_textures import noise
from trainers.data.synthetic.textures import textured
from trainers.data.synthetic.themes import Light, Theme, Thing


def painted(
    generator: np.random.Generator, theme: Theme, size: int, camera: np.random.Generator | None = None
) -> np.ndarray:
    """An image of a theme: its ground, the things on it, and what light and camera make of them; N×N×3, uint8.

    Args:
        generator: of the scene: its ground, and the things on it.
        theme: of the scene.
        size: width and height.
        camera: of the photograph: where light falls off, exposure, blur, grain; that of the scene where None.
    """
    image = _ground(generator, theme, size)
    for thing in _shown(generator, theme):
        _add(generator, image, thing, theme.light)
    return _photographed(camera or generator, image, theme)


def _ground(generator: np.random.Generator, theme: Theme, size: int) -> np.ndarray:
    field = textured(theme.grounds[0], generator, size)
    image = _coloured(field, theme.ground_shades[0])
    if theme.relief:
        _shade(image, field * np.float32(theme.relief * size), theme.light, theme.gloss)
    split = generator.random()
    if split < 0.3:
        other = _coloured(textured(theme.grounds[1], generator, size), theme.ground_shades[1])
        mask = _region(generator, size)
        image += mask[..., None] * (other - image)
    return image


def _region(generator: np.random.Generator, size: int) -> np.ndarray:
    """A part of the image, 0 to 1: one side of a bent line."""
    line = np.linspace(-1, 1, size, dtype=np.float32)
    a, b, c = generator.normal(0, 1, 3).astype(np.float32)
    bent = noise(generator, size, size * generator.uniform(0.2, 0.6), 2)
    values = a * line + b * line[:, None] + np.float32(0.4) * c + np.float32(generator.uniform(0, 0.6)) * bent
    region: np.ndarray = np.clip(0.5 + np.float32(generator.uniform(3, 20)) * values, 0, 1)
    return region


def _shown(generator: np.random.Generator, theme: Theme) -> list[Thing]:
    """Things of an image, in the order in which they are put on top of each other."""
    below = [thing for thing in theme.large if generator.random() < thing.chance]
    shown: list[Thing] = []
    for place, thing in enumerate(theme.things):
        if generator.random() < thing.chance:
            shown += [thing] * int(generator.integers(1, 4 if place == 0 else 3))
    return below + [shown[each] for each in generator.permutation(len(shown))]


def _add(generator: np.random.Generator, image: np.ndarray, thing: Thing, light: Light) -> None:
    size = len(image)
    radius = size * thing.radius * generator.uniform(0.7, 1.4)
    mask = OUTLINES[thing.outline](generator, size, generator.uniform(-0.05, 1.05, 2) * size, radius)
    left, top, width, height = cv2.boundingRect(mask)
    if not width:
        return
    if thing.shadow:
        _cast(image, mask, thing, light, radius)
    window = np.s_[top : top + height, left : left + width]
    inside = mask[window]
    alpha = inside.astype(np.float32) * np.float32(thing.opacity / 255)
    side = max(width, height, 16)
    surface = _coloured(textured(thing.texture, generator, side)[:height, :width], thing.shades)
    if thing.roundness:
        reach = np.float32(max(1.5, radius * thing.roundness))
        depth = np.minimum(cv2.distanceTransform((inside > 127).astype(np.uint8), cv2.DIST_L2, 5), reach) / reach
        relief = reach * np.sqrt(np.maximum(0, 1 - (1 - depth) ** 2))
        _shade(surface, cv2.GaussianBlur(relief, (0, 0), 0.8), light, thing.gloss)
    if thing.edge:
        border = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        surface *= 1 - np.float32(thing.edge / 255) * border[..., None]
    image[window] += alpha[..., None] * (surface - image[window])


def _cast(image: np.ndarray, mask: np.ndarray, thing: Thing, light: Light, radius: float) -> None:
    reach = 0.35 * radius
    move = np.array([[1, 0, -reach * light.direction[0]], [0, 1, -reach * light.direction[1]]], np.float32)
    soft = cv2.GaussianBlur(cv2.warpAffine(mask, move, mask.shape[::-1]), (0, 0), max(0.6, 0.15 * radius))
    image *= 1 - np.float32(thing.shadow / 255) * soft[..., None]


def _coloured(field: np.ndarray, shades: np.ndarray) -> np.ndarray:
    indices = cv2.convertScaleAbs(np.ascontiguousarray(field), alpha=255)
    colours: np.ndarray = shades[indices]
    return colours


def _shade(surface: np.ndarray, relief: np.ndarray, light: Light, gloss: float) -> None:
    """Lights a surface (H×W×3) in place by the slopes of its relief, in pixels."""
    x, y, z = light.direction.tolist()
    slope_x = cv2.Sobel(relief, cv2.CV_32F, 1, 0, scale=0.125)
    slope_y = cv2.Sobel(relief, cv2.CV_32F, 0, 1, scale=0.125)
    upright = 1 / cv2.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    diffuse = np.maximum(0, (z - x * slope_x - y * slope_y) * upright)
    surface *= (light.ambient + (1 - light.ambient) / z * diffuse)[..., None]
    if gloss > 0.1:
        length = float(np.sqrt(x * x + y * y + (z + 1) ** 2))
        facing = np.maximum(0, ((z + 1) - x * slope_x - y * slope_y) * upright * np.float32(1 / length))
        surface += np.float32(gloss) * cv2.pow(facing, 40)[..., None]


def _photographed(generator: np.random.Generator, image: np.ndarray, theme: Theme) -> np.ndarray:
    """The image as a camera sees it: light that is not even, exposure, blur, grain; uint8."""
    size, light = len(image), theme.light
    line = np.linspace(-1, 1, size, dtype=np.float32)
    if light.falloff or light.hole:
        a, b = generator.normal(0, 0.3, 2).astype(np.float32)
        away = (line - a) ** 2 + (line[:, None] - b) ** 2
        if light.falloff:
            image *= (1 / (1 + np.float32(1.5 * light.falloff) * away))[..., None]
        if light.hole:
            image *= np.clip((generator.uniform(0.8, 1.4) - away) * 12, 0, 1)[..., None]
    image *= light.colour * np.float32(generator.uniform(0.75, 1.25))
    sigma = size * theme.softness * generator.random()
    if sigma > 0.35:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    grain = theme.grain * generator.random()
    if grain > 0.01:
        image += generator.standard_normal(image.shape, np.float32) * np.float32(grain)
    seen: np.ndarray = cv2.convertScaleAbs(np.clip(image, 0, 1), alpha=255)
    return seen
