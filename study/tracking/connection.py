"""Connection to an MLflow that may be away when a command begins."""

import logging
from pathlib import Path

from study.tracking.faults import MLflowError
from study.tracking.journal import Journal, UnreachableError
from study.tracking.mlflow_client import Destination
from study.tracking.run_context import RunContext
from trainers.stage import MachineError

_log = logging.getLogger(__name__)


class Connection:
    """An MLflow, connected to at once or, where it is away, when it is back.

    Args:
        home: the home folder.
        uri: the tracking URI.
    """

    def __init__(self, home: Path, uri: str) -> None:
        self._home = home
        self._uri = uri
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
        try:
            destination = Destination(self._home, self._uri)
            destination.ensure_experiment(**context.experiment)
        except MachineError as error:
            if is_required:
                raise
            _log.warning("%s The study goes on, and what MLflow misses is kept and sent later.", error)
        else:
            self._destination = destination

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
