"""Drawn images: each is a function of seed and index, of the class that its label says, unlike the others."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from trainers.data.frames import Frames, FrameStore
from trainers.data.synthetic.drawn_images import DrawnImages, draw
from trainers.data.synthetic.outlines import OUTLINES
from trainers.data.synthetic.textures import TEXTURES, textured
from trainers.data.synthetic.themes import CLASSES, drawn_theme
from trainers.runtime.randomness import numpy_generator
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
    assert not np.array_equal(first, draw(5, 18, 40)[0])


@pytest.mark.parametrize("size_px", [16, 37, 96])
def test_every_texture_and_every_outline_is_drawn_at_every_size(size_px: int) -> None:
    for name in TEXTURES:
        for seed in range(3):
            field = textured(name, numpy_generator(seed, "texture"), size_px)
            assert field.shape == (size_px, size_px), name
            assert field.dtype == np.float32, name
            assert -0.6 < field.min() <= field.max() < 1.6, name
            assert np.isfinite(field).all(), name
    for name, outline in OUTLINES.items():
        middle = np.full(2, size_px / 2)
        masks = [outline(numpy_generator(s, "mask"), size_px, middle, size_px / 4) for s in range(8)]
        assert all(mask.shape == (size_px, size_px) and mask.dtype == np.uint8 for mask in masks), name
        assert any(mask.any() for mask in masks), name


def test_every_class_occurs_and_labels_fit_the_store() -> None:
    labels = {drawn_theme(numpy_generator(0, "theme", index)).label for index in range(1500)}
    assert labels == set(range(len(CLASSES)))
    assert 40 < len(CLASSES) < 128
    assert len(set(CLASSES)) == len(CLASSES)


def test_images_are_rarely_empty_and_their_colours_cover_the_cube() -> None:
    images = [draw(1, index, 48)[0] for index in range(300)]
    contrasts = np.array([image.std(axis=(0, 1)).max() for image in images])
    assert np.mean(contrasts > 5) > 0.95
    means = np.array([image.mean(axis=(0, 1)) for image in images])
    assert (means.std(axis=0) > 30).all()


def test_images_of_a_theme_share_its_class_and_are_more_alike_than_others() -> None:
    images, labels = zip(*(draw(0, index, 32, per_theme=8) for index in range(160)), strict=True)
    colours = np.array([image.mean(axis=(0, 1)) for image in images]).reshape(20, 8, 3)
    assert all(len(set(labels[start : start + 8])) == 1 for start in range(0, 160, 8))
    assert colours.std(axis=1).mean() < 0.6 * colours.std(axis=(0, 1)).mean()
    assert len({image.tobytes() for image in images}) == 160


def test_photographs_of_a_scene_show_the_same_things_at_the_same_places_under_other_exposures() -> None:
    scenes = [[draw(0, 4 * scene + each, 32, per_theme=8, per_scene=4)[0] for each in range(4)] for scene in range(20)]
    for one, other, *_ in scenes:
        assert not np.array_equal(one, other)
    grey = np.array(scenes).mean(axis=-1).reshape(20, 4, -1)
    alike = [np.corrcoef(photographs)[0, 1] for photographs in grey]
    unlike = [np.corrcoef(one[0], other[0])[0, 1] for one, other in pairwise(grey)]
    assert np.median(alike) > 0.9
    assert np.median(unlike) < 0.5


def test_a_scene_is_of_one_theme_where_themes_are_smaller_than_scenes() -> None:
    labels = [draw(0, index, 16, per_theme=1, per_scene=4)[1] for index in range(40)]
    assert all(len(set(labels[start : start + 4])) == 1 for start in range(0, 40, 4))
    assert len(set(labels)) > 5


@pytest.mark.parametrize("per_scene", [1, 2])
def test_parts_of_a_set_are_those_of_the_whole_and_have_its_identity(per_scene: int, tmp_path: Path) -> None:
    sets = {
        "whole": DrawnImages(num_images=7, size_px=32, seed=2, per_theme=2),
        "one": DrawnImages(num_images=3, size_px=32, seed=2, per_theme=2),
        "other": DrawnImages(num_images=4, size_px=32, seed=2, per_theme=2, first=3),
    }
    sets = {name: replace(images, per_scene=per_scene) for name, images in sets.items()}
    for name, images in sets.items():
        (tmp_path / name).mkdir()
        images.run(Work(output=tmp_path / name))
    with Frames([tmp_path / "whole"]) as whole, Frames([tmp_path / "one", tmp_path / "other"]) as parts:
        assert len(whole) == len(parts) == 7
        assert whole.labels.tolist() == parts.labels.tolist()
        for row in range(7):
            np.testing.assert_array_equal(whole.image(row), parts.image(row))
            assert whole.frame_id(row) == parts.frame_id(row)


def test_the_stage_writes_a_store_whose_labels_are_the_classes(tmp_path: Path) -> None:
    DrawnImages(num_images=20, size_px=32, seed=2).run(Work(output=tmp_path))
    with FrameStore(tmp_path) as store:
        assert store.label_names == CLASSES
        assert store.labels.tolist() == [draw(2, index, 32)[1] for index in range(20)]
        far = [np.abs(store.read(index).astype(int) - draw(2, index, 32)[0]).mean() for index in range(20)]
        assert np.median(far) < 12


def test_an_impossible_size_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="images of 8 px"):
        DrawnImages(num_images=5, size_px=8).run(Work(output=tmp_path))
