"""What MLflow is told of a study and of its trials: names, parameters, datasets, curves, scores, notes."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from study.analysis.results import (
    PER_PHASE,
    PER_VIDEO,
    PREDICTIONS,
    PRETRAINING,
    SUMMARY,
    TEMPORAL,
    TrialResult,
    last_of,
)
from study.core.graph import describe, inputs, key, walk
from study.core.recipe import identity_of
from study.core.store import Store
from study.core.study import Study, Trial
from study.home.request import Request
from study.tracking.journal import Journal
from study.tracking.saved_view import PRIMARY_METRIC, VIEW_TAG, saved_view
from trainers.stage import Stage

NOTE = "mlflow.note.content"
PROBLEM = "freelunch.problem"
PROBLEM_MARK = "\n\n**No result:** "
CURVES = {PRETRAINING: "pretrain", TEMPORAL: "temporal"}
"""What the curves of a class of stages are called."""
LONGEST_VALUE = 5000
NOT_A_METRIC = ("epoch", "fraction")
SPEED = ("frames_per_second", "data_wait")
"""What stages report within an epoch alone."""
REPORT_FILES = ("report.html", "overview.png", "table.csv", "results.json")


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What a run of a study has in common: who asked for what."""

    study: Study
    request: Request
    dataset: str
    command: str

    @property
    def id(self) -> str:
        """What the runs of this request are found by."""
        return self.request.folder(Path()).name

    @property
    def name(self) -> str:
        settings = [f"{name}={value}" for name, value in sorted(self.request.settings.items())]
        dataset = [self.request.dataset] if self.request.dataset else []
        return " ".join([self.study.name, self.request.scale, self.request.preset, *dataset, *settings])

    @property
    def experiment(self) -> dict[str, Any]:
        """The experiment's name, and the tags that MLflow's interface reads."""
        return {
            "name": self.study.name,
            "tags": {
                "mlflow.experimentKind": "custom_model_development",
                "mlflow.experiment.primaryMetric.name": PRIMARY_METRIC,
                "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
                VIEW_TAG: saved_view(self.study),
                NOTE: _heading(self.study),
                "freelunch.study": self.study.name,
                "freelunch.recipe": identity_of(self.study.recipe),
            },
        }


def log_study(journal: Journal, asked: RunContext) -> None:
    """Says what the parent run is."""
    journal.open_run(_opening(asked, "", asked.name))
    journal.log_params(_conditions(asked))
    journal.log_params(asked.request.settings)
    journal.set_tags({"freelunch.study": asked.study.name, "freelunch.command": asked.command})
    if not journal.status:
        journal.set_tags({NOTE: _question(asked)})


def log_trial(journal: Journal, asked: RunContext, trial: Trial) -> None:
    """Says what a trial's run is, before anything of it is known."""
    journal.open_run(_opening(asked, key(trial.stage), trial.label))
    varied = {name: str(value)[:LONGEST_VALUE] for name, value in trial.parameters.items()}
    journal.log_params({"row": trial.row.name, "seed": trial.seed, **varied, **_conditions(asked)})
    stages = walk(trial.stage)
    journal.set_tags(
        {
            "freelunch.study": asked.study.name,
            "freelunch.row": trial.row.name,
            "freelunch.seed": str(trial.seed),
            "freelunch.baseline": str(trial.row.baseline).lower(),
            "freelunch.stages": _stage_lines(stages),
            NOTE: _trial_note(asked, trial),
        }
    )
    for (side, what), found in sorted(_datasets(trial, asked.dataset).items()):
        _log_dataset(journal, side, what, found)
    config = journal.folder / "config.json"
    described = {stage_key: {"title": stage.title, **describe(stage)} for stage_key, stage in stages.items()}
    config.write_text(json.dumps(described, indent=1), encoding="utf-8")
    journal.log_artifact(config)


def log_epoch(journal: Journal, stage: Stage, metrics: Mapping[str, float], epoch: int) -> None:
    """Says what a stage reported at the end of an epoch."""
    prefix = CURVES[type(stage).__name__]
    journal.log_metrics({f"{prefix}/{name}": v for name, v in metrics.items() if name not in NOT_A_METRIC}, epoch)


def log_curves(journal: Journal, result: TrialResult, store: Store) -> None:
    """Says the points of the finished curves that were not said while they came."""
    for class_name, curves in ((PRETRAINING, result.pretraining), (TEMPORAL, result.temporal)):
        stage = last_of(result.trial, class_name)
        if stage is None or not curves:
            continue
        finished = _milliseconds(store, key(stage))
        for epoch in sorted({epoch for curve in curves.values() for epoch in curve}):
            values = {name: curve[epoch] for name, curve in curves.items() if epoch in curve}
            journal.log_metrics({f"{CURVES[class_name]}/{name}": v for name, v in values.items()}, epoch, finished)


def log_scores(journal: Journal, result: TrialResult, store: Store) -> None:
    """Says a finished trial's scores, and which files hold its predictions and what they were scored as."""
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
    journal.log_metrics(known, 0, _milliseconds(store, stage_key))
    for path in _result_files(result.trial, store):
        journal.log_artifact(path)


