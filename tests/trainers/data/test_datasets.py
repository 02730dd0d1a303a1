import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from study.graph import key
from trainers.data import datasets
from trainers.data.datasets import Dataset, load, names, register
from trainers.data.recording import digest
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
def digested(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the videos that were read from end to end."""
    read: list[str] = []

    def counted(path: Path) -> str:
        if path.suffix == ".mp4":
            read.append(path.name)
        return digest(path)

    monkeypatch.setattr(datasets, "digest", counted)
    return read


def registered(tmp_path: Path, root: Path, name: str = "mine") -> Dataset:
    return register(tmp_path / "datasets", name, "cholec80", root, report=lambda video: None)


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
    register(tmp_path / "datasets", "mine", "cholec80", root, report=heard.append)
    assert sorted(heard) == ["video01", "video02", "video03"]


def test_videos_are_known_by_content_wherever_they_lie(tmp_path: Path, root: Path):
    before = keys(registered(tmp_path, root))
    moved = root.rename(tmp_path / "moved")
    assert keys(registered(tmp_path, moved, "other")) == before
    assert len(set(before)) == 3


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


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"recordings": [{}]}'])
def test_a_damaged_record_is_one_sentence_and_registering_mends_it(tmp_path: Path, root: Path, content: str):
    registered(tmp_path, root)
    (tmp_path / "datasets" / "mine.json").write_text(content)
    with pytest.raises(MachineError, match=r"mine\.json cannot be read: `freelunch ingest LAYOUT FOLDER --name mine`"):
        load(tmp_path / "datasets", "mine")
    registered(tmp_path, root)
    load(tmp_path / "datasets", "mine")
