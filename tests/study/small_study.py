"""A study whose stages are made up in a moment: plausible predictions, curves, and the real Evaluate."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from study import Choice, Published, Row, Study, Trial
from study.core.graph import walk
from study.core.plan import make_plan
from study.core.store import Store
from study.execution.events import Observer, Outcome
from study.execution.local import run
from trainers.artifacts.history import PRETRAINING, TEMPORAL, write_history
from trainers.artifacts.predictions import VideoPredictions, write_predictions
from trainers.evaluation.evaluate import Evaluate
from trainers.stage import InputError, Resources, Stage, Work

PHASES = (
    "Preparation",
    "CalotTriangleDissection",
    "ClippingCutting",
    "GallbladderDissection",
    "GallbladderPackaging",
    "CleaningCoagulation",
    "GallbladderRetraction",
)
FPS = 0.5

Labels = npt.NDArray[np.int8]
CONTEXT = {
    "preset": "corrected",
    "scale": "demo",
    "dataset": "synthetic",
    "date": "2026-01-02",
    "command": "`freelunch run tiny`",
}


@dataclass(frozen=True, kw_only=True)
class Quick(Stage):
    def expected_seconds(self) -> float:
        return 0.01


@dataclass(frozen=True, kw_only=True)
class Video(Quick):
    name: str

    def run(self, work: Work) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Pretrain(Quick):
    """Curves that fall and rise; `quality` says how far."""

    curves: ClassVar[str] = PRETRAINING

    videos: tuple[Video, ...]
    start: "Pretrain | None" = None
    quality: float = 0.0
    distils: bool = False
    probes: bool = True
    seed: int = 0

    def run(self, work: Work) -> None:
        random = np.random.default_rng(self.seed)
        records = []
        for epoch in range(1, 11):
            record = {"epoch": float(epoch), "loss_contrastive": 7 - (2 + self.quality) * (1 - np.exp(-epoch / 4))}
            if self.distils:
                record["loss_distillation"] = 1.5 * float(np.exp(-epoch / 3)) + 0.02 * self.quality
            if self.probes:
                record["knn_accuracy"] = 40 + (25 + 6 * self.quality) * (1 - float(np.exp(-epoch / 3)))
                record["knn_accuracy"] += float(random.normal(0, 1))
            records.append(record)
            work.epoch(epoch, record)
        write_history(work.output, records)


@dataclass(frozen=True, kw_only=True)
class TrainTemporal(Quick):
    curves: ClassVar[str] = TEMPORAL

    encoder: Stage
    seed: int = 0

    def run(self, work: Work) -> None:
        records = [{"epoch": e + 1, "loss": 2 * 0.9**e, "validation_accuracy": 90 - 50 * 0.8**e} for e in range(12)]
        write_history(work.output, records)


@dataclass(frozen=True, kw_only=True)
class Predict(Quick):
    """Predicts test videos with errors: late transitions, and short slips that the temporal model would smooth."""

    model: Stage
    error: float
    num_videos: int
    seed: int
    fails: bool = False

    def run(self, work: Work) -> None:
        if self.fails:
            raise InputError("the disk of the moon is full: free some space.")
        write_predictions(work.output, [self._video(index) for index in range(self.num_videos)])

    def _video(self, index: int) -> VideoPredictions:
        world = np.random.default_rng(index)
        lengths = (world.gamma(6, (6, 30, 10, 34, 5, 10, 4)) * 2).astype(int) + 8
        if index == 1:
            lengths[5] = 0
        truth = np.repeat(np.arange(7, dtype=np.int8), lengths)
        random = np.random.default_rng((index, self.seed, int(1000 * self.error)))
        return VideoPredictions(
            video=f"video{index + 41}",
            frames=np.arange(len(truth), dtype=np.int32) * 50,
            truth=truth,
            prediction=_confused(truth, self.error * random.uniform(0.5, 1.5), 14, random),
            framewise=_confused(truth, 1.6 * self.error, 2, random),
        )


def _confused(truth: Labels, error: float, run_length: int, random: np.random.Generator) -> Labels:
    starts = np.flatnonzero(random.random(len(truth)) < error / run_length)
    prediction = truth.copy()
    for start in starts:
        prediction[start : start + run_length] = np.clip(truth[start] + random.choice((-1, 1, 2)), 0, 6)
    return prediction


def student(conditions: int, *, seed: int, teacher: str = "head", error: float = 0.25, fails: bool = False) -> Evaluate:
    """`conditions` is the number of test videos."""
    videos = tuple(Video(name=f"video{i:02}") for i in range(1, 5))
    free = Pretrain(videos=(Video(name="generic"),), probes=False)
    quality = {"none": 0.2, "head": 1.5, "backbone": 1.0, "all": 0.7}[teacher]
    start = free if teacher == "none" else Pretrain(videos=videos, start=free, probes=False, quality=quality)
    encoder = Pretrain(videos=videos, start=start, quality=quality, distils=True, seed=seed)
    return evaluated(encoder, error=error - 0.05 * quality, num_videos=conditions, seed=seed, fails=fails)


def public(conditions: int, *, seed: int) -> Evaluate:
    free = Pretrain(videos=(Video(name="generic"),), probes=False)
    return evaluated(free, error=0.4, num_videos=conditions, seed=seed)


def constant(conditions: int, *, seed: int) -> Evaluate:
    return evaluated(Video(name="nothing"), error=0.9, num_videos=conditions, seed=0)


def evaluated(encoder: Stage, *, error: float, num_videos: int, seed: int, fails: bool = False) -> Evaluate:
    model = TrainTemporal(encoder=encoder, seed=seed)
    predictions = Predict(model=model, error=error, num_videos=num_videos, seed=seed, fails=fails)
    return Evaluate(predictions=predictions, fps=FPS, phases=PHASES)


PUBLISHED = Published(
    source="Somebody, Table 3",
    rows={
        "none": {"accuracy": (84.7, 11.0), "precision": (67.5, 11.4), "recall": (84.2, 8.2), "jaccard": (79.6, 8.8)},
        "head": {"accuracy": (87.3, 9.5), "precision": (73.5, 9.9), "recall": (85.1, 7.6), "jaccard": (86.1, 6.9)},
        "all": {"accuracy": (85.2, 10.9), "precision": (71.3, 10.4), "recall": (85.1, 5.7), "jaccard": (85.8, 6.5)},
    },
    note="Two columns are evidently interchanged: |pred ∪ gt| is never smaller than |pred|.",
    swapped=("precision", "jaccard"),
)

STUDY = Study(
    name="tiny",
    title="What of the teacher should be <trained>?",
    question="Does a teacher whose head alone is trained teach better?",
    recipe=student,
    axes={"teacher": Choice(("none", "head", "all"), ("teacher as it is", "head trained", "everything trained"))},
    rows=(
        Row(name="public", title="free weights alone", recipe=public, baseline=True),
        Row(name="constant", title="constant", recipe=constant, baseline=True),
    ),
    reference="head",
    published=PUBLISHED,
)


def compute(trials: tuple[Trial, ...], home: Path) -> tuple[Store, Outcome]:
    """The trials' stages, computed into a store."""
    store = Store(home)
    return store, run(make_plan(trials, store), store, lambda stage: Resources(), Observer())


def stages_named(trial: Trial, name: str) -> list[str]:
    """Keys of a trial's stages of a class."""
    return [stage_key for stage_key, stage in walk(trial.stage).items() if type(stage).__name__ == name]
