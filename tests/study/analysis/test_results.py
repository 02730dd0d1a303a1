from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from study.analysis.results import curve_stages, read_results, read_trial, starting_points_of
from study.core.graph import key
from study.core.store import Store
from study.core.study import Row, Study, Trial
from tests.study.small_study import Quick, compute
from trainers.artifacts.history import write_history
from trainers.stage import InputError, Stage, Work


@dataclass(frozen=True, kw_only=True)
class Tuned(Quick):
    """A stage of a user's own, with curves of its own name."""

    curves: ClassVar[str] = "tuning"

    loss: float
    start: "Tuned | None" = None

    def run(self, work: Work) -> None:
        write_history(work.output, [{"epoch": 1.0, "loss": self.loss}, {"epoch": 2.0, "loss": self.loss / 2}])


@dataclass(frozen=True, kw_only=True)
class Used(Quick):
    """A last stage that is never finished, so that there are curves and no scores."""

    model: Stage

    def run(self, work: Work) -> None:
        raise InputError("there is nothing to evaluate.")


BASE = Tuned(loss=8.0)


def used(conditions: object, *, seed: int, loss: float = 4.0) -> Stage:
    return Used(model=Tuned(loss=loss, start=BASE))


def base(conditions: object, *, seed: int) -> Stage:
    return Used(model=BASE)


STUDY = Study(
    name="own-curves",
    title="Curves of one's own",
    question="Are they found?",
    recipe=used,
    rows=(Row(name="tuned", title="tuned"), Row(name="base", title="base", recipe=base, baseline=True)),
    reference="tuned",
)


@pytest.fixture
def trials() -> tuple[Trial, ...]:
    return STUDY.trials(None, seeds=(0,))


def test_a_stage_names_its_curves_and_the_last_of_a_trial_is_shown(trials: tuple[Trial, ...], tmp_path: Path):
    store, _ = compute(trials, tmp_path)
    tuned = trials[0]
    assert curve_stages(tuned) == {"tuning": Tuned(loss=4.0, start=BASE)}
    result = read_trial(tuned, store, {}, starting_points_of((tuned,)))
    assert result.curves == {"tuning": {"loss": {1: 4.0, 2: 2.0}}}


def test_curves_of_a_stage_that_others_start_from_are_left_out(trials: tuple[Trial, ...], tmp_path: Path):
    assert starting_points_of(trials) == {key(BASE)}
    by_row = {trial.row.name: read_trial(trial, Store(tmp_path), {}, starting_points_of(trials)) for trial in trials}
    assert by_row["base"].curves == {}
    assert by_row["tuned"].curves == {"tuning": {}}


def test_a_trial_without_its_artifact_keeps_its_line(trials: tuple[Trial, ...], tmp_path: Path):
    results = read_results(STUDY, trials, Store(tmp_path), {trials[0].number: "failed: no disk."})
    assert [row.problems for row in results.rows] == [("seed 0: failed: no disk.",), ("seed 0: not computed yet",)]
