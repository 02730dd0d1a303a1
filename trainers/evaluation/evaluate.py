"""Evaluation of stored predictions under every protocol: the last stage of a trial."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainers.artifacts.evaluation import write_summary, write_values
from trainers.artifacts.predictions import VideoPredictions, read_predictions
from trainers.evaluation.metrics import AbsentPhase
from trainers.evaluation.panel import Panel, per_phase_rows, per_video_rows, summary_entry
from trainers.fields import Rate
from trainers.stage import InputError, Stage, Work


@dataclass(frozen=True, kw_only=True)
class Evaluate(Stage):
    """Scores predictions of phases; frames whose truth is unknown, in holes of the annotation, do not count.

    A hole neither ends a segment nor starts one: the edit score and the overlap of segments are those of the labelled
    rows, joined; the window of the relaxed protocols is counted in the time of the video, holes included.

    The artifact holds

    - `summary.json`: by protocol and metric the mean, the standard deviation, and whether that one is over videos
      or phases; `num_videos`, `num_frames` (the ones that count) and `phases`. Undefined values are null, such as the
      standard deviation over a single video.
    - `per_video.parquet` and `per_phase.parquet`: the values that these are means of.

    The protocols are `strict`, `relaxed_fixed`, `relaxed_official` and, where the frame classifier's own predictions
    are known, `framewise`: the strict metrics of those.

    Attributes:
        predictions: the stage whose artifact holds the predictions.
        fps: frame rate of the predictions' rows.
        relaxed_fps: frame rate that the relaxed window of 10 s assumes, where it is not `fps`. The authors' code takes
            25 for rows at 5 fps.
        phases: names of the phases, in index order.
        absent: how a phase that a video's ground truth lacks counts in the strict metrics.
    """

    predictions: Stage
    fps: Rate
    relaxed_fps: Rate | None = None
    phases: tuple[str, ...]
    absent: AbsentPhase = "undefined_if_absent"

    def run(self, work: Work) -> None:
        folder = work.inputs["predictions"]
        videos = [self._checked(video, folder) for video in read_predictions(folder)]
        if not videos:
            raise InputError(f"{folder} holds no predictions: there is nothing to evaluate")
        protocols = self._panel().scored(videos)
        write_summary(
            work.output,
            {
                name: {metric: summary_entry(each) for metric, each in p.summary.items()}
                for name, p in protocols.items()
            },
            num_videos=len(videos),
            num_frames=sum(int(np.count_nonzero(video.truth >= 0)) for video in videos),
            phases=self.phases,
        )
        write_values(work.output, per_video_rows(protocols), per_phase_rows(protocols, self.phases))

    def expected_seconds(self) -> float:
        return 0.1

    @property
    def std_of_one(self) -> float:
        """Standard deviation over a single video or phase: undefined; subclasses change it."""
        return math.nan

    def _panel(self) -> Panel:
        return Panel(
            num_phases=len(self.phases),
            relaxed_fps=self.fps if self.relaxed_fps is None else self.relaxed_fps,
            absent=self.absent,
            std_of_one=self.std_of_one,
        )

    def _checked(self, video: VideoPredictions, folder: Path) -> VideoPredictions:
        """A video, once all labels of its rows whose truth is known are found to name a phase."""
        known = video.truth >= 0
        if not known.any():
            raise InputError(f"{folder}: {video.video} has no labelled frame; leave it out of the test videos")
        for labels in (video.truth, video.prediction, video.framewise):
            unknown = set() if labels is None else set(labels[known].tolist()) - set(range(len(self.phases)))
            if unknown:
                place, last = f"{folder}: {video.video}", len(self.phases) - 1
                raise InputError(f"{place} has phase {min(unknown)}, but Evaluate.phases names only 0 to {last}")
        return video
