"""Searches and MLflow in PostgreSQL, which is killed and started again."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.study.postgresql import Server, needs_postgresql, running
from tests.study.search.stub_search import SEARCH, Conditions, open_study, remembered, searched, states
from tests.study.tiny_cli import called
from tests.study.tiny_home import HERE, PATIENCE_SECONDS, copy_of, done, refused, start, wait_until
from tests.study.tracking.tracked import curves_of
from trainers.stage import MachineError

pytestmark = [pytest.mark.services, needs_postgresql]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    # pytest keeps other users from its own folders.
    with TemporaryDirectory() as folder, running(Path(folder)) as started:
        yield started


def num_artifacts(home: Path) -> int:
    return len(list((home / "artifacts").glob("*/manifest.json")))


def test_a_search_in_postgresql_goes_on_after_the_server_was_killed(tmp_path: Path, server: Server):
    _, on_disk = searched(tmp_path / "disk", 4)
    home = tmp_path / "home"
    searched(home, 2, url=server.url())

    def lose_the_server() -> None:
        with open_study(home, SEARCH.bind(Conditions()), url=server.url()) as optuna_study:
            server.kill()
            optuna_study.ask()

    with pytest.raises(MachineError, match=r"the Optuna storage postgresql:.* cannot be used"):
        lose_the_server()
    server.start()
    _, trials = searched(home, 4, url=server.url())
    assert states(trials) == states(on_disk)
    assert remembered(trials) == remembered(on_disk)


@pytest.mark.usefixtures("tiny_scale")
def test_a_study_whose_mlflow_is_in_postgresql_misses_nothing_when_the_server_was_killed(
    tmp_path: Path, tiny_home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url("runs"))
    home = copy_of(tiny_home, tmp_path)
    before = num_artifacts(home)
    process = start(home, "run", "table3", "--local", *HERE)
    wait_until(lambda: num_artifacts(home) > before, process)
    server.kill()
    wait_until(lambda: num_artifacts(home) > before + 2, process)
    server.start()
    said, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said + errors
    assert "Traceback" not in said + errors
    undisturbed = copy_of(tiny_home, tmp_path / "undisturbed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    done(called(undisturbed, "run", "table3", "--local", *HERE))
    assert {status for status, _ in curves_of(server.url("runs")).values()} == {"FINISHED"}
    assert curves_of(server.url("runs")) == curves_of(f"sqlite:///{undisturbed / 'mlflow.db'}")


@pytest.mark.usefixtures("tiny_scale")
def test_a_search_command_and_its_mlflow_in_postgresql_go_on_after_the_server_was_killed(
    tmp_path: Path, tiny_home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url("runs"))
    home = copy_of(tiny_home, tmp_path)
    command = ("search", "distilled", "--local", *HERE, "--trials", "2", "--storage", server.url())
    before = num_artifacts(home)
    process = start(home, *command)
    wait_until(lambda: num_artifacts(home) > before, process)
    server.kill()
    said, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 3, said + errors
    assert "the Optuna storage postgresql:" in errors
    assert "Traceback" not in said + errors
    server.start()
    said = done(called(home, *command)).output
    assert "2 trials; 1 of them are known from earlier runs" in said
    assert {status for status, _ in curves_of(server.url("runs")).values()} <= {"FINISHED", "KILLED"}  # stopped early


@pytest.mark.usefixtures("tiny_scale")
def test_one_database_is_not_for_searches_and_mlflow_both(
    tmp_path: Path, tiny_home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
):
    home = copy_of(tiny_home, tmp_path)
    search = ("search", "distilled", "--local", *HERE, "--trials", "1", "--storage")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url("runs"))
    refused(called(home, *search, server.url("runs")), 2, "runs is MLflow's database")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url())
    refused(called(home, "run", "table3", "--local", *HERE), 3, "searches holds Optuna's trials")
