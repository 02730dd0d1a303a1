"""Connection to an MLflow that may be away when a command begins."""

import logging
from dataclasses import dataclass
from pathlib import Path

from study.tracking.faults import MLflowError
from study.tracking.journal import Journal, UnreachableError
from study.tracking.mlflow_client import Destination
from study.tracking.run_context import RunContext
from trainers.stage import MachineError

_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Outage:
    """Absence of an MLflow, noticed by one tracker of a command and shared with the others: they wait for it once.

    Attributes:
        error: why it could not be connected to; None where it could.
        is_told: whether the user knows.
        is_given_up: whether one of them has waited at its end in vain.
    """

    error: MachineError | None = None
    is_told: bool = False
    is_given_up: bool = False


class Connection:
    """An MLflow, connected to at once or, where it is away, when it is back.

    Args:
        home: the home folder.
        uri: the tracking URI.
        outage: what other connections of this command know of it.
    """

    def __init__(self, home: Path, uri: str, outage: Outage) -> None:
        self._home = home
        self._uri = uri
        self._outage = outage
        self._destination: Destination | None = None

    @property
    def is_open(self) -> bool:
        """Whether this MLflow has answered once."""
        return self._destination is not None

    def open(self, context: RunContext, *, is_required: bool) -> None:
        """Connects, and makes sure that the experiment is there.

        Raises:
            InputError: another recipe has the experiment's name.
            MachineError: MLflow does not answer, and is required.
        """
        if self._outage.error is None:
            try:
                destination = Destination(self._home, self._uri)
                destination.ensure_experiment(**context.experiment)
                self._destination = destination
                return
            except MachineError as error:
                self._outage.error = error
        if is_required:
            raise self._outage.error
        if not self._outage.is_told:
            _log.warning("%s The study goes on, and what MLflow misses is kept and sent later.", self._outage.error)
            self._outage.is_told = True

    def send(self, journal: Journal) -> None:
        """Sends what a journal has and MLflow has not.

        Raises:
            UnreachableError: MLflow does not take everything.
        """
        if self._destination is None:
            try:
                self._destination = Destination(self._home, self._uri)
            except MachineError as error:
                raise UnreachableError(
                    error.fault if isinstance(error, MLflowError) else str(error).rstrip(".")
                ) from error
        self._destination.send(journal)
