"""Reporting of searches: the best settings so far, the report, and the commands that follow."""

import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from search_spaces.protocol.trial_splits import num_videos
from study.analysis.remarks import remark_texts
from study.cli.requested_conditions import pretraining_fact
from study.cli.search_planning import PlannedSearch
from study.console.terminal import new_console
from study.core.manifest import versions
from study.home.commands import program
from study.search.optuna_study import OptunaStudy, parameters_of
from study.search.report import write_search_report
from study.search.results import SearchResults, best_of
from study.search.storage import dashboard_name
from trainers.stage import InputError, Stage

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

MOST_NAMED = 4


class SearchReporter:
    """Report of a search.

    Args:
        planned: the search.
        optuna_study: its Optuna study, open.
    """

    def __init__(self, planned: PlannedSearch, optuna_study: OptunaStudy) -> None:
        self._planned, self._optuna_study = planned, optuna_study

    def best(self) -> "FrozenTrial | None":
        """The best completed trial; None before there is one."""
        return best_of(self._optuna_study.trials(), maximised=self._planned.search.objective.maximised)

    def write(self) -> Path:
        """Writes the report, and returns the path of its page."""
        found = SearchResults(
            space=self._planned.space,
            study=self._optuna_study.study,
            halving=self._planned.halving,
            evaluation=self._evaluation()[0],
            context=self.context(),
            remarks=remark_texts(self._last_stages(), self._planned.store, most_named=MOST_NAMED),
        )
        self._planned.folder.mkdir(parents=True, exist_ok=True)
        return write_search_report(found, self._planned.folder)

    def show(self) -> None:
        """Writes the report, and prints the best settings and the path of the report."""
        report = self.write()
        console = new_console()
        console.print(escape(self.summary()), highlight=False, soft_wrap=True)
        console.print(f"report: {report}", highlight=False, soft_wrap=True)

    def summary(self) -> str:
        """The best settings in a sentence."""
        num_trials, best = len(self._optuna_study.trials()), self.best()
        if best is None:
            return f"{num_trials} trials, none of them completed yet."
        settings = ", ".join(f"{name} {value}" for name, value in parameters_of(best).items())
        objective = self._planned.search.objective.title
        return f"best of {num_trials} trials: trial {best.number}, {best.values[0]:.2f} ({objective}): {settings}"

    def next_steps(self) -> list[str]:
        """Sentences with the commands that follow."""
        dashboard = f"optuna-dashboard {shlex.quote(dashboard_name(self._optuna_study.url))}"
        command, fault = self._evaluation()
        return [
            *([f"evaluate the best on the test videos, once: {command}"] if command else []),
            *([fault] if fault else []),
            f"look at the search (pip install optuna-dashboard): {dashboard}",
        ]

    def context(self) -> dict[str, str]:
        """Facts that the report shows above its table."""
        planned, conditions, request = self._planned, self._planned.conditions, self._planned.search_request.request
        splits = [planned.space.fixed.get("split")]
        sides = num_videos(conditions, splits)
        return {
            "preset": f"{request.preset}: {conditions.preset.description}",
            "scale": f"{request.scale}: {conditions.scale.description}",
            "dataset": f"{conditions.dataset.name}, {sides['train']} train, {sides['validation']} validation",
            **pretraining_fact(conditions, splits),
            "objective": planned.search.objective.title,
            "date": datetime.now(UTC).date().isoformat(),
            "Optuna": f"{self._optuna_study.name} in {self._optuna_study.url}",
            "notes": "\n".join((*conditions.notes, *planned.trial_notes())),
            "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
            "command": f"`{replace(planned.search_request, options=()).command()}`",
        }

    def _last_stages(self) -> Iterator[tuple[str, Stage]]:
        """Name and last stage of every trial that has stages."""
        for frozen in self._optuna_study.trials():
            with suppress(InputError):  # the recipe refuses that point
                yield f"trial {frozen.number}", self._planned.space.trial(frozen.number, parameters_of(frozen)).stage

    def _evaluation(self) -> tuple[str | None, str | None]:
        """The command that evaluates the best trial on test videos, or why there is none; neither before a best one."""
        best = self.best()
        if best is None:
            return None, None
        try:
            request = self._planned.evaluation_request(parameters_of(best))
        except InputError as error:
            return None, str(error)
        return request.command("run", program=program(self._planned.home)), None
