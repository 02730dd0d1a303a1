"""Context of the runs of a request: their experiment, names and notes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from study.core.recipe import identity_of
from study.core.study import Study, Trial
from study.home.request import Request
from study.tracking.saved_view import PRIMARY_METRIC, VIEW_TAG, saved_view

NOTE = "mlflow.note.content"


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Properties that all runs of a request share."""

    study: Study
    request: Request
    dataset: str
    command: str
    pretrained_on: str = ""
    """The dataset that encoders are pre-trained on, where it is another one."""

    @classmethod
    def of(cls, study: Study, request: Request, report_context: Mapping[str, str]) -> Self:
        """The context of a request, with the dataset and the command that its report names."""
        dataset, command = report_context["dataset"].partition(",")[0], report_context["command"].strip("`")
        pretrained_on = report_context.get("pre-trained on", "").partition(",")[0]
        return cls(study=study, request=request, dataset=dataset, command=command, pretrained_on=pretrained_on)

    @property
    def id(self) -> str:
        """Tag by which the runs of this request are found."""
        return self.request.folder(Path()).name

    @property
    def name(self) -> str:
        """Name of the study's run."""
        settings = [f"{name}={value}" for name, value in sorted(self.request.settings.items())]
        dataset = [self.request.dataset] if self.request.dataset else []
        dataset += [f"pretrained on {self.pretrained_on}"] if self.pretrained_on else []
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

    @property
    def conditions(self) -> dict[str, object]:
        """Parameters of every run."""
        source = {"pretrained_on": self.pretrained_on} if self.pretrained_on else {}
        return {"preset": self.request.preset, "scale": self.request.scale, "dataset": self.dataset, **source}

    def opening(self, trial: str, name: str) -> dict[str, Any]:
        """Everything that is needed to create a run and its parent.

        Args:
            trial: the key of the trial's last stage; empty for the study's own run.
            name: the run's name.
        """
        return {"experiment": self.experiment, "request": self.id, "trial": trial, "name": name, "parent": self.name}


def question(context: RunContext) -> str:
    """Note of a study's run before its report: the question and the command, in Markdown."""
    return f"{_heading(context.study)}\n\n    {context.command}"


def _heading(study: Study) -> str:
    """The question in Markdown; what looks like a tag would vanish."""
    return f"## {study.title}\n\n{study.question}".replace("<", "&lt;")


def trial_note(context: RunContext, trial: Trial) -> str:
    """Note of a trial's run, in Markdown."""
    role = "baseline" if trial.row.baseline else "row"
    return (
        f"{trial.row.title}: {role} **{trial.row.name}** of {context.study.name}, seed {trial.seed}.\n\n"
        f"Logs of its stages: `freelunch logs '{context.study.name}/{trial.label}'`"
    )
