"""Client of an MLflow that journals are sent to; with `mlflow_calls`, the only file that imports MLflow.

The import takes seconds, so it is made where it is first needed.
"""

import logging
import os
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from study.core.recipe import current_identity
from study.home.commands import DISTRIBUTION
from study.home.files import locked
from study.tracking.batches import batches
from study.tracking.faults import MLflowError, reason_of
from study.tracking.journal import Entry, Journal, UnreachableError, forget_sent, spool_folder
from study.tracking.limits import within
from study.tracking.mlflow_calls import LoggingCalls
from study.tracking.mlflow_database import limit_attempts, prepare_database
from study.tracking.saved_view import VIEW_TAG, page, readable
from study.tracking.uri import default_uri, shown, sqlite_file
from trainers.stage import FreelunchError, InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    # An MLflow that is away is one sentence of ours, not a traceback of each attempt.
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    # The lines of a run stay together; `freelunch ui` shows the addresses.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # MLflow's own retries hold a call up for minutes; the spool tries again by itself.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "PGCONNECT_TIMEOUT": "10",
}
PARENT = "mlflow.parentRunId"
RECIPE_TAG = "freelunch.recipe"
VERSION_SECONDS, LONGEST_VERSION = 5.0, 100
REQUESTS_AT_ONCE = 3
"""Requests that a server has time for before a call that waits for it ends."""
Result = TypeVar("Result")
_log = logging.getLogger(__name__)


