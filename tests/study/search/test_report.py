"""The report of a search: what it says of early stopping is true, and no interrupt cuts its reading in two."""

import json
import random
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from study.home.interrupts import handle_interrupts
from study.search.figures import curves_figure
from study.search.optuna_study import DUPLICATE, KEY, PARAMETERS, PROBLEM, RUN
from study.search.pruner import SuccessiveHalving
from study.search.report import write_search_report
from study.search.results import SearchResults, epochs_spent, importances
from tests.study.search.stub_search import SEARCH, Conditions, open_study

EPOCHS, EVERY = 200, 10
"""Of a student at scale `full`, and after how many of them its probe looks."""


def looked_at(number: int, state: TrialState, epochs: int, quality: float = 50.0, **attributes: object) -> FrozenTrial:
    """A trial that was trained for so many epochs, and looked at after every tenth."""
    parameters = {"weight": 1.0 + number}
    watched = {epoch: quality + epoch / 100 for epoch in range(EVERY, epochs + 1, EVERY)}
    trial = optuna.create_trial(
        state=state,
        value=quality if state == TrialState.COMPLETE else None,
        params=parameters,
        distributions={"weight": optuna.distributions.FloatDistribution(0.1, 100, log=True)},
        user_attrs={KEY: f"key {number}", PARAMETERS: parameters, **attributes},
        intermediate_values=watched,
    )
    trial.number = number
    return trial


TRIALS = (
    looked_at(0, TrialState.COMPLETE, 200, 80.0),
    looked_at(1, TrialState.PRUNED, 30, 40.0),
    looked_at(2, TrialState.FAIL, 20, **{PROBLEM: "the loss is no longer finite."}),
    looked_at(3, TrialState.PRUNED, 70, 60.0),
    looked_at(4, TrialState.RUNNING, 40, 85.0),
)


def found(trials: Iterable[FrozenTrial], study: optuna.Study | None = None) -> SearchResults:
    study = study or optuna.create_study(study_name="stub", direction="maximize")
    study.add_trials(trials)
    space = SEARCH.bind(Conditions())
    return SearchResults(
        space=space, study=study, halving=SuccessiveHalving(EPOCHS), evaluation=None, context={"scale": "full"}
    )


def written(trials: Iterable[FrozenTrial], folder: Path) -> tuple[str, dict[str, Any]]:
    """The page and the data of a report."""
    write_search_report(found(trials), folder)
    return (folder / "report.md").read_text(), json.loads((folder / "search.json").read_text())


def test_the_epochs_that_are_told_are_those_after_which_trials_are_stopped():
    drawn, halving, trials = random.Random(0), SuccessiveHalving(EPOCHS), []
    for number in range(20):
        trial, quality = looked_at(number, TrialState.RUNNING, 0), drawn.random()
        for epoch in range(EVERY, EPOCHS + 1, EVERY):
            trial.intermediate_values[epoch] = quality + drawn.gauss(0, 0.3)
            if halving.stops(trial, trials, StudyDirection.MAXIMIZE):
                trial.state = TrialState.PRUNED
                break
        trials.append(trial)
    stopped = {trial.last_step for trial in trials if trial.state == TrialState.PRUNED}
    assert set(halving.decision_epochs(trials)) == stopped == {30, 70}


def test_the_report_tells_and_draws_the_epochs_after_which_it_was_decided(tmp_path: Path):
    text, data = written(TRIALS, tmp_path)
    assert "After epoch 30 and 70, one of 3 goes on." in text
    assert data["rungs"] == [30, 70]
    lines = curves_figure(TRIALS, "knn", data["rungs"]).axes[0].get_lines()
    assert [list(line.get_xdata()) for line in lines if line.get_linestyle() == ":"] == [[30, 30], [70, 70]]


def test_of_decisions_that_no_trial_has_come_to_nothing_is_told(tmp_path: Path):
    for epochs, told in ((200, (30, 70)), (60, (30,)), (20, ()), (0, ())):
        assert SuccessiveHalving(EPOCHS).decision_epochs([looked_at(0, TrialState.RUNNING, epochs)]) == told
    text, data = written([looked_at(0, TrialState.RUNNING, 20)], tmp_path)
    assert "goes on" not in text
    assert data["rungs"] == []


