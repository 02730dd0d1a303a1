"""The majority class: what it counts, what it predicts, and how it fares."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from study.core.graph import inputs
from trainers.artifacts.predictions import VideoPredictions, read_predictions
from trainers.data.frames import Frame, write_frames
from trainers.data.ingest.video import Ingest, Source
from trainers.recognition.baselines import MajorityClass
from trainers.stage import InputError, Work

BLACK = np.zeros((8, 8, 3), np.uint8)


@dataclass(frozen=True, kw_only=True)
class FakeVideo(Ingest):
    """A recording whose frame store the test writes itself."""

    def open(self, threads: int) -> Source:
        raise AssertionError("its store is there already")

    def expected_seconds(self) -> float:
        return 0.0


def video(name: str) -> FakeVideo:
    """A recording stored at 5 fps."""
    return FakeVideo(
        name=name,
        video_digest=name,
        annotation_digest=None,
        phases=("a", "b", "c"),
        fps=5.0,
        video_path=Path(name),
        annotation_path=None,
    )


def predict(
    folder: Path, *, training: Sequence[Sequence[int]], test: Sequence[Sequence[int]], sample_fps: float = 5.0
) -> list[VideoPredictions]:
    """Labels of frames 0, 5, 10, … of each video -> what the stage predicts of the test videos."""
    training_videos = tuple(video(f"train{i}") for i in range(len(training)))
    test_videos = tuple(video(f"test{i}") for i in range(len(test)))
    stage = MajorityClass(training_videos=training_videos, test_videos=test_videos, sample_fps=sample_fps)
    folders = {}
    for path, labels in zip(inputs(stage), [*training, *test], strict=True):
        folders[path] = folder / path
        folders[path].mkdir()
        frames = (Frame(5 * i, label, BLACK) for i, label in enumerate(labels))
        write_frames(folders[path], frames, source=path, label_names=("a", "b", "c"))
    stage.run(Work(output=folder, inputs=folders))
    return read_predictions(folder)


def test_the_most_frequent_training_label_is_predicted_everywhere(tmp_path: Path) -> None:
    first, second = predict(tmp_path, training=[[0, 0, 2], [2, 2]], test=[[0, 1], [1, 1, 1]])
    assert (first.video, second.video) == ("test0", "test1")
    assert [list(v.prediction) for v in (first, second)] == [[2, 2], [2, 2, 2]]
    assert [list(v.truth) for v in (first, second)] == [[0, 1], [1, 1, 1]]
    assert list(second.frames) == [0, 5, 10]
    assert second.framewise is None


def test_unlabelled_frames_are_not_counted_and_stay_unlabelled(tmp_path: Path) -> None:
    [predicted] = predict(tmp_path, training=[[-1, -1, -1, 1]], test=[[-1, 0]])
    assert list(predicted.prediction) == [1, 1]
    assert list(predicted.truth) == [-1, 0]


def test_rows_are_taken_at_the_sampled_rate(tmp_path: Path) -> None:
    [predicted] = predict(tmp_path, training=[[0, 1, 1, 1, 1]], test=[[0] * 5 + [1] * 6], sample_fps=1.0)
    assert list(predicted.frames) == [0, 25, 50]
    assert list(predicted.truth) == [0, 1, 1]
    assert list(predicted.prediction) == [0, 0, 0]


def test_of_equally_frequent_labels_the_first_phase_wins(tmp_path: Path) -> None:
    [predicted] = predict(tmp_path, training=[[2, 1]], test=[[0]])
    assert list(predicted.prediction) == [1]


def test_training_videos_without_labels_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no frame of the training videos \(train0, train1\) is labelled"):
        predict(tmp_path, training=[[-1], [-1]], test=[[0]])


@pytest.mark.parametrize("sample_fps", [2.0, 25.0])
def test_a_rate_that_does_not_divide_the_stored_one_is_refused(sample_fps: float) -> None:
    with pytest.raises(InputError, match="does not divide the 5 fps at which video01 is stored"):
        MajorityClass(training_videos=(video("video01"),), test_videos=(), sample_fps=sample_fps)
