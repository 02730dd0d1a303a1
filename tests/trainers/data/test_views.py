"""Views against torchvision's transforms of PIL images.

The bounds on differences are about 1.5 times what was measured on these images.
"""

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torchvision.transforms import functional as pil

from tests.trainers.data.natural_images import IMAGES, difference, natural_image
from tests.trainers.data.test_colours import adjusted_by_pil
from trainers.data import views
from trainers.data.augmentation import NUMBERS_PER_VIEW, MoCoAugmentation, MultiCropAugmentation
from trainers.data.colours import ADJUSTMENTS
from trainers.data.views import Crop, ViewDraw, plain, write_view
from trainers.networks.features import IMAGENET_MEAN, IMAGENET_STD, normalise


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


def view(image: np.ndarray, draw: ViewDraw, size_px: int) -> np.ndarray:
    """The view as an image (S×S×3)."""
    planes = np.empty((3, size_px, size_px), np.uint8)
    write_view(image, draw, planes)
    return np.moveaxis(planes, 0, 2)


def pil_view(image: np.ndarray, draw: ViewDraw, size_px: int) -> np.ndarray:
    """MoCo v2's transforms of a PIL image with given parameters."""
    crop = draw.crop
    view = pil.resized_crop(Image.fromarray(image), crop.top, crop.left, crop.height, crop.width, [size_px, size_px])
    view = adjusted_by_pil(view, *draw.jitter)
    if draw.grayscale:
        view = pil.to_grayscale(view, 3)
    if draw.blur_sigma is not None:
        view = view.filter(ImageFilter.GaussianBlur(radius=draw.blur_sigma))
    return np.asarray(pil.hflip(view) if draw.flip else view)


def drawn(augmentation: MoCoAugmentation, seed: int, index: int = 0) -> ViewDraw:
    return augmentation.draw(np.random.default_rng(seed).random(NUMBERS_PER_VIEW).tolist(), 250, 250, index)


@pytest.mark.external
@pytest.mark.parametrize(
    ("augmentation", "index", "mean", "most"),
    [
        (MoCoAugmentation(), 0, 0.8, 1.7),
        (MoCoAugmentation(size_px=96), 0, 1.3, 2.2),
        (MultiCropAugmentation(), 0, 0.9, 2.0),
        (MultiCropAugmentation(), 2, 1.0, 1.9),
    ],
)
def test_whole_views_are_close_to_pils(augmentation, index, mean, most):
    found, size_px = [], augmentation.sizes_px[index]
    for seed in range(40):
        image, draw = natural_image(seed % 5), drawn(augmentation, seed, index)
        ours, theirs = view(image, draw, size_px), pil_view(image, draw, size_px)
        found.append(np.abs(ours.astype(int) - theirs).mean())
    assert np.mean(found) < mean
    assert np.max(found) < most


@pytest.mark.parametrize("crop", [Crop(20, 30, 120, 90), Crop(0, 0, 250, 250)], ids=["enlarged", "reduced"])
def test_steps_are_made_in_their_order_at_either_resolution(crop):
    image = natural_image(1)
    colourful = ViewDraw(crop=crop, jitter=((ADJUSTMENTS[0], 0.5),), grayscale=False, blur_sigma=None, flip=False)
    darker = view(image, colourful, 160)
    assert darker.mean() == pytest.approx(view(image, colourful._replace(jitter=()), 160).mean() / 2, abs=0.6)
    assert np.array_equal(view(image, colourful._replace(flip=True), 160), darker[:, ::-1])
    gray = view(image, colourful._replace(grayscale=True), 160)
    assert np.array_equal(gray[..., 0], gray[..., 1])
    assert np.array_equal(gray[..., 0], gray[..., 2])
    assert np.abs(gray[..., 0] - darker @ [0.299, 0.587, 0.114]).mean() < 1
    blurred = view(image, colourful._replace(blur_sigma=2.0), 160).astype(int)
    assert np.abs(np.diff(blurred, axis=0)).mean() < np.abs(np.diff(darker.astype(int), axis=0)).mean() * 0.8
    assert np.abs(np.diff(blurred, axis=1)).mean() < np.abs(np.diff(darker.astype(int), axis=1)).mean() * 0.8


def test_view_leaves_its_image_untouched():
    image = IMAGES[0].copy()
    augmentation = MoCoAugmentation(size_px=224, min_scale=1.0, jitter_probability=1.0)
    for seed in range(10):
        draw = augmentation.draw(np.random.default_rng(seed).random(NUMBERS_PER_VIEW).tolist(), 224, 224)
        view(image, draw, 224)
    assert np.array_equal(image, IMAGES[0])


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
