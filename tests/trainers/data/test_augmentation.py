"""Distribution of what is drawn for a view, against torchvision's."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop

from trainers.data.augmentation import (
    NUMBERS_PER_CROP,
    NUMBERS_PER_VIEW,
    MoCoAugmentation,
    MultiCropAugmentation,
    draw_crop,
)
from trainers.data.colours import ADJUSTMENTS, Colours
from trainers.data.views import ViewDraw

NUM_DRAWS = 4000


def numbers(count: int, seed: int = 0) -> list[list[float]]:
    """Uniform numbers for a count of views."""
    return np.random.default_rng(seed).random((count, NUMBERS_PER_VIEW)).tolist()


def crops(height: int, width: int, min_scale: float, max_scale: float = 1.0) -> np.ndarray:
    """Top, left, height and width of many crops."""
    drawn = np.random.default_rng(0).random((NUM_DRAWS, NUMBERS_PER_CROP)).tolist()
    return np.array([draw_crop(each, height, width, min_scale, max_scale) for each in drawn])


@pytest.fixture(scope="module")
def draws() -> list[ViewDraw]:
    return [MoCoAugmentation().draw(of_view, 250, 250) for of_view in numbers(NUM_DRAWS)]


@pytest.mark.parametrize(
    ("happens", "probability"),
    [
        (lambda draw: bool(draw.jitter), 0.8),
        (lambda draw: draw.grayscale, 0.2),
        (lambda draw: draw.blur_sigma is not None, 0.5),
        (lambda draw: draw.flip, 0.5),
    ],
    ids=["jitter", "grayscale", "blur", "flip"],
)
def test_each_step_is_made_with_its_probability(draws, happens, probability):
    four_deviations = 4 * np.sqrt(probability * (1 - probability) / NUM_DRAWS)
    assert np.mean([happens(draw) for draw in draws]) == pytest.approx(probability, abs=four_deviations)


def test_jitter_factors_are_uniform_and_every_order_is_as_likely(draws):
    jitters = [draw.jitter for draw in draws if draw.jitter]
    for adjust, low, high in zip(ADJUSTMENTS, (0.6, 0.6, 0.6, -0.1), (1.4, 1.4, 1.4, 0.1), strict=True):
        positions = [(dict(jitter)[adjust] - low) / (high - low) for jitter in jitters]
        assert np.allclose(np.quantile(positions, [0, 0.25, 0.5, 0.75, 1]), [0, 0.25, 0.5, 0.75, 1], atol=0.04)
    orders, counts = np.unique(
        [[ADJUSTMENTS.index(adjust) for adjust, _ in jitter] for jitter in jitters],
        axis=0,
        return_counts=True,
    )
    assert len(orders) == 24
    assert np.all(np.abs(counts - len(jitters) / 24) < 5 * np.sqrt(len(jitters) / 24))


def test_blur_sigma_is_uniform(draws):
    sigmas = [draw.blur_sigma for draw in draws if draw.blur_sigma is not None]
    assert np.allclose(np.quantile(sigmas, [0, 0.25, 0.5, 0.75, 1]), np.linspace(0.1, 2, 5), atol=0.08)


@pytest.mark.external
@pytest.mark.parametrize(("height", "width"), [(250, 250), (100, 180)])
def test_crops_are_distributed_as_torchvisions(height, width):
    torch.manual_seed(0)
    blank = Image.new("L", (width, height))
    theirs = np.array([RandomResizedCrop.get_params(blank, [0.2, 1.0], [3 / 4, 4 / 3]) for _ in range(NUM_DRAWS)])
    ours = crops(height, width, 0.2)
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, :2] + ours[:, 2:] <= (height, width)).all()
    for measure in (lambda c: c[:, 2] * c[:, 3], lambda c: c[:, 3] / c[:, 2], lambda c: c[:, 0], lambda c: c[:, 1]):
        assert kolmogorov_distance(measure(ours), measure(theirs)) < 1.95 * np.sqrt(2 / NUM_DRAWS)  # p = 0.001


def kolmogorov_distance(first: np.ndarray, second: np.ndarray) -> float:
    places = np.sort(np.concatenate([first, second]))
    ranks = [np.searchsorted(np.sort(sample), places, side="right") / len(sample) for sample in (first, second)]
    return float(np.abs(ranks[0] - ranks[1]).max())


@pytest.mark.parametrize(("height", "width", "expected"), [(300, 20, (136, 0, 27, 20)), (20, 300, (0, 136, 20, 27))])
def test_an_image_too_narrow_for_any_crop_is_cropped_centrally(height, width, expected):
    crop = draw_crop([0.5] * NUMBERS_PER_CROP, height, width, min_scale=1.0)
    assert (crop.top, crop.left, crop.height, crop.width) == expected


def test_an_adjustment_of_no_strength_is_left_out():
    draw = MoCoAugmentation(hue=0, contrast=0, jitter_probability=1.0).draw(numbers(1)[0], 9, 9)
    assert {adjust for adjust, _ in draw.jitter} == {Colours.brighten, Colours.saturate}


def test_multi_crop_makes_two_full_views_and_then_small_ones_of_small_parts():
    augmentation = MultiCropAugmentation(num_small=3)
    assert augmentation.sizes_px == (224, 224, 96, 96, 96)
    for index, (low, high) in enumerate([(0.14, 1.0), (0.14, 1.0), (0.05, 0.14)]):
        drawn = [augmentation.draw(of_view, 250, 250, index).crop for of_view in numbers(400)]
        areas = np.array([crop.height * crop.width / 250**2 for crop in drawn])
        assert np.allclose(np.quantile(areas, [0, 1]), [low, high], rtol=0.05)


def test_multi_crop_jitters_colours_as_swav_does():
    draws = [MultiCropAugmentation().draw(each, 250, 250, index) for index in (0, 2) for each in numbers(1000, index)]
    factors = {adjust: [] for adjust in ADJUSTMENTS}
    for adjust, factor in (each for draw in draws for each in draw.jitter):
        factors[adjust].append(factor)
    for adjust, (low, high) in zip(ADJUSTMENTS, [(0.2, 1.8)] * 3 + [(-0.2, 0.2)], strict=True):
        assert np.allclose([min(factors[adjust]), max(factors[adjust])], [low, high], atol=0.01)


@pytest.mark.external
def test_small_crops_are_distributed_as_torchvisions():
    torch.manual_seed(0)
    blank = Image.new("L", (250, 250))
    theirs = np.array([RandomResizedCrop.get_params(blank, [0.05, 0.14], [3 / 4, 4 / 3]) for _ in range(NUM_DRAWS)])
    ours = crops(250, 250, 0.05, 0.14)
    for measure in (lambda c: c[:, 2] * c[:, 3], lambda c: c[:, 3] / c[:, 2], lambda c: c[:, 0], lambda c: c[:, 1]):
        assert kolmogorov_distance(measure(ours), measure(theirs)) < 1.95 * np.sqrt(2 / NUM_DRAWS)  # p = 0.001
