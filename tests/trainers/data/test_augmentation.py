"""Views against torchvision's transforms of PIL images, and the distribution of what is drawn.

The bounds on differences are about 1.5 times what was measured on these images.
"""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as pil

from trainers.data import augmentation as views
from trainers.data.augmentation import MoCoAugmentation, MultiCropAugmentation, ViewDraw, plain
from trainers.networks.features import IMAGENET_MEAN, IMAGENET_STD, normalise
from trainers.runtime.randomness import numpy_generator

NUM_DRAWS = 4000


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


@pytest.mark.external
@pytest.mark.parametrize("factor", [0.6, 0.85, 1.0, 1.13, 1.4])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (views.adjust_brightness, pil.adjust_brightness),
        (views.adjust_contrast, pil.adjust_contrast),
        (views.adjust_saturation, pil.adjust_saturation),
    ],
)
def test_blends_differ_from_pil_in_few_pixels_and_by_one_level(ours, theirs, factor):
    # Where a blend falls on a whole number, float32 decides whether PIL truncates it to that or to the one below.
    found = difference(lambda image: ours(image, factor), lambda image: theirs(image, factor))
    assert found.max() <= 1
    assert found.mean() < 0.05


@pytest.mark.external
@pytest.mark.parametrize("turn", [-0.1, -0.03, 0.0, 0.05, 0.1])
def test_hue_differs_from_pil_by_less_than_a_level(turn):
    # Both quantise hue and saturation to 8 bits, PIL truncating, OpenCV rounding; one step of hue is up to six levels.
    found = difference(lambda image: views.adjust_hue(image, turn), lambda image: pil.adjust_hue(image, turn))
    assert found.mean() < 0.65
    assert found.max() <= 12


@pytest.mark.external
@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.5, 0.8, 1.2, 1.6, 2.0])
def test_blur_differs_from_pil_by_less_than_a_level(sigma):
    # PIL's Gaussian is three box filters, each rounded to 8 bits; MoCo v2 calls sigma its radius.
    found = difference(
        lambda image: views.blur(image, sigma),
        lambda image: image.filter(ImageFilter.GaussianBlur(radius=sigma)),
    )
    assert found.mean() < 0.9
    assert found.max() <= 10


def test_blur_of_a_gray_image_is_the_blur_of_its_channels():
    gray = IMAGES[0][..., 0]
    assert np.array_equal(views.blur(gray, 1.3), views.blur(np.stack([gray] * 3, -1), 1.3)[..., 1])


@pytest.mark.external
@pytest.mark.parametrize("crop", [(0, 0, 250, 250), (10, 5, 112, 130), (3, 20, 200, 160)])
@pytest.mark.parametrize(("size_px", "bound"), [(224, 0.7), (64, 2.5)])
def test_resized_crop_is_close_to_pils(crop, size_px, bound):
    # At 64 px, pixels are averaged over a box where PIL weighs them by a triangle twice as wide.
    image = natural_image(0)
    top, left, height, width = crop
    ours = views.resize(image[top : top + height, left : left + width], size_px).astype(int)
    theirs = np.asarray(pil.resized_crop(Image.fromarray(image), top, left, height, width, [size_px, size_px]))
    assert np.abs(ours - theirs).mean() < bound


def pil_view(image: np.ndarray, draw: ViewDraw, size_px: int) -> np.ndarray:
    """MoCo v2's transforms of a PIL image with given parameters."""
    adjustments = dict(
        zip(
            views.ADJUSTMENTS,
            (pil.adjust_brightness, pil.adjust_contrast, pil.adjust_saturation, pil.adjust_hue),
            strict=True,
        )
    )
    crop = draw.crop
    view = pil.resized_crop(Image.fromarray(image), crop.top, crop.left, crop.height, crop.width, [size_px, size_px])
    for adjust, factor in draw.jitter:
        view = adjustments[adjust](view, factor)
    if draw.grayscale:
        view = pil.to_grayscale(view, 3)
    if draw.blur_sigma is not None:
        view = view.filter(ImageFilter.GaussianBlur(radius=draw.blur_sigma))
    return np.asarray(pil.hflip(view) if draw.flip else view)


@pytest.mark.external
def test_whole_views_are_close_to_pils():
    augmentation = MoCoAugmentation()
    found = []
    for seed in range(40):
        image = natural_image(seed % 5)
        draw = augmentation.draw(numpy_generator(seed, "view"), 250, 250)
        found.append(np.abs(views.apply(image, draw, 224).astype(int) - pil_view(image, draw, 224)).mean())
    assert np.mean(found) < 0.8
    assert np.max(found) < 1.7


def test_view_is_a_function_of_image_and_generator():
    augmentation = MoCoAugmentation(size_px=64)
    first, again, other = (augmentation.view(IMAGES[0], numpy_generator(seed, "view")) for seed in (1, 1, 2))
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_view_leaves_its_image_untouched():
    image = IMAGES[0].copy()
    augmentation = MoCoAugmentation(size_px=224, min_scale=1.0, jitter_probability=1.0)
    for seed in range(10):
        augmentation.view(image, numpy_generator(seed, "view"))
    assert np.array_equal(image, IMAGES[0])


