import json
from dataclasses import replace
from typing import Any

import pytest

from search_spaces.studies.catalogue import STUDIES
from study import Row, Study
from study.tracking.saved_view import VIEW_TAG, page, readable, saved_view
from tests.study.small_study import STUDY, student

LONGEST_TAG = 20_000
"""What MLflow takes."""


def columns_of(study: Study) -> list[str]:
    state: dict[str, Any] = json.loads(json.loads(saved_view(study))["state"])
    assert state["columnOrder"] == state["selectedColumns"]
    assert state["columnWidths"].keys() == set(state["selectedColumns"])
    return list(state["selectedColumns"])


def test_columns_are_what_varies_then_the_seed_and_the_scores_behind_what_was_asked_for():
    assert columns_of(STUDY) == [
        "params.`teacher`",
        "params.`seed`",
        "params.`scale`",
        "params.`preset`",
        "params.`dataset`",
        "metrics.`test/strict/accuracy`",
        "metrics.`test/strict/precision`",
        "metrics.`test/strict/recall`",
        "metrics.`test/strict/jaccard`",
        "metrics.`test/strict/f1`",
        "metrics.`pretrain/knn_accuracy`",
    ]


def test_a_study_of_several_hyperparameters_shows_each_once():
    rows = (
        Row(name="a", title="A", parameters={"teacher": "head", "error": 0.1}),
        Row(name="b", title="B", parameters={"error": 0.2}),
    )
    study = replace(STUDY, axes={}, rows=rows, reference=None)
    assert columns_of(study)[:3] == ["params.`teacher`", "params.`error`", "params.`seed`"]


def test_a_study_whose_rows_set_nothing_shows_the_row():
    study = replace(STUDY, axes={}, rows=(Row(name="a", title="A", recipe=student),), reference=None)
    assert columns_of(study)[:2] == ["params.`row`", "params.`seed`"]


def test_every_chart_stands_in_a_section_of_the_view():
    state = json.loads(json.loads(saved_view(STUDY))["state"])
    sections = {section["uuid"]: section for section in state["compareRunSections"]}
    assert len(sections) == len(state["compareRunSections"])
    assert all(sections[chart["metricSectionId"]]["display"] for chart in state["compareRunCharts"])


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_views_of_the_named_studies_fit_into_a_tag(study: Study):
    assert len(saved_view(study)) <= LONGEST_TAG


@pytest.mark.parametrize(("version", "is_read"), [("3.17.2", True), ("3.18.0", False), ("3.1", False), ("", False)])
def test_versions_whose_format_is_unknown_get_no_view_and_keep_the_other_tags(version: str, is_read: bool):
    assert readable({VIEW_TAG: "view", "other": "kept"}, version).keys() - {"other"} == (
        {VIEW_TAG} if is_read else set()
    )


def test_a_page_is_shown_through_the_view_where_there_is_one():
    runs = "#/experiments/7/runs?workflowType=machine_learning"
    assert page("7", {}) == runs
    assert page("7", {VIEW_TAG: ""}) == f"{runs}&viewStateShareKey=freelunch"
