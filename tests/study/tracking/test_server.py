import json
import re
import socket
import urllib.request
from pathlib import Path

import mlflow
import pytest

from study.home.request import Request
from study.tracking.journal import Journal, spool_folder
from study.tracking.leftovers import leftovers
from study.tracking.mlflow_client import Destination
from study.tracking.records import log_end, log_study
from study.tracking.run_context import RunContext
from study.tracking.server import running
from study.tracking.uri import default_uri
from tests.shared import free_port
from tests.study.small_study import STUDY
from trainers.stage import InputError, MachineError

RUN_CONTEXT = RunContext(study=STUDY, request=Request(study="tiny"), dataset="synthetic", command="freelunch run tiny")


def leave_behind(home: Path) -> None:
    """A run that was finished while MLflow was away."""
    journal = Journal.claim(spool_folder(home) / "tiny" / RUN_CONTEXT.id / "study")
    assert journal is not None
    log_study(journal, RUN_CONTEXT)
    log_end(journal, "FINISHED", "")
    journal.mark_sent(default_uri(home / "elsewhere"), offset=journal.end(), run=("0", False))
    journal.close()


@pytest.mark.mlflow_server
def test_a_home_is_served_with_what_was_left_to_send_and_the_server_ends_with_the_context(tmp_path: Path):
    leave_behind(tmp_path)  # where there is no database yet, and in a home that was moved here
    port = free_port()
    with running(tmp_path, port=port) as (url, pages):
        assert not list(leftovers(tmp_path, default_uri(tmp_path)))
        [experiment_id] = re.findall(r"^#/experiments/(\d+)/runs\?.*&viewStateShareKey=freelunch$", pages["tiny"])
        request = f"{url}/api/2.0/mlflow/experiments/get?experiment_id={experiment_id}"
        with urllib.request.urlopen(request, timeout=30) as response:
            experiment = json.load(response)["experiment"]
        assert experiment["name"] == "tiny"
        assert "mlflow.sharedViewState.freelunch" in {tag["key"] for tag in experiment["tags"]}
        assert Destination(tmp_path, url).version == mlflow.__version__
        assert Destination(tmp_path, url).pages() == pages
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_home_without_runs_is_refused(tmp_path: Path):
    with (
        pytest.raises(InputError, match=r"has neither mlflow\.db nor journals of trials: `freelunch run"),
        running(tmp_path),
    ):
        pass


def test_a_port_that_is_taken_is_refused(tmp_path: Path):
    (tmp_path / "mlflow.db").touch()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(MachineError, match=f"127.0.0.1:{port} cannot be listened at"), running(tmp_path, port=port):
            pass
