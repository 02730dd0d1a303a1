"""A user's stage: phases by the time in the operation alone, without an image and without a network.

Run it with `freelunch run docs/examples/phase_by_time.py:phase_by_time --scale demo`; docs/own-study.md explains it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes import evaluated, majority_class
from study import Choice, Curve, Row, Study
from trainers.artifacts.predictions import VideoPredictions, write_predictions
from trainers.data.frames import UNLABELLED, FrameStore
from trainers.data.ingest.video import Ingest
from trainers.evaluation.evaluate import Evaluate
from trainers.fields import Count
from trainers.stage import Stage, Work

Labels = npt.NDArray[np.int8]
Rows = tuple[npt.NDArray[np.int32], Labels]

# 1. The stage: a frozen dataclass, whose fields are its settings and the stages that it reads.


@dataclass(frozen=True, kw_only=True)
class PhaseByTime(Stage):
    """Predicts in every part of an operation the phase that most training frames have in that part.

    Attributes:
        training_videos: the videos whose labels are counted.
        test_videos: the videos to predict.
        num_parts: parts of equal length that every video is cut into.
    """

    training_videos: tuple[Ingest, ...]
    test_videos: tuple[Ingest, ...]
    num_parts: Count

    def run(self, work: Work) -> None:
        phases = self._phases([_rows_of(folder) for folder in work.inputs_of("training_videos")])
        write_predictions(work.output, self._predictions(work.inputs_of("test_videos"), phases))

    def expected_seconds(self) -> float:
        return 0.01 * (len(self.training_videos) + len(self.test_videos))

    def _phases(self, videos: list[Rows]) -> Labels:
        """The phase of every part; that of the part before it where no training frame is labelled."""
        parts = np.concatenate([self._part(len(labels)) for _, labels in videos])
        labels = np.concatenate([labels for _, labels in videos])
        phases = np.zeros(self.num_parts, np.int8)
        for part in range(self.num_parts):
            known = labels[(parts == part) & (labels != UNLABELLED)]
            phases[part] = np.bincount(known).argmax() if len(known) else phases[max(part - 1, 0)]
        return phases

    def _predictions(self, folders: list[Path], phases: Labels) -> Iterator[VideoPredictions]:
        for video, folder in zip(self.test_videos, folders, strict=True):
            frames, truth = _rows_of(folder)
            prediction = phases[self._part(len(frames))]
            yield VideoPredictions(video=video.name, frames=frames, truth=truth, prediction=prediction)

    def _part(self, num_rows: int) -> npt.NDArray[np.int64]:
        """The part of every row of a video."""
        return np.arange(num_rows) * self.num_parts // num_rows


def _rows_of(folder: Path) -> Rows:
    """Frame indices and labels of a video that was ingested."""
    with FrameStore(folder) as store:
        return store.frames, store.labels


# 2. The recipe: it puts the stage between the videos and the metrics. Its keyword arguments are what can be varied.


def by_time(conditions: Conditions, *, seed: int, num_parts: Count = 10) -> Evaluate:
    """Phases by time alone."""
    predictions = PhaseByTime(
        training_videos=conditions.label_draw(seed).videos,
        test_videos=conditions.videos().test,
        num_parts=num_parts,
    )
    return evaluated(conditions, predictions)


# 3. The study.

phase_by_time = Study(
    name="phase_by_time",
    title="How much does the time alone tell?",
    question="Operations take their course: which phase it is can be guessed from the time, without looking.",
    recipe=by_time,
    axes={"num_parts": Choice((2, 5, 10, 20))},
    rows=(Row(name="majority", title="majority class", recipe=majority_class, baseline=True),),
    reference="10",
    curve=Curve(axis="num_parts", title="parts of an operation", log=True),
)
