"""Cases to score: truth and prediction of a video, given or drawn."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from hypothesis import strategies as st

from trainers.evaluation import metrics
from trainers.evaluation.metrics import AbsentPhase, Relaxation, VideoScores

RELAXATIONS = get_args(Relaxation)


@dataclass(frozen=True)
class Case:
    truth: np.ndarray
    prediction: np.ndarray
    num_phases: int

    def strict(self, absent: AbsentPhase = "undefined_if_absent") -> VideoScores:
        return metrics.strict(self.truth, self.prediction, num_phases=self.num_phases, absent=absent)

    def relaxed(self, relaxation: Relaxation, fps: float) -> VideoScores:
        return metrics.relaxed(self.truth, self.prediction, num_phases=self.num_phases, fps=fps, relaxation=relaxation)


def of(truth: list[int], prediction: list[int], num_phases: int = 3) -> Case:
    return Case(np.array(truth), np.array(prediction), num_phases)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Sequences of runs, as surgery has them, with predictions that come close to the truth or do not."""
    num_phases = draw(st.integers(2, 9))
    phase = st.integers(0, num_phases - 1)
    runs = draw(st.lists(st.tuples(phase, st.integers(1, 8)), min_size=1, max_size=6))
    truth = np.concatenate([np.full(length, value, np.int8) for value, length in runs])
    shifts = draw(st.lists(st.sampled_from([0, 0, 0, -1, 1, 2, -2, 3]), min_size=len(truth), max_size=len(truth)))
    prediction = np.clip(truth + np.array(shifts), 0, num_phases - 1).astype(np.int8)
    return Case(truth, prediction, num_phases)


fps_values = st.sampled_from([0.01, 0.1, 0.2, 0.3, 0.5, 25.0])