def test_the_last_epoch_decides_nothing():
    assert SuccessiveHalving(EVERY).decision_epochs([looked_at(0, TrialState.COMPLETE, EVERY)]) == ()


def test_without_early_stopping_a_trial_that_failed_or_is_at_work_would_have_been_trained_as_long(tmp_path: Path):
    text, _ = written(TRIALS, tmp_path)
    assert epochs_spent(TRIALS) == 200 + 30 + 20 + 70 + 40
    assert "trained for 360 epochs; without early stopping it would have been 660." in text  # three wholes, 20 and 40


def test_a_duplicate_is_no_trial_of_the_report(tmp_path: Path):
    text, data = written([*TRIALS, looked_at(5, TrialState.FAIL, 0, **{DUPLICATE: 1})], tmp_path)
    assert [trial["number"] for trial in data["trials"]] == [0, 1, 2, 3, 4]
    assert "5 trials: 1 completed, 2 stopped early, 1 failed, 1 not finished." in text


def test_the_report_has_what_the_storage_has(tmp_path: Path):
    completed = [looked_at(number, TrialState.COMPLETE, 200, 80.0 - number / 3) for number in range(5, 15)]
    with open_study(tmp_path, SEARCH.bind(Conditions())) as optuna_study:
        optuna_study.study.set_user_attr(RUN, {"0": "a run"})
        write_search_report(found([*TRIALS, *completed], optuna_study.study), tmp_path / "report")
        trials, shares = optuna_study.trials(), importances(optuna_study.study)
    data = json.loads((tmp_path / "report" / "search.json").read_text())
    assert data["optuna_study"] == "stub"
    assert data["importances"] == shares != {}
    assert [trial["mlflow_run"] for trial in data["trials"]] == ["a run", *[None] * 14]
    for told, trial in zip(data["trials"], trials, strict=True):
        assert told["number"] == trial.number
        assert {int(epoch): value for epoch, value in told["watched"].items()} == trial.intermediate_values
        assert told["parameters"] == trial.user_attrs[PARAMETERS]
        assert told["value"] == (trial.value if trial.state == TrialState.COMPLETE else None)


def test_an_interrupt_waits_for_what_is_read_of_the_storage(tmp_path: Path):
    ended: list[str] = []

    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    def end(*execution: Any) -> None:
        ended.append(execution[2])  # the statement

    with open_study(tmp_path, SEARCH.bind(Conditions())) as optuna_study:
        asked, engine = found(TRIALS, optuna_study.study), optuna_study._storage.engine
        sqlalchemy.event.listen(engine, "before_cursor_execute", interrupt, once=True)
        sqlalchemy.event.listen(engine, "after_cursor_execute", end)
        with handle_interrupts(), pytest.raises(KeyboardInterrupt):
            write_search_report(asked, tmp_path / "report")
    assert any("trial_intermediate_values" in statement for statement in ended), "all of it was read"
    assert not (tmp_path / "report").exists()


def test_the_storage_is_left_alone_once_it_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    drawn: list[str] = []
    read_after: set[int] = set()

    def draw(*_: object) -> str:
        drawn.append("a figure")
        return "<svg/>"

    def read(*_: object) -> None:
        read_after.add(len(drawn))

    with open_study(tmp_path, SEARCH.bind(Conditions())) as optuna_study:
        asked = found(TRIALS, optuna_study.study)
        sqlalchemy.event.listen(optuna_study._storage.engine, "before_cursor_execute", read)
        monkeypatch.setattr("study.report.figures.style.to_svg", draw)
        write_search_report(asked, tmp_path / "report")
    assert drawn
    assert read_after == {0}


def test_remarks_on_stages_are_in_the_page_and_in_the_data(tmp_path: Path):
    remark = "Pretrain MoCo 01234567 (trial 0): the loss has not left chance."
    write_search_report(replace(found(TRIALS), remarks=[remark]), tmp_path)
    assert remark in (tmp_path / "report.md").read_text()
    assert json.loads((tmp_path / "search.json").read_text())["remarks"] == [remark]
