"""Short videos laid out like Cholec80, registered as a dataset."""

from collections.abc import Callable
from pathlib import Path

import pytest

from study.core.graph import key
from trainers.data.datasets import scan
from trainers.data.datasets.dataset import Dataset
from trainers.data.datasets.description import builtin
from trainers.data.datasets.registry import register
from trainers.data.datasets.scan import Scanned

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
