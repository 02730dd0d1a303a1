import numpy as np

from trainers.data.ingest.margins import Margins, find_margins, resize


def test_noise_in_a_margin_is_not_taken_for_the_picture():
    image = np.zeros((100, 160, 3), np.uint8)
    image[10:90, 30:140] = 120
    image[::7, ::9] = 255
    assert find_margins([image]) == Margins(left=30, top=10, right=20, bottom=10)


def test_small_images_are_enlarged_and_large_ones_averaged():
    stripes = np.tile(np.array([0, 200], np.uint8), (8, 4))[..., None].repeat(3, axis=2)
    assert np.all(resize(stripes, 4) == 100)
    assert resize(stripes, 16).shape == (16, 16, 3)
