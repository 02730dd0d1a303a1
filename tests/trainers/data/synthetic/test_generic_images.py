"""Generic images: each is a function of seed and index, of the class that its label says, unlike the others."""

from pathlib import Path

import numpy as np
import pytest

from trainers.data.frames import FrameStore
from trainers.data.synthetic.generic_images import GenericImages, draw
from trainers.data.synthetic.generic_patterns import CLASSES
from trainers.stage import InputError, Work


def test_an_image_depends_on_seed_and_index_alone() -> None:
    first, label = draw(5, 17, 40)
    draw(5, 18, 40)
    again, same_label = draw(5, 17, 40)
    np.testing.assert_array_equal(first, again)
    assert label == same_label
    assert first.shape == (40, 40, 3)
    assert first.dtype == np.uint8
    assert not np.array_equal(first, draw(6, 17, 40)[0])


@pytest.mark.parametrize("size_px", [16, 37, 128])
def test_every_class_is_drawn_at_every_size(size_px: int) -> None:
    labels = {draw(0, index, size_px)[1] for index in range(200)}
    assert labels == set(range(len(CLASSES)))
    assert len(CLASSES) >= 10


def test_images_are_rarely_empty_and_their_colours_cover_the_cube() -> None:
    images = [draw(1, index, 48)[0] for index in range(300)]
    contrasts = np.array([image.std(axis=(0, 1)).max() for image in images])
    assert np.mean(contrasts > 8) > 0.95
    means = np.array([image.mean(axis=(0, 1)) for image in images])
    assert (means.std(axis=0) > 35).all()


def test_the_stage_writes_a_store_whose_labels_are_the_classes(tmp_path: Path) -> None:
    GenericImages(num_images=40, size_px=32, seed=2).run(Work(output=tmp_path))
    with FrameStore(tmp_path) as store:
        assert store.source == "generic-2-32"
        assert store.label_names == CLASSES
        assert store.frames.tolist() == list(range(40))
        assert store.labels.tolist() == [draw(2, index, 32)[1] for index in range(40)]
        blocky = [index for index in range(40) if CLASSES[store.labels[index]] in ("ellipses", "blobs")]
        assert blocky
        for index in blocky:
            assert np.abs(store.read(index).astype(int) - draw(2, index, 32)[0]).mean() < 12


def test_more_images_leave_the_first_ones_as_they_are(tmp_path: Path) -> None:
    for name, num_images in (("few", 3), ("more", 5)):
        (tmp_path / name).mkdir()
        GenericImages(num_images=num_images, size_px=24).run(Work(output=tmp_path / name))
    with FrameStore(tmp_path / "few") as few, FrameStore(tmp_path / "more") as more:
        for row in range(3):
            np.testing.assert_array_equal(few.read(row), more.read(row))


def test_an_impossible_size_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="5 images of 8 px"):
        GenericImages(num_images=5, size_px=8).run(Work(output=tmp_path))
