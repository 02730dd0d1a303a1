import json
import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from study.core.graph import key
from tests.odd_paths import odd_path
from tests.trainers.data.timed_videos import Coding, turn, write
from trainers.data.datasets import registry, scan
from trainers.data.datasets.dataset import Dataset
from trainers.data.datasets.description import builtin, parse
from trainers.data.datasets.frame_folders import FrameFolder
from trainers.data.datasets.registry import load, register
from trainers.data.datasets.scan import Scanned
from trainers.data.ingest.findings import FoundError
from trainers.data.ingest.video import Video
from trainers.runtime.registry import names
from trainers.stage import InputError, MachineError

Encode = Callable[..., Path]
PHASES = ("Preparation", "CalotTriangleDissection")


@pytest.fixture
def root(tmp_path: Path, encode_video: Encode) -> Path:
    """Three short videos laid out like Cholec80."""
    root = tmp_path / "cholec80"
    (root / "videos").mkdir(parents=True)
    (root / "phase_annotations").mkdir()
    for number in (1, 2, 3):
        encode_video(root / "videos" / f"video0{number}.mp4", 25 + number)
        annotate(root, number, 25 + number)
    return root


def annotate(root: Path, number: int, num_frames: int, phase: str = PHASES[0]) -> None:
    rows = [f"{frame}\t{phase}\n" for frame in range(num_frames)]
    (root / "phase_annotations" / f"video0{number}-phase.txt").write_text("Frame\tPhase\n" + "".join(rows))


