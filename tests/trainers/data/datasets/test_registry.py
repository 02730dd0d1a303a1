"""Registered datasets: what their recordings are known by, and what is found in them."""

from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from study.core.graph import key
from tests.trainers.data.datasets.registered import annotate, keys, registered
from tests.trainers.data.timed_videos import Coding, turn, write
from trainers.data.datasets import registry
from trainers.data.datasets.description import builtin, parse
from trainers.data.datasets.frame_folders import FrameFolder
from trainers.data.datasets.registry import load, register
from trainers.data.ingest.findings import FoundError
from trainers.data.ingest.video import Video
from trainers.runtime.registry import names
from trainers.stage import InputError


def test_a_registered_dataset_is_loaded_as_it_was(tmp_path: Path, root: Path):
    dataset = registered(tmp_path, root)
    assert load(tmp_path / "datasets", "mine") == dataset
    assert names(tmp_path / "datasets") == ["mine"]
    assert [recording.name for recording in dataset.recordings] == ["video01", "video02", "video03"]
    assert [recording.num_frames for recording in dataset.recordings] == [26, 27, 28]
    assert len(dataset.phases) == 7
    assert dataset.subsets == (None, None, None)


def test_progress_names_every_video(tmp_path: Path, root: Path):
    heard: list[str] = []
    register(tmp_path / "datasets", "mine", builtin("cholec80"), root, report=heard.append)
    assert sorted(heard) == ["video01", "video02", "video03"]


def test_videos_are_known_by_content_wherever_they_lie(tmp_path: Path, root: Path):
    before = keys(registered(tmp_path, root))
    moved = root.rename(tmp_path / "moved")
    assert keys(registered(tmp_path, moved, "other")) == before
    assert len(set(before)) == 3


def test_whoever_asks_for_videos_of_one_rate_and_size_shares_them(tmp_path: Path, root: Path):
    dataset = registered(tmp_path, root)
    first, second, larger = (dataset.videos(fps=5, size_px=size_px) for size_px in (64, 64, 96))
    assert second is first
    assert {video.size_px for video in larger} == {96}
    assert dataset == registered(tmp_path, root), "a dataset is no other for having been asked"


def test_an_unknown_name_is_told_how_to_register_it(tmp_path: Path, root: Path):
    with pytest.raises(InputError, match=r"no dataset named 'yours' \(registered: none\): `freelunch ingest cholec80"):
        load(tmp_path / "datasets", "yours")
    registered(tmp_path, root)
    with pytest.raises(InputError, match=r"\(registered: mine\)"):
        load(tmp_path / "datasets", "yours")
    with pytest.raises(InputError, match=r"no dataset named 'Mine' \(registered: mine\): did you mean 'mine'\?$"):
        load(tmp_path / "datasets", "Mine")
    with pytest.raises(InputError, match=r"^'\.\./x' cannot name a dataset: use letters"):
        load(tmp_path / "datasets", "../x")
    with pytest.raises(InputError, match="`freelunch ingest m2cai16 FOLDER --name m2cai16` adds it"):
        load(tmp_path / "datasets", "m2cai16")


def test_findings_of_all_recordings_come_together(tmp_path: Path, root: Path):
    (root / "videos" / "video01.mp4").write_bytes(b"")
    annotate(root, 2, 27, "Preparatoin")
    annotate(root, 3, 80)
    with pytest.raises(FoundError) as refused:
        registered(tmp_path, root)
    found = {(Path(each.path).name, each.line): each.message for each in refused.value.findings}
    assert found == {
        ("video01.mp4", None): "is empty",
        ("video02-phase.txt", 2): "names the unknown phase 'Preparatoin'",
        (
            "video03-phase.txt",
            None,
        ): "is refused, as video03 has 28 frames but 80 annotated ones, more than 1 s (25 frames) apart",
    }
    assert str(refused.value).endswith(
        "video01.mp4 is empty: copy it again from its source. (2 more errors were found.)"
    )


def test_warnings_do_not_stop(tmp_path: Path, root: Path):
    annotate(root, 3, 27)
    audited = registry.audit(tmp_path / "datasets", "mine", builtin("cholec80"), root, lambda video: None)
    assert [(each.severity, each.message) for each in audited.findings] == [
        ("warning", "has 28 frames but 27 annotated ones: both cut to 27")
    ]
    assert len(registry.write(tmp_path / "datasets", audited).recordings) == 3


def test_folders_of_frames_are_videos_known_by_their_images(tmp_path: Path):
    root = tmp_path / "frames"
    for number in (1, 2):
        (root / f"video0{number}").mkdir(parents=True)
        for index in range(0, 301, 5):
            write_image(root / f"video0{number}" / f"{index:06}.png", (number + index) % 256)
    (root / "phase_annotations").mkdir()
    annotate(root, 1, 301)
    annotate(root, 2, 301)
    dataset = register(tmp_path / "datasets", "mine", builtin("frames"), root, lambda video: None)
    assert load(tmp_path / "datasets", "mine") == dataset
    first, second = dataset.videos(fps=5, size_px=64)
    assert isinstance(first, FrameFolder)
    assert (first.video_path, first.num_source_frames) == (root / "video01", 301)
    write_image(root / "video02" / "000005.png", 201)
    again = register(tmp_path / "datasets", "mine", builtin("frames"), root, lambda video: None)
    assert keys(again)[0] == key(first)
    assert keys(again)[1] != key(second)


def write_image(path: Path, value: int) -> None:
    cv2.imwrite(str(path), np.full((8, 8, 3), value, np.uint8))


def test_what_is_odd_about_pixels_is_seen_at_registration_and_gives_other_keys_to_these_videos_alone(
    tmp_path: Path, root: Path
):
    before = registered(tmp_path, root)
    assert [recording.oddities for recording in before.recordings] == [(), (), ()]
    turn(root / "videos" / "video02.mp4", (0, 1, -1, 0))
    after = registered(tmp_path, root)
    assert [recording.oddities for recording in after.recordings] == [(), ("turned",), ()]
    assert load(tmp_path / "datasets", "mine") == after
    assert [now == then for now, then in zip(keys(after), keys(before), strict=True)] == [True, False, True]
    plain, turned, _ = after.videos(fps=5, size_px=64)
    assert key(turned) != key(replace(turned, oddities=()))
    assert key(plain) == key(Video(**{**vars_of(plain), "oddities": ()}))


def test_varying_times_are_refused_where_frames_are_counted_and_said_where_they_are_taken_by_time(tmp_path: Path):
    (tmp_path / "videos").mkdir()
    write(tmp_path / "videos" / "video01.mkv", [*range(30), *range(80, 120)], Coding())
    for timing in ("index", "seconds"):
        described = parse(
            f'name = "ours"\nphases = ["A"]\nvideos = "videos/{{name}}.mkv"\ntiming = "{timing}"\n', "ours.toml"
        )
        found = registry.audit(tmp_path / "datasets", "ours", described, tmp_path, report=lambda video: None)
        messages = [finding.message for finding in found.findings]
        if timing == "index":
            assert any("shows its frames at irregular times (50 missing" in message for message in messages)
        else:
            assert messages == [
                "is odd: frames come at varying times, 40 to 2040 ms apart",
                "is odd: 1 stretches without a new frame, the first of 2.0 s at 1.2 s",
            ]


def vars_of(stage: Video) -> dict[str, object]:
    return {field.name: getattr(stage, field.name) for field in fields(stage)}
