"""Copies as registration finds them: between the sides of a split, among unlabelled videos, between datasets."""

import shutil
from pathlib import Path

import pytest

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import PRESETS
from search_spaces.protocol.scales import SCALES
from tests.trainers.data.datasets.recoded import recode
from trainers.data.datasets import registry
from trainers.data.datasets.audit import Audit
from trainers.data.datasets.description import builtin
from trainers.data.ingest.findings import Finding, errors_of
from trainers.data.ingest.stretches import Stretch
from trainers.data.synthetic.videos import synthesize
from trainers.runtime.registry import names
from trainers.stage import InputError

EMPTY_BOX = b"\0\0\0\x08free"
"""With it at its end, an MP4 file is another file with the same video."""
NUM_VIDEOS = 6
"""Of which `selection` has two train, one validate and three test."""


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("operations")
    synthesize(root, num_videos=NUM_VIDEOS, minutes=0.12, width=160, height=96)
    return root


@pytest.fixture
def root(operations: Path, tmp_path: Path) -> Path:
    """Videos to do harm to."""
    return Path(shutil.copytree(operations, tmp_path / "root"))


def audit(tmp_path: Path, root: Path, unlabelled: Path | None = None, name: str = "mine") -> Audit:
    return registry.audit(tmp_path / "datasets", name, builtin("cholec80"), root, lambda video: None, unlabelled)


def put_copy(root: Path, source: int, target: int) -> None:
    """Puts a copy of a video, re-encoded, resized and cropped, in the place of another."""
    videos, annotations = root / "videos", root / "phase_annotations"
    changes = {"scale": (0.75, 0.75), "cropped": (0.08, 0.0, 0.1, 0.05)}
    recode(videos / f"video0{source}.mp4", videos / f"video0{target}.mp4", **changes)  # type: ignore[arg-type]
    shutil.copy(annotations / f"video0{source}-phase.txt", annotations / f"video0{target}-phase.txt")


def about_copies(audited: Audit) -> list[Finding]:
    return [each for each in audited.findings if "same frames" in each.message or "recordings of" in each.message]


def test_operations_of_one_hospital_are_no_copies(tmp_path: Path, root: Path):
    audited = audit(tmp_path, root)
    assert audited.findings == ()
    assert all(each.copies == () and each.stretches == () for each in audited.dataset.recordings)


@pytest.mark.parametrize(("source", "target", "side"), [(1, 5, "tests"), (2, 3, "validates"), (3, 6, "tests")])
def test_a_copy_on_another_side_of_the_split_is_an_error(
    tmp_path: Path, root: Path, source: int, target: int, side: str
):
    put_copy(root, source, target)
    (found,) = about_copies(audited := audit(tmp_path, root))
    assert found.severity == "error"
    assert found.path == str(root / "videos" / f"video0{target}.mp4")
    assert f"shows the same frames as {root}/videos/video0{source}.mp4" in found.message
    assert found.message.endswith(f"where this one {side}")
    with pytest.raises(InputError, match="same frames"):
        registry.write(tmp_path / "datasets", audited)
    assert names(tmp_path / "datasets") == []


@pytest.mark.parametrize(("source", "target"), [(1, 2), (5, 6)])
def test_a_copy_on_the_same_side_is_a_warning(tmp_path: Path, root: Path, source: int, target: int):
    put_copy(root, source, target)
    (found,) = about_copies(audited := audit(tmp_path, root))
    assert found.severity == "warning"
    recordings = registry.write(tmp_path / "datasets", audited).recordings
    assert recordings == registry.load(tmp_path / "datasets", "mine").recordings
    assert recordings[source - 1].copies == (recordings[target - 1].video_digest,)
    assert recordings[target - 1].copies == (recordings[source - 1].video_digest,)


@pytest.mark.parametrize(("source", "severity"), [(6, "error"), (3, "error"), (1, "warning")])
def test_an_unlabelled_copy_is_an_error_unless_the_video_trains(tmp_path: Path, root: Path, source: int, severity: str):
    more = tmp_path / "more"
    more.mkdir()
    recode(root / "videos" / f"video0{source}.mp4", more / "copy.mp4", scale=(0.5, 0.5), rate=30)
    (found,) = about_copies(audit(tmp_path, root, more))
    assert (found.severity, found.path) == (severity, str(more / "copy.mp4"))


def test_copies_in_another_dataset_are_a_warning_and_refused_for_transfer(tmp_path: Path, operations: Path, root: Path):
    first = registry.write(tmp_path / "datasets", audit(tmp_path, operations, name="first"))
    other = tmp_path / "other"
    synthesize(other, num_videos=NUM_VIDEOS, minutes=0.12, width=160, height=96, seed=1)
    put_copy(root, 6, 1)
    (other / "videos" / "video01.mp4").write_bytes((root / "videos" / "video01.mp4").read_bytes())
    shutil.copy(root / "phase_annotations" / "video01-phase.txt", other / "phase_annotations" / "video01-phase.txt")
    (found,) = about_copies(audited := audit(tmp_path, other, name="second"))
    assert found.severity == "warning"
    assert found.message == f"shows the same frames as {operations}/videos/video06.mp4 of dataset 'first'"
    second = registry.write(tmp_path / "datasets", audited)
    here = Conditions(preset=PRESETS["corrected"], scale=SCALES["demo"], dataset=first, pretrain_on=second)
    with pytest.raises(InputError, match=r"video06\.mp4, which tests encoders in first, is the same video as"):
        here.pretraining_videos()


@pytest.mark.parametrize("more", [b"", EMPTY_BOX])
def test_a_dataset_that_is_registered_twice_is_one_warning(tmp_path: Path, root: Path, more: bytes):
    registry.write(tmp_path / "datasets", audit(tmp_path, root, name="first"))
    for video in (root / "videos").iterdir():
        video.write_bytes(video.read_bytes() + more)
    (found,) = audit(tmp_path, root, name="second").findings
    assert errors_of([found]) == ()
    assert found.message == "has 6 recordings of dataset 'first': video01, video02, video03, …"


def test_stretches_are_told_and_recorded(tmp_path: Path, operations: Path, root: Path):
    import numpy as np

    more = tmp_path / "more"
    more.mkdir()
    long = tmp_path / "long"
    synthesize(long, num_videos=1, minutes=0.5, width=160, height=96, seed=3)
    recode(
        long / "videos" / "video01.mp4",
        more / "out.mp4",
        changed=lambda index, frames: np.zeros_like(frames[0]) if 100 <= index < 500 else frames[index],
    )
    audited = audit(tmp_path, root, more)
    assert [each.message for each in audited.findings] == [
        "is black from 0:00:04.0 to 0:00:20.0, which pre-training leaves out unless `--set stretches=kept`"
    ]
    assert audited.dataset.recordings[-1].stretches == (Stretch(kind="black", start=4.0, stop=20.0),)
    assert audited.dataset.videos(fps=5, size_px=64)[-1].stretches == ((100, 500),)
