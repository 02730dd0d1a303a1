"""Themes of drawn images: colours, grounds, things and light that the images of a theme share."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from trainers.data.synthetic.outlines import OUTLINES
from trainers.data.synthetic.textures import TEXTURES

CLASSES = (*TEXTURES, *OUTLINES)
"""Kinds of images, by what fills most of them; labels index them."""
TEXTURE_NAMES, OUTLINE_NAMES = tuple(TEXTURES), tuple(OUTLINES)
SHADES = 256
LARGE = ("blob", "ellipse", "polygon", "box", "ragged", "tube", "rod", "crescent", "leaf")
"""Outlines of what covers much of an image."""


@dataclass(frozen=True, kw_only=True)
class _Palette:
    """Middle and width of a theme's hues, from 0 to 1, and their saturation."""

    hue: float
    spread: float
    saturation: float


@dataclass(frozen=True, kw_only=True)
class Light:
    """Light of a theme.

    Attributes:
        direction: towards the lamp, of length 1.
        colour: of the lamp.
        ambient: share of the light that comes from everywhere.
        falloff: how much darker the edges are.
        hole: whether the image is seen through a round hole.
    """

    direction: np.ndarray
    colour: np.ndarray
    ambient: float
    falloff: float
    hole: bool


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Kind of thing that a theme's images may show.

    Attributes:
        outline: name of its shape's kind.
        texture: name of its surface's kind.
        shades: its colours, 256×3.
        radius: usual size, as a share of the image's side.
        roundness: depth of its rounded border as a share of its radius; 0 for flat things.
        gloss: strength of its highlights.
        opacity: 1 where nothing shines through.
        shadow: strength of the shadow that it throws.
        edge: strength of the line around it.
        chance: that an image shows it.
    """

    outline: str
    texture: str
    shades: np.ndarray
    radius: float
    roundness: float
    gloss: float
    opacity: float
    shadow: float
    edge: float
    chance: float


@dataclass(frozen=True, kw_only=True)
class Theme:
    """What the images of a theme share.

    Attributes:
        label: of the kind of its images.
        grounds: kinds of texture that lie behind everything.
        ground_shades: their colours, 256×3 each.
        relief: height of the ground's texture; 0 where it is flat.
        gloss: strength of the ground's highlights.
        large: what covers much of it, below the rest.
        things: what else is on it, the first one most of all.
        light: that falls on it.
        softness: largest blur, in shares of the image's side.
        grain: largest strength of the noise.
    """

    label: int
    grounds: tuple[str, ...]
    ground_shades: tuple[np.ndarray, ...]
    relief: float
    gloss: float
    large: tuple[Thing, ...]
    things: tuple[Thing, ...]
    light: Light
    softness: float
    grain: float


def drawn_theme(generator: np.random.Generator) -> Theme:
    """A random theme."""
    label = int(generator.integers(len(CLASSES)))
    of_texture = label < len(TEXTURE_NAMES)
    palette = _Palette(
        hue=float(generator.random()),
        spread=(0.03, 0.08, 0.2, 1.0)[generator.integers(4)],
        saturation=float(generator.random()),
    )
    grounds = [TEXTURE_NAMES[each] for each in generator.integers(0, len(TEXTURE_NAMES), 2)]
    if of_texture:
        grounds[0] = TEXTURE_NAMES[label]
    first = None if of_texture else OUTLINE_NAMES[label - len(TEXTURE_NAMES)]
    num_large, num_small = generator.integers(0, 3 if of_texture else 5), generator.integers(0 if of_texture else 1, 5)
    large = [_large_thing(generator, palette) for _ in range(num_large)]
    small = [_thing(generator, first if place == 0 else None, palette) for place in range(num_small)]
    return Theme(
        label=label,
        grounds=tuple(grounds),
        ground_shades=tuple(_shades(generator, palette) for _ in grounds),
        relief=float(generator.uniform(0.02, 0.16) if generator.random() < 0.5 else 0),
        gloss=float(generator.uniform(0, 0.8)),
        large=tuple(large),
        things=tuple(small),
        light=_light(generator),
        softness=float(generator.uniform(0, 0.03)),
        grain=float(generator.uniform(0, 0.06)),
    )


def _large_thing(generator: np.random.Generator, palette: _Palette) -> Thing:
    """A thing that reaches over much of the image, as hills, walls and clouds do."""
    return replace(
        _thing(generator, LARGE[generator.integers(len(LARGE))], palette),
        radius=float(generator.uniform(0.3, 0.8)),
        roundness=0.0 if generator.random() < 0.4 else float(generator.uniform(0.1, 0.5)),
        opacity=1.0,
        chance=float(generator.uniform(0.5, 1)),
    )


def _thing(generator: np.random.Generator, outline: str | None, palette: _Palette) -> Thing:
    flat = generator.random() < 0.35
    if generator.random() < 0.4:  # a thing of another colour than all around it
        palette = replace(palette, hue=float(generator.random()), saturation=float(generator.random()))
    return Thing(
        outline=outline or OUTLINE_NAMES[generator.integers(len(OUTLINE_NAMES))],
        texture=TEXTURE_NAMES[generator.integers(len(TEXTURE_NAMES))] if generator.random() < 0.6 else "plain",
        shades=_shades(generator, palette),
        radius=float(generator.uniform(0.08, 0.3)),
        roundness=0.0 if flat else float(generator.uniform(0.2, 1)),
        gloss=float(generator.uniform(0, 1) ** 2),
        opacity=1.0 if generator.random() < 0.75 else float(generator.uniform(0.4, 0.9)),
        shadow=float(generator.uniform(0.2, 0.7)) if generator.random() < 0.5 else 0.0,
        edge=float(generator.uniform(0.2, 0.9)) if generator.random() < 0.25 else 0.0,
        chance=1.0 if outline else float(generator.uniform(0.25, 0.8)),
    )


def _shades(generator: np.random.Generator, palette: _Palette) -> np.ndarray:
    """Colours from one end of a field's values to the other, through a few of about one hue, 256×3, float32, 0 to 1."""
    count = int(generator.integers(2, 6))
    drawn = generator.random((3, count), np.float32) - np.float32(0.5)
    contrast = generator.uniform(0.05, 1) ** 2
    brightness = generator.uniform(0.08 + contrast / 2, 1.0 - 0.4 * contrast)
    hsv = np.empty((1, count, 3), np.float32)
    hsv[0, :, 0] = (palette.hue + palette.spread * drawn[0]) % 1 * 360
    hsv[0, :, 1] = np.clip(palette.saturation + 0.4 * drawn[1], 0, 1)
    hsv[0, :, 2] = np.clip(brightness + contrast * drawn[2], 0.02, 1)
    colours = np.clip(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), 0, 1)
    shades: np.ndarray = cv2.resize(colours, (SHADES, 1), interpolation=cv2.INTER_LINEAR)[0]
    return shades


def _light(generator: np.random.Generator) -> Light:
    turn, height = generator.uniform(0, 2 * np.pi), generator.uniform(0.35, 0.95)
    flat = np.sqrt(1 - height**2)
    return Light(
        direction=np.array([flat * np.cos(turn), flat * np.sin(turn), height], np.float32),
        colour=(1 + generator.uniform(0, 0.25) * generator.uniform(-1, 1, 3)).astype(np.float32),
        ambient=float(generator.uniform(0.1, 0.6)),
        falloff=float(generator.uniform(0, 0.8)) if generator.random() < 0.6 else 0.0,
        hole=bool(generator.random() < 0.1),
    )