@pytest.fixture(scope="module")
def draws() -> list[ViewDraw]:
    generator = np.random.default_rng(0)
    return [MoCoAugmentation().draw(generator, 250, 250) for _ in range(NUM_DRAWS)]


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
    for adjust, low, high in zip(views.ADJUSTMENTS, (0.6, 0.6, 0.6, -0.1), (1.4, 1.4, 1.4, 0.1), strict=True):
        positions = [(dict(jitter)[adjust] - low) / (high - low) for jitter in jitters]
        assert np.allclose(np.quantile(positions, [0, 0.25, 0.5, 0.75, 1]), [0, 0.25, 0.5, 0.75, 1], atol=0.04)
    orders, counts = np.unique(
        [[views.ADJUSTMENTS.index(adjust) for adjust, _ in jitter] for jitter in jitters],
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
    generator = np.random.default_rng(0)
    crops = [views.draw_crop(generator, height, width, 0.2) for _ in range(NUM_DRAWS)]
    ours = np.array([(crop.top, crop.left, crop.height, crop.width) for crop in crops])
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
    crop = views.draw_crop(np.random.default_rng(0), height, width, min_scale=1.0)
    assert (crop.top, crop.left, crop.height, crop.width) == expected


def test_every_view_takes_equally_many_numbers():
    generators = [np.random.default_rng(3) for _ in range(2)]
    MoCoAugmentation().draw(generators[0], 250, 250)
    MoCoAugmentation(min_scale=1.0, jitter_probability=0, blur_probability=0).draw(generators[1], 20, 300)
    assert generators[0].random() == generators[1].random()


def test_an_adjustment_of_no_strength_is_left_out():
    draw = MoCoAugmentation(hue=0, contrast=0, jitter_probability=1.0).draw(np.random.default_rng(0), 9, 9)
    assert {adjust for adjust, _ in draw.jitter} == {views.adjust_brightness, views.adjust_saturation}


@pytest.mark.parametrize("size_px", [64, 200, 250])
def test_plain_view_shows_the_whole_image(size_px):
    rows, columns = np.mgrid[0:250, 0:250].astype(np.uint8)
    shown = plain(np.stack([rows, columns, columns], -1), size_px).astype(int)
    assert shown.shape == (size_px, size_px, 3)
    expected = (np.arange(size_px) + 0.5) * 250 / size_px - 0.5
    assert np.abs(shown[..., 0] - expected[:, None]).max() <= 1
    assert np.abs(shown[..., 1] - expected[None, :]).max() <= 1


@pytest.mark.external
def test_normalise_is_imagenets():
    images = torch.from_numpy(np.stack(IMAGES)).permute(0, 3, 1, 2)
    expected = torch.stack([pil.normalize(image / 255, IMAGENET_MEAN, IMAGENET_STD) for image in images])
    assert normalise(images).dtype == torch.float32
    torch.testing.assert_close(normalise(images), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(normalise(images[None]), expected[None], rtol=0, atol=1e-5)


def test_multi_crop_makes_two_full_views_and_then_small_ones_of_small_parts():
    augmentation = MultiCropAugmentation(num_small=3)
    assert augmentation.sizes_px == (224, 224, 96, 96, 96)
    shapes = [augmentation.view(IMAGES[0], numpy_generator(0, "view"), index).shape for index in range(5)]
    assert shapes == [(224, 224, 3)] * 2 + [(96, 96, 3)] * 3
    for index, (low, high) in enumerate([(0.14, 1.0), (0.14, 1.0), (0.05, 0.14)]):
        generator = np.random.default_rng(0)
        crops = [augmentation.draw(generator, 250, 250, index).crop for _ in range(400)]
        areas = np.array([crop.height * crop.width / 250**2 for crop in crops])
        assert np.allclose(np.quantile(areas, [0, 1]), [low, high], rtol=0.05)


def test_multi_crop_jitters_colours_as_swav_does():
    generator = np.random.default_rng(0)
    draws = [MultiCropAugmentation().draw(generator, 250, 250, index) for index in (0, 2) for _ in range(1000)]
    factors = {adjust: [] for adjust in views.ADJUSTMENTS}
    for adjust, factor in (each for draw in draws for each in draw.jitter):
        factors[adjust].append(factor)
    for adjust, (low, high) in zip(views.ADJUSTMENTS, [(0.2, 1.8)] * 3 + [(-0.2, 0.2)], strict=True):
        assert np.allclose([min(factors[adjust]), max(factors[adjust])], [low, high], atol=0.01)


@pytest.mark.external
def test_small_crops_are_distributed_as_torchvisions():
    torch.manual_seed(0)
    blank = Image.new("L", (250, 250))
    theirs = np.array([RandomResizedCrop.get_params(blank, [0.05, 0.14], [3 / 4, 4 / 3]) for _ in range(NUM_DRAWS)])
    generator = np.random.default_rng(0)
    crops = [views.draw_crop(generator, 250, 250, 0.05, 0.14) for _ in range(NUM_DRAWS)]
    ours = np.array([(crop.top, crop.left, crop.height, crop.width) for crop in crops])
    for measure in (lambda c: c[:, 2] * c[:, 3], lambda c: c[:, 3] / c[:, 2], lambda c: c[:, 0], lambda c: c[:, 1]):
        assert kolmogorov_distance(measure(ours), measure(theirs)) < 1.95 * np.sqrt(2 / NUM_DRAWS)  # p = 0.001