class Destination:
    """An MLflow that journals are sent to.

    Args:
        home: the home folder, whose processes create experiments and runs one after the other.
        uri: the tracking URI.

    Raises:
        MachineError: it does not answer.
    """

    def __init__(self, home: Path, uri: str) -> None:
        self.uri = uri
        self._home = home
        self._runs: dict[tuple[str, str], dict[str, str]] = {}
        self._experiments: dict[str, str] = {}
        self._there: dict[str, set[tuple[str, int]]] = {}
        os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
        from mlflow import MlflowClient  # takes seconds, for which the time of an answer is not meant

        self._client = self._answer("does not answer", partial(self._connect, MlflowClient))
        self._calls = LoggingCalls(self._client)

    def ensure_experiment(self, name: str, tags: Mapping[str, str]) -> str:
        """The id of an experiment, made where it is missing, restored where it was deleted.

        Raises:
            InputError: another recipe has this name.
            MachineError: this MLflow cannot be written to.
        """
        return self._answer("cannot be written to", partial(self._experiment, name, tags))

    def _connect(self, client_of: "Callable[[str], MlflowClient]") -> "MlflowClient":
        with self._locked():  # two processes that make the database at once break it
            if not self.uri.startswith("http"):
                limit_attempts()
                prepare_database(self._home, self.uri, partial(forget_sent, self._home, self.uri))
            client = client_of(self.uri)
            client.search_experiments(max_results=1)
        return client

    def _experiment(self, name: str, tags: Mapping[str, str]) -> str:
        tags = readable({**tags, RECIPE_TAG: current_identity(tags[RECIPE_TAG])}, self.version)
        with self._locked():
            found = self._client.get_experiment_by_name(name)
            if found is None:
                folder = None if self.uri.startswith("http") else (self._home / "mlflow" / "artifacts" / name).as_uri()
                self._experiments[name] = self._client.create_experiment(name, folder, dict(tags))
            else:
                self._update_experiment(found, tags)
                self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def _update_experiment(self, found: "Experiment", tags: Mapping[str, str]) -> None:
        known = current_identity(found.tags.get(RECIPE_TAG, tags[RECIPE_TAG]))
        if known != tags[RECIPE_TAG]:
            raise InputError(
                f"experiment {found.name!r} in MLflow at {shown(self.uri)} is of the recipe {known}, and this study's "
                f"is {tags[RECIPE_TAG]}: rename one of the studies, or the experiment in MLflow."
            )
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
            _log.warning("experiment %r had been deleted in MLflow and is restored.", found.name)
        for tag, value in tags.items():
            # Users make views of their own, and earlier versions named recipes otherwise.
            is_outdated = tag in (VIEW_TAG, RECIPE_TAG) and found.tags.get(tag) != value
            if tag not in found.tags or is_outdated:  # what a user has changed stays
                self._client.set_experiment_tag(found.experiment_id, tag, value)

    def send(self, journal: Journal) -> None:
        """Sends what a journal has and this MLflow has not.

        Raises:
            UnreachableError: it does not take everything; what it took is noted in the journal.
        """
        if not journal.opening:  # lost with a damaged line; the next command of its study writes it again
            return
        try:
            run_id = self._run_of(journal)
            for batch, offset in batches(journal.unsent(self.uri)):
                self._calls.send(run_id, batch, self._there.get(run_id, set()))
                journal.mark_sent(self.uri, offset=offset)
        except FreelunchError as error:  # the experiment was replaced by another study's meanwhile
            raise UnreachableError(str(error)) from error
        except Exception as error:
            if self._is_gone(journal):
                self._forget(journal)
                raise UnreachableError("a run was deleted in MLflow and is created again") from error
            raise UnreachableError(f"MLflow at {shown(self.uri)} cannot be written to ({reason_of(error)})") from error

    def pages(self) -> dict[str, str]:
        """The experiments of studies: name, and the part of their address that follows the server's.

        Raises:
            MachineError: this MLflow does not answer.
        """
        found = self._answer("does not answer", self._client.search_experiments)
        studies = [experiment for experiment in found if "freelunch.study" in experiment.tags]
        return {study.name: page(study.experiment_id, readable(study.tags, self.version)) for study in studies}

    @cached_property
    def version(self) -> str:
        """The version of the MLflow whose interface shows the runs; empty where it is unknown."""
        if not self.uri.startswith("http"):
            from mlflow import __version__  # which `freelunch ui` starts

            return str(__version__)
        try:
            with urllib.request.urlopen(f"{self.uri.rstrip('/')}/version", timeout=VERSION_SECONDS) as response:
                return str(response.read(LONGEST_VERSION), "ascii")
        except (OSError, ValueError):
            return ""

    def _run_of(self, journal: Journal) -> str:
        """The id of a journal's run, which is found by its tags or made."""
        opening = journal.opening
        experiment = opening["experiment"]
        experiment_id = self._experiments.get(experiment["name"]) or self._experiment(**experiment)
        request, trial = opening["request"], opening["trial"]
        if trial not in self._known_runs(experiment_id, request):
            with self._locked():
                if trial not in self._known_runs(experiment_id, request, refresh=True):
                    journal.mark_sent(self.uri, run=(self._create(experiment_id, opening), False))
        run_id = self._known_runs(experiment_id, request)[trial]
        if journal.sent(self.uri).run_id != run_id:
            journal.mark_sent(self.uri, run=(run_id, True))
        if journal.sent(self.uri).adopted and run_id not in self._there:
            self._there[run_id] = self._points(run_id)
        return run_id

    def _known_runs(self, experiment_id: str, request: str, *, refresh: bool = False) -> dict[str, str]:
        """The runs of a request: final stage key (empty for the parent) -> run id."""
        if refresh or (experiment_id, request) not in self._runs:
            runs = _all_runs(self._client, experiment_id, f"tags.`freelunch.request` = '{request}'")
            by_age = sorted(runs, key=lambda run: run.info.start_time or 0, reverse=True)
            found = {run.data.tags.get("freelunch.trial", ""): run.info.run_id for run in by_age}
            self._runs[experiment_id, request] = found
        return self._runs[experiment_id, request]

    def _create(self, experiment_id: str, opening: Entry) -> str:
        runs = self._runs[experiment_id, opening["request"]]
        if opening["trial"] and "" not in runs:
            self._create(experiment_id, opening | {"trial": "", "name": opening["parent"]})
        tags = {"freelunch.request": opening["request"]}
        if opening["trial"]:
            tags |= {"freelunch.trial": opening["trial"], PARENT: runs[""]}
        run_id = str(self._client.create_run(experiment_id, opening["time"], tags, opening["name"]).info.run_id)
        if not opening["trial"]:
            for child in runs.values():  # of a parent that was deleted
                self._client.set_tag(child, PARENT, run_id)
        runs[opening["trial"]] = run_id
        return run_id

    def _points(self, run_id: str) -> set[tuple[str, int]]:
        """The points that a run had before its journal was written: metric and step."""
        names = self._client.get_run(run_id).data.metrics
        return {(name, point.step) for name in names for point in self._client.get_metric_history(run_id, name)}

    def _is_gone(self, journal: Journal) -> bool:
        """Whether this MLflow answers, but has no such run any more."""
        from mlflow.exceptions import MlflowException

        run_id = journal.sent(self.uri).run_id
        try:
            self._client.search_experiments(max_results=1)
            return run_id is not None and not self._calls.is_active(run_id)
        except MlflowException as error:
            return bool(error.error_code == "RESOURCE_DOES_NOT_EXIST")
        except Exception:
            return False

    def _forget(self, journal: Journal) -> None:
        """Drops the known ids: a run, or the whole experiment, was deleted meanwhile."""
        self._runs.clear()
        self._experiments.pop(journal.opening["experiment"]["name"], None)

    def _answer(self, fault: str, call: "Callable[[], Result]") -> Result:
        """The result of a call that a command waits for; a server may never answer, so its time is limited."""
        try:
            return call() if sqlite_file(self.uri) is not None else within(_limit_seconds(), call)
        except FreelunchError:
            raise
        except Exception as error:
            is_ours = self.uri == default_uri(self._home)
            advice = "see that you may write to it" if is_ours else "start it, or correct or unset MLFLOW_TRACKING_URI"
            if isinstance(error, ModuleNotFoundError) and "psycopg" in str(error):
                advice = f"`pip install '{DISTRIBUTION}[postgres]'` installs its driver"
            raise MLflowError(f"MLflow at {shown(self.uri)} {fault} ({reason_of(error)})", advice) from error

    def _locked(self) -> AbstractContextManager[None]:
        return locked(spool_folder(self._home).parent / "lock")


def _limit_seconds() -> float:
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT

    attempts = 1 + int(MLFLOW_HTTP_REQUEST_MAX_RETRIES.get())  # type: ignore[no-untyped-call]
    return REQUESTS_AT_ONCE * attempts * float(MLFLOW_HTTP_REQUEST_TIMEOUT.get())  # type: ignore[no-untyped-call]


def _all_runs(client: "MlflowClient", experiment_id: str, condition: str) -> "Iterator[Run]":
    page = client.search_runs([experiment_id], condition, max_results=1000)
    yield from page
    while page.token:
        page = client.search_runs([experiment_id], condition, max_results=1000, page_token=page.token)
        yield from page
