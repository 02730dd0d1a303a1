"""Records of studies and trials in MLflow: names, parameters, tags, scores, artifacts, notes."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from study.analysis.results import TrialResult
from study.analysis.row_predictions import predictions_folder
from study.core.graph import describe, inputs, key, walk
from study.core.store import Store
from study.core.study import Trial
from study.tracking.curves import finish_time
from study.tracking.datasets import log_datasets
from study.tracking.journal import Journal
from study.tracking.run_context import NOTE, RunContext, question, trial_note
from trainers.artifacts import evaluation, predictions
from trainers.stage import Stage

PROBLEM = "freelunch.problem"
PROBLEM_MARK = "\n\n**No result:** "
LONGEST_VALUE = 5000
REPORT_FILES = ("report.html", "overview.png", "table.csv", "results.json")


def log_study(journal: Journal, context: RunContext) -> None:
    """Logs the parent run."""
    journal.open_run(context.opening("", context.name))
    journal.log_params(context.conditions)
    journal.log_params(context.request.settings)
    journal.set_tags({"freelunch.study": context.study.name, "freelunch.command": context.command})
    if not journal.status:
        journal.set_tags({NOTE: question(context)})


def log_trial(journal: Journal, context: RunContext, trial: Trial) -> None:
    """Logs a trial's run before anything of it is computed."""
    journal.open_run(context.opening(key(trial.stage), trial.label))
    varied = {name: str(value)[:LONGEST_VALUE] for name, value in trial.parameters.items()}
    journal.log_params({"row": trial.row.name, "seed": trial.seed, **varied, **context.conditions})
    stages = walk(trial.stage)
    journal.set_tags(
        {
            "freelunch.study": context.study.name,
            "freelunch.row": trial.row.name,
            "freelunch.seed": str(trial.seed),
            "freelunch.baseline": str(trial.row.baseline).lower(),
            "freelunch.stages": _stage_lines(stages),
            NOTE: trial_note(context, trial),
        }
    )
    log_datasets(journal, trial, context.dataset, context.pretrained_on)
    config = journal.folder / "config.json"
    described = {stage_key: {"title": stage.title, **describe(stage)} for stage_key, stage in stages.items()}
    config.write_text(json.dumps(described, indent=1), encoding="utf-8")
    journal.log_artifact(config)


def log_scores(journal: Journal, result: TrialResult, store: Store) -> None:
    """Logs a finished trial's scores, and the files of its predictions and scores."""
    assert result.scores is not None
    stage_key = key(result.trial.stage)
    values = {
        f"test/{protocol}/{metric}": entry["mean"]
        for protocol, metrics in result.scores.summary.items()
        for metric, entry in metrics.items()
    }
    values |= {
        f"test_phase/{metric}/{phase}": value
        for metric, phases in result.scores.per_phase.items()
        for phase, value in phases.items()
    }
    known = {_metric_name(name): value for name, value in values.items() if value is not None}
    journal.log_metrics(known, 0, finish_time(store, stage_key))
    for path in _result_files(result.trial, store):
        journal.log_artifact(path)


def log_report(journal: Journal, context: RunContext, folder: Path) -> None:
    """Logs the study's results so far: a note with its table, and the report's files."""
    data = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    findings = "\n".join(f"- {sentence}" for sentence in data["findings"])
    journal.set_tags({NOTE: f"{question(context)}\n\n{_markdown_table(data)}\n\n{findings}"})
    for name in REPORT_FILES:
        if (folder / name).exists():
            journal.log_artifact(folder / name)


def log_end(journal: Journal, status: str, problem: str) -> None:
    """Logs how a run ended, and why it has no result where it has none."""
    if problem or journal.tag(PROBLEM):
        note = journal.tag(NOTE).partition(PROBLEM_MARK)[0]
        journal.set_tags({PROBLEM: problem, NOTE: f"{note}{PROBLEM_MARK}{problem}" if problem else note})
    journal.set_status(status)


def _stage_lines(stages: Mapping[str, Stage]) -> str:
    """The stages of a trial, the last first, without those that read nothing, such as videos: config.json has all."""
    lines = [f"{stage_key[:12]} {stage.title}" for stage_key, stage in stages.items() if inputs(stage)]
    return "\n".join(reversed(lines))[:LONGEST_VALUE]


def _result_files(trial: Trial, store: Store) -> Iterator[Path]:
    for folder, names in (
        (predictions_folder(trial, store), (predictions.FILE_NAME,)),
        (store.find(key(trial.stage)), evaluation.FILE_NAMES),
    ):
        if folder is not None:
            yield from (folder / name for name in names if (folder / name).exists())


def _metric_name(text: str) -> str:
    """A metric's name in characters that MLflow takes."""
    return re.sub(r"[^\w.: /-]", "_", text.replace("@", "_at_"), flags=re.ASCII)


def _markdown_table(data: Mapping[str, Any]) -> str:
    lines = ["| row | accuracy, % | published, % |", "|---|---|---|"]
    for row in data["rows"]:
        score = row["protocols"]["strict"]
        lines.append(f"| {row['title']} | {_score(score.get('accuracy'))} | {_published(row['published'])} |")
    return "\n".join(lines)


def _score(score: Mapping[str, Any] | None) -> str:
    if not score or score["mean"] is None:
        return "–"
    return f"{score['mean']:.1f}" + (f" ± {score['std']:.1f}" if score["std"] is not None else "")


def _published(published: Mapping[str, Any]) -> str:
    mean_and_std = published.get("accuracy")
    return f"{mean_and_std[0]} ± {mean_and_std[1]}" if mean_and_std else ""