def log_report(journal: Journal, asked: RunContext, folder: Path) -> None:
    """Says the study's answer so far: a note with its table, and the report's files."""
    data = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    findings = "\n".join(f"- {sentence}" for sentence in data["findings"])
    journal.set_tags({NOTE: f"{_question(asked)}\n\n{_markdown_table(data)}\n\n{findings}"})
    for name in REPORT_FILES:
        if (folder / name).exists():
            journal.log_artifact(folder / name)


def log_end(journal: Journal, status: str, problem: str) -> None:
    """Says how a run ended, and why it has no result where it has none."""
    if problem or journal.tag(PROBLEM):
        note = journal.tag(NOTE).partition(PROBLEM_MARK)[0]
        journal.set_tags({PROBLEM: problem, NOTE: f"{note}{PROBLEM_MARK}{problem}" if problem else note})
    journal.set_status(status)


def _opening(asked: RunContext, trial: str, name: str) -> dict[str, Any]:
    """All that it takes to make a run, and its parent."""
    return {"experiment": asked.experiment, "request": asked.id, "trial": trial, "name": name, "parent": asked.name}


def _conditions(asked: RunContext) -> dict[str, object]:
    return {"preset": asked.request.preset, "scale": asked.request.scale, "dataset": asked.dataset}


def _question(asked: RunContext) -> str:
    return f"{_heading(asked.study)}\n\n    {asked.command}"


def _heading(study: Study) -> str:
    """The question in Markdown; what looks like a tag would vanish."""
    return f"## {study.title}\n\n{study.question}".replace("<", "&lt;")


def _trial_note(asked: RunContext, trial: Trial) -> str:
    role = "baseline" if trial.row.baseline else "row"
    return (
        f"{trial.row.title}: {role} **{trial.row.name}** of {asked.study.name}, seed {trial.seed}.\n\n"
        f"Logs of its stages: `freelunch logs '{asked.study.name}/{trial.label}'`"
    )


def _stage_lines(stages: Mapping[str, Stage]) -> str:
    """The stages of a trial, the last first; inputs that come by the dozen, such as videos, are left to config.json."""
    lines = [f"{stage_key[:12]} {stage.title}" for stage_key, stage in stages.items() if inputs(stage)]
    return "\n".join(reversed(lines))[:LONGEST_VALUE]


def _datasets(trial: Trial, dataset: str) -> dict[tuple[str, str], dict[str, Stage]]:
    """The videos and images a trial reads: (what for, what they are) -> key -> stage.

    A dataset is what stands in a tuple of a stage's fields and has no inputs itself. The fields on the way from the
    last stage say what it is for: what the last stage reads is tested on, until a model or a field's name says else.
    """
    found: dict[tuple[str, str], dict[str, Stage]] = {}
    seen: set[tuple[str, str]] = set()
    pending = [(trial.stage, "test")]
    while pending:
        stage, side = pending.pop()
        if (key(stage), side) in seen:
            continue
        seen.add((key(stage), side))
        for path, needed in inputs(stage).items():
            needed_side = _side(path, side)
            if inputs(needed):
                pending.append((needed, needed_side))
            elif path.rpartition(".")[2].isdigit():
                what = f"{dataset} videos" if "name" in describe(needed) else needed.title
                found.setdefault((needed_side, what), {})[key(needed)] = needed
    return found


def _side(path: str, side: str) -> str:
    words = {"validation": "validation", "train": "training", "test": "test", "model": "training", "encod": "training"}
    for part in path.split("."):
        side = next((meant for word, meant in words.items() if part.startswith(word)), side)
    return side


def _log_dataset(journal: Journal, side: str, what: str, found: Mapping[str, Stage]) -> None:
    digest = hashlib.blake2b("".join(sorted(found)).encode(), digest_size=8).hexdigest()
    contents = [describe(stage) | {"key": stage_key} for stage_key, stage in found.items()]
    names = [str(content.get("name", content["class"])) for content in contents]
    source = json.dumps(
        [{"name": n, "key": c["key"], "digest": c.get("video_digest")} for n, c in zip(names, contents, strict=True)]
    )
    profile = json.dumps({"number": len(found), "names": ", ".join(names)[:LONGEST_VALUE]})
    journal.log_dataset(f"{what}, {side}", digest, side, source=source, profile=profile)


def _result_files(trial: Trial, store: Store) -> Iterator[Path]:
    for stage_key in reversed(walk(trial.stage)):
        folder = store.find(stage_key)
        if folder is not None and (folder / PREDICTIONS).exists():
            yield folder / PREDICTIONS
            break
    folder = store.find(key(trial.stage))
    if folder is not None:
        yield from (folder / name for name in (SUMMARY, PER_VIDEO, PER_PHASE) if (folder / name).exists())


def _milliseconds(store: Store, stage_key: str) -> int:
    return int(1000 * datetime.fromisoformat(store.manifest(stage_key).finished).timestamp())


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
