"""MLflow calls that log the entries of journals in runs."""

import logging
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from study.tracking.batches import MOST_AT_ONCE
from study.tracking.faults import reason_of
from study.tracking.journal import Entry
from study.tracking.status import TERMINAL

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

_log = logging.getLogger(__name__)


class LoggingCalls:
    """Calls that log journal entries.

    Args:
        client: MLflow's client.
    """

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client
        self._lacks_files = False

    def send(self, run_id: str, batch: Sequence[Entry], there: Set[tuple[str, int]]) -> None:
        """Sends a batch of entries, without the points that are in the run already.

        Args:
            run_id: the run.
            batch: entries that one call takes.
            there: metrics and steps of the points that the run has.
        """
        from mlflow.entities import Metric, Param, RunTag

        kind = batch[0]["kind"]
        if kind in MOST_AT_ONCE:
            metrics = [
                Metric(name, value, entry["time"], entry["step"])
                for entry in batch
                if entry["kind"] == "metrics"
                for name, value in entry["values"].items()
                if (name, entry["step"]) not in there
            ]
            params = [Param(entry["name"], entry["value"]) for entry in batch if entry["kind"] == "param"]
            tags = [RunTag(entry["name"], entry["value"]) for entry in batch if entry["kind"] == "tag"]
            self._log(run_id, metrics, params, tags)
        elif kind == "status":
            self._set_status(run_id, batch[0])
        elif kind == "dataset":
            self._log_dataset(run_id, batch[0])
        elif kind == "artifact":
            self._log_artifact(run_id, batch[0])

    def _log(
        self, run_id: str, metrics: "Sequence[Metric]", params: "Sequence[Param]", tags: "Sequence[RunTag]"
    ) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.log_batch(run_id, metrics, params, tags)
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE" or not self.is_active(run_id):
                raise
            old = self._client.get_run(run_id).data.params  # the first value of a parameter stays
            new = [param for param in params if param.key not in old]
            if len(new) == len(params):
                _log.warning("MLflow refuses parameters or metrics, so it goes without: %s", reason_of(error))
                return
            self._log(run_id, metrics, new, tags)

    def _set_status(self, run_id: str, entry: Entry) -> None:
        if entry["status"] in TERMINAL:
            self._client.set_terminated(run_id, entry["status"], entry["time"])
        else:
            self._client.update_run(run_id, entry["status"])

    def _log_dataset(self, run_id: str, entry: Entry) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(entry["name"], entry["digest"], "freelunch", entry["source"], profile=entry["profile"])
        context = InputTag("mlflow.data.context", entry["context"])
        self._client.log_inputs(run_id, [DatasetInput(dataset, [context])])

    def _log_artifact(self, run_id: str, entry: Entry) -> None:
        try:
            self._client.log_artifact(run_id, entry["path"])
        except (FileNotFoundError, PermissionError) as error:
            if not self._lacks_files:
                _log.warning("%s cannot be kept in MLflow (%s), and others perhaps.", entry["path"], error.strerror)
            self._lacks_files = True

    def is_active(self, run_id: str) -> bool:
        """Whether a run is there and not deleted."""
        return bool(self._client.get_run(run_id).info.lifecycle_stage == "active")
