"""Names, links, copies and unlabelled videos among the files of a dataset."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.odd_paths import odd_path
from tests.trainers.data.datasets.registered import Encode, registered
from trainers.data.datasets.description import builtin
from trainers.data.datasets.registry import load, register
from trainers.data.frames import FrameStore
from trainers.data.ingest.video import Video
from trainers.runtime.registry import names
from trainers.stage import InputError, Work


@pytest.mark.parametrize("name", ["a/b", "../a", "", ".hidden", "a b"])
def test_a_name_that_is_no_plain_word_is_refused(tmp_path: Path, root: Path, name: str):
    with pytest.raises(InputError, match="cannot name a dataset"):
        registered(tmp_path, root, name)


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


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything in a folder, which a file written there and removed again would change, too."""
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_mode) for path in (folder, *folder.rglob("*"))}


@pytest.fixture
def read_only(root: Path) -> Iterator[Path]:
    """Videos in folders in which nobody but root may write."""
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for path in (path for path in root.rglob("*") if path.is_file()):
        path.chmod(0o444)
    for folder in folders:
        folder.chmod(0o555)
    yield root
    for folder in folders:
        folder.chmod(0o755)


def test_nothing_is_written_beside_videos_that_are_read_and_stored(tmp_path: Path, read_only: Path):
    before = contents(read_only)
    for stage in registered(tmp_path, read_only).videos(fps=5, size_px=64):
        output = tmp_path / stage.video_digest
        output.mkdir()
        stage.run(Work(output=output))
        assert len(FrameStore(output).frames) == stage.num_source_frames // 5 + 1
    assert load(tmp_path / "datasets", "mine").videos(fps=5, size_px=64)
    assert contents(read_only) == before


def test_no_file_stays_open_of_videos_that_were_audited_and_stored(tmp_path: Path, root: Path):
    registered(tmp_path, root, "earlier")
    before = len(os.listdir("/dev/fd"))
    for stage in registered(tmp_path, root).videos(fps=5, size_px=64):
        stage.run(Work(output=tmp_path))
    assert len(os.listdir("/dev/fd")) == before
