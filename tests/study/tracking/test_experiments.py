import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from study.tracking.mlflow_client import Destination
from study.tracking.saved_view import VIEW_TAG
from study.tracking.uri import default_uri
from tests.study import small_study
from tests.study.small_study import STUDY
from tests.study.tracking.tracked import (
    client_of,
    follow,
    points,
    runs_of,
    tracker,
    trials_of,
)
from trainers.stage import InputError


def view_of(home: Path) -> dict[str, Any]:
    """What the saved view of the experiment says."""
    experiment = client_of(home).get_experiment_by_name("tiny")
    assert experiment is not None
    state: dict[str, Any] = json.loads(json.loads(experiment.tags[VIEW_TAG])["state"])
    return state


def test_the_saved_view_lists_the_trials_alone_the_best_first(home: Path):
    follow(home, trials_of("none", "head", "public"))
    with pytest.raises(KeyboardInterrupt), tracker(home, trials_of("all")):
        raise KeyboardInterrupt
    view = view_of(home)
    order = f"{view['orderByKey']} {'ASC' if view['orderByAsc'] else 'DESC'}"
    found = client_of(home).search_runs(["1"], view["searchFilter"], order_by=[order])
    *scored, unscored = [run.data.metrics.get("test/strict/accuracy") for run in found]
    assert scored == sorted(scored, reverse=True)
    assert [run.info.run_name for run in found][-1] == "all, seed 0"
    assert unscored is None
    assert "tiny demo corrected" not in {run.info.run_name for run in found}


def test_the_saved_view_names_what_trials_log_and_folds_every_other_section(home: Path):
    follow(home, trials_of("head"))
    head, view = runs_of(home)["head, seed 0"].data, view_of(home)
    logged = {f"metrics.`{name}`" for name in head.metrics} | {f"params.`{name}`" for name in head.params}
    assert set(view["selectedColumns"]) <= logged
    charted = {chart["metricKey"] for chart in view["compareRunCharts"]}
    assert charted - head.metrics.keys() == {"pretrain/loss"}  # of which this study's stages log the terms alone
    shown = {section["name"] for section in view["compareRunSections"] if section["display"]}
    assert shown == {"tiny"}
    assert {name.rpartition("/")[0] for name in head.metrics} == {
        section["name"] for section in view["compareRunSections"] if not section["display"]
    }


def test_an_outdated_view_is_renewed_and_a_note_that_a_user_changed_stays(home: Path):
    follow(home, trials_of("public"))
    view, client = view_of(home), client_of(home)
    client.set_experiment_tag("1", VIEW_TAG, "of an earlier version")
    client.set_experiment_tag("1", "mlflow.note.content", "mine")
    with tracker(home, trials_of("public")):
        pass
    assert view_of(home) == view
    assert client.get_experiment("1").tags["mlflow.note.content"] == "mine"


def test_an_mlflow_of_an_unknown_version_gets_no_view(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mlflow.__version__", "3.18.0")
    follow(home, trials_of("public"))
    assert VIEW_TAG not in client_of(home).get_experiment("1").tags
    assert "viewStateShareKey" not in Destination(home, default_uri(home)).pages()["tiny"]


def test_two_studies_of_one_name_with_different_recipes_are_refused(home: Path):
    follow(home, trials_of("public"))
    other = replace(STUDY, recipe=small_study.public, axes={}, reference=None)
    with pytest.raises(InputError, match=r"small_study\.student, and this study's is .*small_study\.public"):
        tracker(home, trials_of("public", study=other), study=other).__enter__()


def test_an_experiment_of_an_earlier_version_goes_on_and_its_recipe_is_brought_up_to_date(home: Path):
    before, now = "search_spaces.rivals.swav", "freelunch.swav"
    experiment = client_of(home).create_experiment("rivals", f"{home}/artifacts", {"freelunch.recipe": before})
    destination = Destination(home, default_uri(home))
    for tag in (now, before):  # the latter from a journal that the earlier version left behind
        assert destination.ensure_experiment("rivals", {"freelunch.recipe": tag}) == experiment
        assert client_of(home).get_experiment(experiment).tags["freelunch.recipe"] == now
    with pytest.raises(InputError, match=r"of the recipe freelunch\.swav, and this study's is freelunch\.moco"):
        destination.ensure_experiment("rivals", {"freelunch.recipe": "freelunch.moco"})


def test_a_deleted_experiment_is_restored_and_said(home: Path, caplog: pytest.LogCaptureFixture):
    follow(home, trials_of("head"))
    before = points(home, runs_of(home)["head, seed 0"])
    client_of(home).delete_experiment("1")
    with tracker(home, trials_of("head")):
        pass
    assert "restored" in caplog.text
    assert points(home, runs_of(home)["head, seed 0"]) == before
