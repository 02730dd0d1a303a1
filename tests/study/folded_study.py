"""A study in small that is cross-validated: stages of a moment, real evaluations, real folds."""

from dataclasses import dataclass

from search_spaces.protocol.presets import SplitName
from study import Row, Study
from tests.study.small_study import FPS, PHASES, Predict, Pretrain, TrainTemporal, Video
from trainers.artifacts.predictions import write_predictions
from trainers.data.datasets.splits import divided
from trainers.evaluation.evaluate import Evaluate
from trainers.stage import Work


@dataclass(frozen=True, kw_only=True)
class PredictSome(Predict):
    """Predicts the videos of these numbers."""

    tested: tuple[int, ...]

    def run(self, work: Work) -> None:
        write_predictions(work.output, [self._video(index) for index in self.tested])


def folded(conditions: int, *, seed: int, error: float = 0.2, split: SplitName | None = None) -> Evaluate:
    """`conditions` is the number of videos."""
    return evaluated(divided(range(conditions), split or "official").test, seed=seed, error=error)


def evaluated(tested: tuple[int, ...], *, seed: int, error: float) -> Evaluate:
    """The evaluation of some videos by a method with errors of this frequency."""
    model = TrainTemporal(encoder=Pretrain(videos=(Video(name="any"),), quality=len(tested)), seed=seed)
    predictions = PredictSome(model=model, error=error, num_videos=0, seed=seed, tested=tested)
    return Evaluate(predictions=predictions, fps=FPS, phases=PHASES)


STUDY = Study(
    name="folded",
    title="Does it err less?",
    question="Over all videos?",
    recipe=folded,
    rows=(
        Row(name="worse", title="more errors, longer", parameters={"error": 0.3}),
        Row(name="usual", title="errors as usual", parameters={"error": 0.2}),
        Row(name="lost", title="lost", parameters={"error": 0.9}, baseline=True),
    ),
    reference="usual",
)
