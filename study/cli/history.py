"""Studies and searches that were run in a home folder, by name: their progress, trials and reports."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from rich.console import RenderableType

from search_spaces.searches.distilled import SEARCHES
from search_spaces.studies.catalogue import STUDIES, SUITES
from study.cli.planning import PlannedStudy
from study.cli.recorded import OWN_FILE, is_search
from study.console.status import status_record, status_tables
from study.core.store import Store
from study.core.study import Trial
from study.home import runs
from study.home.commands import with_home
from study.home.request import Request, known_studies, latest_command, latest_request, saved_problems, saved_requests
from study.home.searches import known_searches
from study.home.text import nearest
from trainers.stage import FreelunchError, InputError


@dataclass(frozen=True, kw_only=True)
class AskedTrial:
    """A trial, the request, for one dataset, that it belongs to, and the verb of the command that asks for it."""

    request: Request
    trial: Trial
    verb: Literal["run", "search"] = "run"


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """Progress of a study or a search.

    Attributes:
        record: the progress for scripts.
        lines: the progress for people.
        command: the command that continues it; None where it is finished or running.
    """

    record: dict[str, Any]
    lines: Sequence[RenderableType]
    command: str | None


def known_runs(home: Path) -> list[str]:
    """Names of the studies that have been run in a home, and after them of the searches."""
    return [*known_studies(home), *known_searches(home)]


def summarise(name: str, home: Path) -> RunSummary:
    """Summarises the progress of a study or a search.

    Raises:
        InputError: it has not been run in this home, or its request is not valid any more.
        MachineError: its files in the home folder cannot be read.
    """
    return _summarise_search(name, home) if is_search(name, home) else _summarise_study(name, home)


def show_report(name: str, home: Path) -> None:
    """Writes the report of the latest request of a study or a search, and prints its results.

    Raises:
        InputError: as `summarise`.
        MachineError: as `summarise`.
    """
    if not is_search(name, home):
        from study.cli.reporting import StudyReporter

        StudyReporter(PlannedStudy(home, latest_request(name, home))).show_reports()
        return
    from study.cli.search_planning import PlannedSearch
    from study.cli.search_reporting import SearchReporter
    from study.search.request import latest_search
    from study.search.status import stored_trials

    search_request = latest_search(name, home)
    stored_trials(search_request, home)  # opening the study would create one that does not exist any more
    planned = PlannedSearch(home, search_request)
    with planned.open_study() as optuna_study:
        SearchReporter(planned, optuna_study).show()


def trials_of(name: str, row: str, home: Path) -> tuple[list[Trial], Store]:
    """The trials of one row of a study's latest run, or one trial of a search by its number, and their store.

    Raises:
        InputError: there is none; or as `summarise`.
    """
    return [asked.trial for asked in asked_trials_of(name, row, home)], Store(home, create=False)


def asked_trials_of(name: str, row: str, home: Path) -> list[AskedTrial]:
    """The trials of one row of a study's latest run, or one trial of a search by its number, with their requests.

    Raises:
        InputError: there is none; or as `summarise`.
    """
    trials = (
        _asked_of_search(name, home) if is_search(name, home) else _asked_of_study(latest_request(name, home), home)
    )
    found = [asked for asked in trials if row in (asked.trial.row.name, asked.trial.label)]
    if not found:
        rows = dict.fromkeys(asked.trial.row.name for asked in trials)
        raise InputError(f"the last run of {name} has no row {row!r}{nearest(row, rows)}")
    return found


def check_names_trial(target: str, home: Path) -> None:
    """Refuses the name of a study or a search where a trial is to be named.

    Raises:
        InputError: it is one.
    """
    name = target.rpartition(":")[2] if OWN_FILE in target else target
    if name != target or name in {*STUDIES, *SUITES, *SEARCHES, *known_runs(home)}:
        what, row = ("search", "trial 3") if is_search(name, home) else ("study", "ROW")
        raise InputError(
            f"{target} is a {what}, not one of its trials: name one, as '{target}/{row}'; "
            f"`freelunch status {target}` shows them."
        )


def known_asked_trials(home: Path) -> Iterator[AskedTrial]:
    """The trials of all runs in a home that can still be planned, whatever their settings were, with their requests."""
    for name in known_runs(home):
        plans: list[Callable[[], Sequence[AskedTrial]]] = [partial(_asked_of_search, name, home)]
        if not is_search(name, home):
            plans = [partial(_asked_of_study, request, home) for request in saved_requests(name, home)]
        for trials in plans:
            with suppress(FreelunchError):
                yield from trials()


def _asked_of_study(request: Request, home: Path) -> list[AskedTrial]:
    planned = PlannedStudy(home, request)
    requests = [part.request for part in planned.parts for _ in part.trials]
    return [AskedTrial(request=each, trial=trial) for each, trial in zip(requests, planned.trials, strict=True)]


def _asked_of_search(name: str, home: Path) -> list[AskedTrial]:
    from study.search.request import latest_search

    request = latest_search(name, home).request
    return [AskedTrial(request=request, trial=trial, verb="search") for trial in _search_trials(name, home)]


def _summarise_study(name: str, home: Path) -> RunSummary:
    planned = PlannedStudy(home, latest_request(name, home))
    problems = saved_problems(planned.request, home)
    record = status_record(planned.plan, planned.store, problems, runs.active_runs(home, name))
    command = with_home(latest_command(name, home), home) if record["resumable"] else None
    return RunSummary(record=record, lines=status_tables(name, record, home), command=command)


def _summarise_search(name: str, home: Path) -> RunSummary:
    from study.search.request import latest_search
    from study.search.status import search_lines, search_record

    search_request = latest_search(name, home)
    running = runs.active_runs(home, name)
    record = search_record(search_request, home, running)
    command = with_home(search_request.command(), home) if record["resumable"] else None
    return RunSummary(record=record, lines=search_lines(name, record, home), command=command)


def _search_trials(name: str, home: Path) -> list[Trial]:
    from study.cli.search_planning import PlannedSearch
    from study.search.optuna_study import parameters_of
    from study.search.request import latest_search
    from study.search.status import stored_trials

    search_request = latest_search(name, home)
    space, trials = PlannedSearch(home, search_request).space, []
    for frozen in stored_trials(search_request, home):
        with suppress(InputError):  # the recipe refuses that point, which has no stages
            trials.append(space.trial(frozen.number, parameters_of(frozen)))
    return trials
