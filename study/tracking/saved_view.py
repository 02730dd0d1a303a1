"""Saved view of a study in MLflow: its trials in a flat list, the best first, and their curves.

MLflow documents no format for views. What is written here is what the interface of the named versions writes itself:
a tag of the experiment, whose state holds what to search for, which columns to show, and which charts to draw.
"""

import json
from collections.abc import Mapping
from typing import Any

from study.core.study import Study

VIEW = "freelunch"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
MODEL_TRAINING = "workflowType=machine_learning"
"""Shows the pages for trained models, not those for language models."""
KNOWN_VERSIONS = "3.17."
PRIMARY_METRIC = "test/strict/accuracy"
SORTED_BY = f"metrics.`{PRIMARY_METRIC}`"
SCORES = (PRIMARY_METRIC, *(f"test/strict/{name}" for name in ("precision", "recall", "jaccard", "f1")))
PROBE = "pretrain/knn_accuracy"
CHARTS = {
    PRIMARY_METRIC: "BAR",
    PROBE: "LINE",
    "temporal/validation_accuracy": "LINE",
    "test/strict/f1": "BAR",
    "pretrain/loss": "LINE",
    "temporal/loss": "LINE",
}
"""Three stand in a row: a column each for the test, the pretraining and the temporal model."""
CONDITIONS = {"scale": 65, "preset": 85, "dataset": 90}
"""Parameters that distinguish the trials of two requests in one list, and the widths of their columns in pixels."""
FOLDED_SECTIONS = (
    "pretrain",
    "temporal",
    *(f"test/{protocol}" for protocol in ("strict", "framewise", "relaxed_fixed", "relaxed_official")),
    *(f"test_phase/{metric}" for metric in ("f1", "jaccard", "precision", "recall")),
)
"""Sections that MLflow makes of the other metrics, by their names; it takes long to draw them all."""
SEED_WIDTH_PX, AXIS_WIDTH_PX = 55, 90
"""An axis takes this or, if its name is longer, what its header takes."""
LETTER_PX, MARGINS_PX, ARROW_PX = 6, 20, 20
"""Width of a header: per letter, for margins, and for the arrow of the column that the list is sorted by."""


def readable(tags: Mapping[str, str], version: str) -> dict[str, str]:
    """An experiment's tags, without the view where MLflow of this version may not read it."""
    return {tag: value for tag, value in tags.items() if tag != VIEW_TAG or version.startswith(KNOWN_VERSIONS)}


def saved_view(study: Study) -> str:
    """The value of the experiment's tag that holds the view."""
    state = {**_search(), **_columns(study), **_charts(study.name)}
    # No date: it stands below the views that users save, and stays the same.
    return json.dumps({"name": "Trials, best first", "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)})


def page(experiment_id: str, tags: Mapping[str, str]) -> str:
    """The part of an experiment's address that follows the server's: its runs, through the view where it has one."""
    view = f"&viewStateShareKey={VIEW}" if VIEW_TAG in tags else ""
    return f"#/experiments/{experiment_id}/runs?{MODEL_TRAINING}{view}"


def varied(study: Study) -> list[str]:
    """The hyperparameters that the rows of a study set; the row itself where they set none."""
    return list(dict.fromkeys(name for row in study.all_rows() for name in row.parameters)) or ["row"]


def _search() -> dict[str, Any]:
    """Trials alone, which are flat where they are sorted by a metric."""
    return {"searchFilter": "params.row != ''", "orderByKey": SORTED_BY, "orderByAsc": False}


def _columns(study: Study) -> dict[str, Any]:
    parameters = {name: max(AXIS_WIDTH_PX, _header_width_px(name)) for name in varied(study)}
    parameters |= {"seed": SEED_WIDTH_PX} | CONDITIONS
    widths = {f"params.`{name}`": width for name, width in parameters.items()}
    widths |= {f"metrics.`{name}`": _header_width_px(name) for name in (*SCORES, PROBE)}
    widths[SORTED_BY] += ARROW_PX
    return {"selectedColumns": list(widths), "columnOrder": list(widths), "columnWidths": widths}


def _header_width_px(name: str) -> int:
    return LETTER_PX * len(name) + MARGINS_PX


def _charts(name: str) -> dict[str, Any]:
    charts = [_chart(metric, kind) for metric, kind in CHARTS.items()]
    sections = [_section(VIEW, name, display=True), *(_section(n, n, display=False) for n in FOLDED_SECTIONS)]
    return {
        "compareRunCharts": charts,
        "compareRunSections": sections,
        "isAccordionReordered": True,  # else sections stand in the order of their names
        "runsHiddenMode": "FIRST_20_RUNS",
    }


def _chart(metric: str, kind: str) -> dict[str, Any]:
    return {
        "uuid": f"{VIEW}-{metric}",
        "type": kind,
        "metricKey": metric,
        "displayName": metric,
        "metricSectionId": VIEW,
        "lineSmoothness": 0,
        "useGlobalLineSmoothing": True,
        "useGlobalXaxisKey": True,
        "isGenerated": False,
        "deleted": False,
    }


def _section(uuid: str, name: str, *, display: bool) -> dict[str, Any]:
    return {"uuid": uuid, "name": name, "display": display, "isReordered": True, "deleted": False, "isGenerated": False}
