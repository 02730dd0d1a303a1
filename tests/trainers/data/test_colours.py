"""Colour adjustments against torchvision's of PIL images; bounds are about 1.5 times what was measured."""

from itertools import permutations

import numpy as np
import pytest
from torchvision.transforms import functional as pil

from tests.trainers.data.natural_images import IMAGES, difference
from trainers.data.colours import ADJUSTMENTS, Colours

OF_PIL = dict(
    zip(
        ADJUSTMENTS,
        (pil.adjust_brightness, pil.adjust_contrast, pil.adjust_saturation, pil.adjust_hue),
        strict=True,
    )
)


def adjusted(image, *jitter):
    colours = Colours(image)
    for adjust, factor in jitter:
        adjust(colours, factor)
    return colours.pixels()


def adjusted_by_pil(image, *jitter):
    for adjust, factor in jitter:
        image = OF_PIL[adjust](image, factor)
    return image


@pytest.mark.external
@pytest.mark.parametrize("factor", [0.6, 0.85, 1.0, 1.13, 1.4])
@pytest.mark.parametrize(
    ("adjust", "bound"), [(Colours.brighten, 0.05), (Colours.contrast, 0.05), (Colours.saturate, 0.2)]
)
def test_blends_differ_from_pil_in_few_pixels_and_by_one_level(adjust, bound, factor):
    # What saturation blends with is not rounded to a whole number first, and its coefficients are multiples of 1/1024.
    jitter = (adjust, factor)
    found = difference(lambda image: adjusted(image, jitter), lambda image: adjusted_by_pil(image, jitter))
    assert found.max() <= 1
    assert found.mean() < bound


@pytest.mark.external
@pytest.mark.parametrize("turn", [-0.1, -0.03, 0.0, 0.05, 0.1])
def test_hue_differs_from_pil_by_less_than_a_level(turn):
    # Both quantise hue and saturation to 8 bits, PIL truncating, OpenCV rounding; one step of hue is up to six levels.
    jitter = (Colours.turn_hue, turn)
    found = difference(lambda image: adjusted(image, jitter), lambda image: adjusted_by_pil(image, jitter))
    assert found.mean() < 0.65
    assert found.max() <= 12


@pytest.mark.external
@pytest.mark.parametrize("factors", [(0.7, 0.8, 0.65), (1.3, 1.2, 1.35), (0.7, 1.3, 0.9), (1.4, 0.6, 1.4)])
def test_blends_in_any_order_are_close_to_pils_clamped_ones(factors):
    for jitter in permutations(zip(ADJUSTMENTS[:3], factors, strict=True)):
        found = difference(
            lambda image, j=jitter: adjusted(image, *j), lambda image, j=jitter: adjusted_by_pil(image, *j)
        )
        assert found.mean() < 0.8
        assert found.max() <= 4


@pytest.mark.external
@pytest.mark.parametrize("place", range(4))
def test_a_turn_of_the_hue_sees_what_was_adjusted_before_it(place):
    jitter = list(zip(ADJUSTMENTS[:3], (0.8, 1.3, 0.7), strict=True))
    jitter.insert(place, (Colours.turn_hue, 0.08))
    found = difference(lambda image: adjusted(image, *jitter), lambda image: adjusted_by_pil(image, *jitter))
    assert found.mean() < 1.0


@pytest.mark.parametrize("adjust", ADJUSTMENTS[:3])
def test_factor_one_leaves_the_image(adjust):
    assert np.array_equal(adjusted(IMAGES[0], (adjust, 1.0)), IMAGES[0])


def test_the_image_that_is_adjusted_stays_as_it_was():
    image = IMAGES[0].copy()
    for adjust in ADJUSTMENTS:
        adjusted(image, (adjust, 0.3))
        adjusted(image[3:20, 5:9], (adjust, 0.3))
    assert np.array_equal(image, IMAGES[0])


def test_colours_can_be_looked_at_between_adjustments():
    colours = Colours(IMAGES[0])
    colours.brighten(0.5)
    half = colours.pixels().copy()
    colours.brighten(0.5)
    assert np.array_equal(half, adjusted(IMAGES[0], (Colours.brighten, 0.5)))
    assert np.array_equal(colours.pixels(), adjusted(half, (Colours.brighten, 0.5)))