@pytest.fixture
def digested(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the videos that were read from end to end."""
    read: list[str] = []

    def counted(path: Path) -> Scanned:
        read.append(path.name)
        return scanned(path)

    scanned = scan._scan_video
    monkeypatch.setattr(scan, "_scan_video", counted)
    return read


def registered(tmp_path: Path, root: Path, name: str = "mine") -> Dataset:
    return register(tmp_path / "datasets", name, builtin("cholec80"), root, report=lambda video: None)


def keys(dataset: Dataset) -> list[str]:
    return [key(video) for video in dataset.videos(fps=5, size_px=64)]


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


def test_unchanged_videos_are_not_read_again(tmp_path: Path, root: Path, digested: list[str]):
    registered(tmp_path, root)
    assert sorted(digested) == ["video01.mp4", "video02.mp4", "video03.mp4"]
    digested.clear()
    registered(tmp_path, root)
    assert digested == []


def test_only_the_changed_video_is_read_again_and_is_another_stage(
    tmp_path: Path, root: Path, encode_video: Encode, digested: list[str]
):
    before = keys(registered(tmp_path, root))
    digested.clear()
    encode_video(root / "videos" / "video02.mp4", 30)
    after = keys(registered(tmp_path, root))
    assert digested == ["video02.mp4"]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]


@pytest.mark.parametrize("file", ["videos/video02.mp4", "phase_annotations/video02-phase.txt"])
def test_a_file_that_changed_since_is_refused_by_name(tmp_path: Path, root: Path, file: str):
    registered(tmp_path, root)
    stat = (root / file).stat()
    os.utime(root / file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    with pytest.raises(InputError, match=f"{file} changed since dataset 'mine' was ingested") as refused:
        load(tmp_path / "datasets", "mine")
    assert f"`freelunch ingest cholec80 {root} --name mine`" in str(refused.value)
    registered(tmp_path, root)
    load(tmp_path / "datasets", "mine")


def test_a_changed_annotation_makes_another_stage(tmp_path: Path, root: Path):
    before = keys(registered(tmp_path, root))
    annotate(root, 1, 26, PHASES[1])
    after = keys(registered(tmp_path, root))
    assert before[0] != after[0]
    assert before[1:] == after[1:]


def test_a_dataset_whose_files_are_gone_is_still_known(tmp_path: Path, root: Path):
    dataset = registered(tmp_path, root)
    root.rename(tmp_path / "away")
    assert load(tmp_path / "datasets", "mine") == dataset


def test_an_unknown_name_is_told_how_to_register_it(tmp_path: Path, root: Path):
    with pytest.raises(InputError, match=r"no dataset named 'yours' \(registered: none\): `freelunch ingest cholec80"):
        load(tmp_path / "datasets", "yours")
    registered(tmp_path, root)
    with pytest.raises(InputError, match=r"\(registered: mine\)"):
        load(tmp_path / "datasets", "yours")
    with pytest.raises(InputError, match="`freelunch ingest m2cai16 FOLDER --name m2cai16` adds it"):
        load(tmp_path / "datasets", "m2cai16")


@pytest.mark.parametrize("name", ["a/b", "../a", "", ".hidden", "a b"])
def test_a_name_that_is_no_plain_word_is_refused(tmp_path: Path, root: Path, name: str):
    with pytest.raises(InputError, match="cannot name a dataset"):
        registered(tmp_path, root, name)


def test_what_was_read_before_a_failed_try_is_not_read_again(tmp_path: Path, root: Path, digested: list[str]):
    whole = (root / "videos" / "video02.mp4").read_bytes()
    (root / "videos" / "video02.mp4").write_bytes(whole[:-100])
    with pytest.raises(InputError, match=r"video02\.mp4 is truncated"):
        registered(tmp_path, root)
    assert names(tmp_path / "datasets") == []
    digested.clear()
    (root / "videos" / "video02.mp4").write_bytes(whole)
    assert [video.name for video in registered(tmp_path, root).recordings] == ["video01", "video02", "video03"]
    assert digested == ["video02.mp4"]


def test_what_was_read_before_an_interrupt_is_not_read_again(
    tmp_path: Path, root: Path, digested: list[str], monkeypatch: pytest.MonkeyPatch
):
    counted = scan._scan_video

    def interrupted(path: Path) -> Scanned:
        if path.name == "video02.mp4":
            raise KeyboardInterrupt
        return counted(path)

    with monkeypatch.context() as patched:
        patched.setattr(scan, "_scan_video", interrupted)
        with pytest.raises(KeyboardInterrupt):
            registered(tmp_path, root)
    before = set(digested)
    assert "video01.mp4" in before
    digested.clear()
    registered(tmp_path, root)
    assert set(digested) == {"video01.mp4", "video02.mp4", "video03.mp4"} - before


def test_a_damaged_scan_is_made_again(tmp_path: Path, root: Path, digested: list[str]):
    dataset = registered(tmp_path, root)
    for content in ("", "[]", "{", '{"format": 1}'):
        digested.clear()
        for file in (tmp_path / "datasets" / "scans").iterdir():
            file.write_text(content)
        assert registered(tmp_path, root) == dataset
        assert len(digested) == 3


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


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"recordings": [{}]}'])
def test_a_damaged_record_is_one_sentence_and_registering_mends_it(tmp_path: Path, root: Path, content: str):
    registered(tmp_path, root)
    (tmp_path / "datasets" / "mine.json").write_text(content)
    with pytest.raises(MachineError, match=r"mine\.json cannot be read: `freelunch ingest LAYOUT FOLDER --name mine`"):
        load(tmp_path / "datasets", "mine")
    registered(tmp_path, root)
    load(tmp_path / "datasets", "mine")


@pytest.mark.parametrize("field", ["name", "layout", "root", "video", "num_frames", "video_stamp"])
@pytest.mark.parametrize("value", [None, [1], {}, 0.5])
def test_a_record_with_a_value_of_another_type_is_one_sentence(tmp_path: Path, root: Path, field: str, value: object):
    registered(tmp_path, root)
    path = tmp_path / "datasets" / "mine.json"
    record = json.loads(path.read_text())
    (record if field in record else record["recordings"][0])[field] = value
    path.write_text(json.dumps(record))
    with pytest.raises(MachineError, match=r"mine\.json cannot be read"):
        load(tmp_path / "datasets", "mine")


def test_unlabelled_videos_of_any_name_come_last_and_are_on_no_side_of_the_split(
    tmp_path: Path, root: Path, encode_video: Encode
):
    more = tmp_path / "more"
    more.mkdir()
    encode_video(more / "an operation.mp4", 31)
    dataset = register(tmp_path / "datasets", "mine", builtin("cholec80"), root, lambda video: None, more)
    assert load(tmp_path / "datasets", "mine") == dataset
    assert [recording.name for recording in dataset.recordings] == ["video01", "video02", "video03", "an operation"]
    assert dataset.subsets == (None, None, None)
    last = dataset.videos(fps=5, size_px=64)[-1]
    assert isinstance(last, Video)
    assert (last.annotation_digest, last.annotation_path, last.num_source_frames) == (None, None, 31)
    encode_video(more / "an operation.mp4", 32)
    with pytest.raises(InputError, match=rf"ingest cholec80 {root} --unlabelled {more} --name mine` reads it again"):
        load(tmp_path / "datasets", "mine")


def test_a_video_that_is_there_twice_is_refused(tmp_path: Path, root: Path):
    (root / "videos" / "video03.mp4").write_bytes((root / "videos" / "video01.mp4").read_bytes())
    with pytest.raises(InputError, match=r"video03\.mp4 is the same video as .*video01\.mp4: move one of them away"):
        register(tmp_path / "datasets", "mine", builtin("cholec80"), root, lambda video: None)


def test_a_video_that_is_there_twice_in_other_wrapping_is_refused(tmp_path: Path, root: Path):
    free = (8).to_bytes(4, "big") + b"free"  # an empty box, as tools leave them that write a file anew
    (root / "videos" / "video03.mp4").write_bytes((root / "videos" / "video01.mp4").read_bytes() + free)
    with pytest.raises(InputError, match=r"video03\.mp4 is the same video as .*video01\.mp4: move one of them away"):
        register(tmp_path / "datasets", "mine", builtin("cholec80"), root, lambda video: None)


def test_an_annotated_video_among_the_unlabelled_ones_is_refused(tmp_path: Path, root: Path):
    more = tmp_path / "more"
    more.mkdir()
    (more / "copy.mp4").write_bytes((root / "videos" / "video03.mp4").read_bytes())
    with pytest.raises(InputError, match=r"copy\.mp4 is the same video as .*video03\.mp4, which is annotated"):
        register(tmp_path / "datasets", "mine", builtin("cholec80"), root, lambda video: None, more)
    assert names(tmp_path / "datasets") == []


@pytest.mark.parametrize("missing", [True, False])
def test_a_folder_without_unlabelled_videos_is_refused(tmp_path: Path, root: Path, missing: bool):
    more = tmp_path / "more"
    if not missing:
        more.mkdir()
    with pytest.raises(InputError, match="more is not a folder" if missing else "more holds no video like"):
        register(tmp_path / "datasets", "mine", builtin("cholec80"), root, lambda video: None, more)


def test_a_record_of_an_earlier_version_is_read_and_its_videos_keep_their_keys(tmp_path: Path, root: Path):
    dataset = registered(tmp_path, root)
    path = tmp_path / "datasets" / "mine.json"
    record = json.loads(path.read_text())
    for added in ("description", "source", "image_fps"):
        del record[added]
    for video in record["recordings"]:
        for added in ("fps", "num_images", "fold", "images", "oddities"):
            del video[added]
    path.write_text(json.dumps(record))
    earlier = load(tmp_path / "datasets", "mine")
    assert keys(earlier) == keys(dataset)
    assert earlier.described == dataset.described


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


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("folder", "it is a folder"),
        ("dangling link", "a link that leads nowhere"),
        ("loop", "a link that leads nowhere"),
        ("pipe", "a pipe or a device"),
        ("device", "a pipe or a device"),
    ],
)
@pytest.mark.parametrize("file", ["videos/video02.mp4", "phase_annotations/video02-phase.txt"])
def test_what_lies_in_the_place_of_a_file_is_named(tmp_path: Path, root: Path, file: str, kind: str, reason: str):
    odd_path(root / file, kind)
    with pytest.raises(InputError, match=f"{file} is no file: .*{reason}"):
        registered(tmp_path, root)


def test_names_that_are_no_text_are_refused(tmp_path: Path, root: Path, encode_video: Encode):
    for name, reason in ((b"caf\xe9", "it is not UTF-8"), (b"two\nlines", "it holds"), (b"e\xcc\x81", "normal form C")):
        folder = tmp_path / reason
        folder.mkdir()
        encode_video(folder / "whole.mp4", 30).rename(folder / f"{os.fsdecode(name)}.mp4")
        with pytest.raises(InputError, match=f"cannot name a video in {folder}: .*{reason}"):
            register(tmp_path / "datasets", "mine", builtin("cholec80"), root, lambda video: None, folder)


def test_a_folder_that_leads_to_itself_is_refused(tmp_path: Path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match="loop is not a folder"):
        registered(tmp_path, tmp_path / "loop")


def test_names_that_differ_in_case_alone_are_refused(tmp_path: Path, root: Path):
    registered(tmp_path, root, "Mine")
    registered(tmp_path, root, "Mine")
    with pytest.raises(InputError, match="'mine' cannot name a dataset: 'Mine' is there, which is the same but for"):
        registered(tmp_path, root, "mine")


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


def vars_of(stage: Video) -> dict[str, object]:
    return {field.name: getattr(stage, field.name) for field in fields(stage)}


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
