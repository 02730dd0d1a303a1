"""Reporting: the results of a planned study are read, and its reports are written and printed."""

from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rich.markup import escape

from study.cli.planning import PlannedStudy
from study.cli.requested_conditions import PRETRAINED_ON, conditions_of
from study.console.result_tables import problems_of, report_table
from study.console.terminal import new_console
from study.core.graph import key
from study.core.plan import make_plan
from study.core.study import Study, Trial
from study.core.suite import Part, Suite, together
from study.execution.events import Failure
from study.home.commands import expand_commands
from study.home.request import Request, most_seeds, saved_problems, saved_requests
from study.report.study_report import Report, write_picture, write_report
from study.report.suite_report import write_overview
from trainers.stage import FreelunchError, InputError


class StudyReporter:
    """Reports of a planned study: one for every part and, of a suite, a page over all of them.

    Args:
        planned: the study.
        failures: of the run that has just ended, by stage key; where not given, those that the home folder keeps.
    """

    def __init__(self, planned: PlannedStudy, failures: Mapping[str, Failure] | None = None) -> None:
        self._failures = failures
        self._planned, self._store, self._home = planned, planned.store, planned.home

    def show_reports(self) -> list[tuple[Path, dict[int, str]]]:
        """Writes the report of every part, prints its table and its path.

        Returns:
            The folder of every report, and why trials have no result, a sentence by their number in the part.
        """
        asked, study = self._planned.parts, self._planned.study
        shown = [self._with_finished_trials(part) for part in asked]
        reports = [self._show_report(part) for part in shown]
        if isinstance(study, Suite):
            for request in self._planned.request.each_dataset():
                on_it = self._planned.conditions(request)
                known = {
                    part.study.name: (part, report)
                    for part, report in zip(shown, reports, strict=True)
                    if self._planned.conditions(part.request) is on_it
                }
                self._show_suite_report(study, request, known)
        return [(report.html.parent, self._problems(part)) for part, report in zip(asked, reports, strict=True)]

    def _show_report(self, part: Part) -> Report:
        console, problems = new_console(), self._problems(part)
        written = self._write_report(part, problems)
        if len(self._planned.parts) > 1:
            heading = f"[bold]{part.study.name}[/]: {escape(part.study.title)}"
            on = f" ({self._planned.conditions(part.request).title})" if self._planned.request.beside else ""
            console.print(f"\n{heading}{on}", highlight=False)
        console.print(report_table(written), highlight=False)
        labels = {trial.number: trial.label for trial in part.trials}
        for number, sentence in problems.items():
            said = escape(expand_commands(sentence, self._home))
            console.print(f"[yellow]{labels[number]}[/]: {said}", highlight=False, soft_wrap=True)
        console.print(f"report: {written.html}", highlight=False, soft_wrap=True)
        return written

    def _write_report(self, part: Part, problems: Mapping[int, str]) -> Report:
        folder = part.request.folder(self._home)
        folder.mkdir(parents=True, exist_ok=True)
        context = self._planned.context(part)
        written = write_report(
            part.study,
            part.trials,
            self._store,
            folder,
            context=context,
            problems=problems,
            beside=self._trials_by_dataset(part),
        )
        summary = {name: context[name] for name in ("scale", "dataset", PRETRAINED_ON, "seeds") if name in context}
        write_picture(part.study, part.trials, self._store, folder / "overview.png", context=summary)
        return written

    def _show_suite_report(self, suite: Suite, request: Request, known: Mapping[str, tuple[Part, Report]]) -> None:
        """Writes the page over the studies of a suite, those of a request and earlier ones, and prints its path."""
        found = dict(known)
        for other in self._parts_of_earlier_runs(suite, request, known):
            found[other.study.name] = (other, self._write_report(other, self._problems(other)))
        parts, reports = zip(*(found[study.name] for study in suite.studies if study.name in found), strict=True)
        num_seeds = sorted(len({trial.seed for trial in part.trials}) for part in parts)
        context = self._planned.context_of(request, parts)
        context["seeds"] = " to ".join(map(str, dict.fromkeys((num_seeds[0], num_seeds[-1]))))
        plan, folder = make_plan(together(parts), self._store), request.folder(self._home)
        page = write_overview(suite, parts, reports, plan, self._store, folder, context=context)
        new_console().print(f"\nreport: {page}", highlight=False, soft_wrap=True)

    def _problems(self, part: Part) -> dict[int, str]:
        """Reasons why trials of a part have no result, a sentence by their number."""
        if self._failures is not None and part.study.name in {own.study.name for own in self._planned.parts}:
            sentences = {stage_key: failure.sentence for stage_key, failure in self._failures.items()}
        else:
            sentences = saved_problems(part.request, self._home)
        return problems_of(make_plan(part.trials, self._store), self._store, sentences)

    def _parts_of_earlier_runs(self, suite: Suite, request: Request, asked: Container[str]) -> list[Part]:
        """Studies of a suite that are not `asked`, with the trials that earlier runs have finished."""
        found: list[Part] = []
        for study in [study for study in suite.studies if study.name not in asked]:
            folder = replace(request, study=study.name).folder(self._home)
            for earlier in [
                each for each in saved_requests(study.name, self._home) if each.folder(self._home) == folder
            ]:
                with suppress(FreelunchError):  # a row of it does not exist any more
                    found += self._planned.parts_of(study, earlier)
        shown = map(self._with_finished_trials, found)
        return [part for part in shown if any(self._store.find(key(trial.stage)) for trial in part.trials)]

    def _with_finished_trials(self, part: Part) -> Part:
        """A part with its own trials and those of other rows and seeds that earlier runs have finished."""
        asked = {(trial.row.name, trial.seed) for trial in part.trials}
        seeds = range(max(part.request.seeds, most_seeds(part.request, self._home)))
        conditions = self._planned.conditions(part.request)
        trials = possible_trials(part.study, conditions, seeds, part.request.settings)
        shown = (t for t in trials if (t.row.name, t.seed) in asked or self._store.find(key(t.stage)))
        return replace(part, trials=tuple(shown))

    def _trials_by_dataset(self, part: Part) -> dict[str, tuple[Trial, ...]]:
        """The trials whose curves are shown side by side, by dataset: this part's, and those of equal requests.

        Of a request for several datasets, these are its own, in its order; else all that were ever requested, this part
        first.
        """
        own = self._planned.conditions(part.request).title
        if part.study.curve is None or not self._planned.request.beside:
            return {own: part.trials, **(self._trials_of_earlier_runs(part) if part.study.curve else {})}
        alike = [each for each in self._planned.parts if each.study.name == part.study.name]
        found = {self._planned.conditions(each.request).title: each for each in alike}
        return {
            title: part.trials if title == own else self._with_finished_trials(each).trials
            for title, each in found.items()
        }

    def _trials_of_earlier_runs(self, part: Part) -> dict[str, tuple[Trial, ...]]:
        """Trials of equal requests on other datasets, or with pre-training on others, by dataset."""
        found: dict[str, tuple[Trial, ...]] = {}
        here = part.request
        for other in saved_requests(here.name, self._home):
            data = (other.dataset, other.pretrain_on)
            alike = replace(other, dataset=here.dataset, pretrain_on=here.pretrain_on, seeds=here.seeds, rows=here.rows)
            if alike != here or data == (here.dataset, here.pretrain_on):
                continue
            with suppress(FreelunchError):  # that dataset does not exist any more
                conditions = conditions_of(self._store, other)
                if conditions.title != self._planned.conditions(here).title:
                    seeds = range(other.seeds)
                    found[conditions.title] = possible_trials(part.study, conditions, seeds, other.settings)
        return found


def possible_trials(
    study: Study, conditions: object, seeds: Sequence[int], settings: Mapping[str, object]
) -> tuple[Trial, ...]:
    """All trials of a study, without the rows that these conditions refuse, such as label fractions of too few videos.

    Raises:
        InputError: they refuse every row.
    """
    try:
        return study.trials(conditions, seeds=seeds, settings=settings)
    except InputError:
        found: list[Trial] = []
        for row in study.all_rows():
            with suppress(InputError):
                found += study.trials(conditions, seeds=seeds, settings=settings, only=(row.name,))
        if not found:
            raise
    ordered = sorted(found, key=lambda trial: trial.seed)
    return tuple(replace(trial, number=number) for number, trial in enumerate(ordered))
