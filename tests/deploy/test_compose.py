"""deploy/docker-compose.yaml: its parts fit together, and its MLflow runs on a real PostgreSQL and an S3 server."""

import importlib.util
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml

from study.tracking.mlflow_client import Destination
from study.tracking.server import stop_server, wait_until_healthy
from tests.shared import free_port
from tests.study.postgresql import needs_postgresql, running
from tests.study.small_study import STUDY
from tests.study.tracking.tracked import follow, runs_of, trials_of

REPOSITORY = Path(__file__).parents[2]
PATIENCE_SECONDS = 120
PASSWORD = "a-password-of-a-test"
VARIABLES = {"DATABASE_PASSWORD": PASSWORD, "STORE_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services, with variables put in as `docker compose` does."""
    text = (REPOSITORY / "deploy" / "docker-compose.yaml").read_text()
    text = re.sub(r"\$\{(\w+)(?::\?[^}]*)?\}", lambda found: VARIABLES[found[1]], text)
    found: dict[str, Any] = yaml.safe_load(text)["services"]
    return found


def test_services_wait_for_services_that_there_are_and_reach_them_by_name_and_port(services: dict[str, Any]):
    assert set(services) == {"database", "store", "bucket", "mlflow"}
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert ("build" in service) or ":" in service["image"]
    (database,) = (option for option in services["mlflow"]["command"] if "backend-store-uri" in option)
    assert database.endswith("@database:5432/mlflow")
    port = services["store"]["command"][0].removeprefix("--port=")
    assert services["mlflow"]["environment"]["AWS_ENDPOINT_URL_S3"] == f"http://store{port}"
    assert "healthcheck" in services["database"]


def test_users_and_passwords_are_the_same_on_both_sides(services: dict[str, Any]):
    database, store, server = (services[name]["environment"] for name in ("database", "store", "mlflow"))
    assert server["AWS_ACCESS_KEY_ID"] == store["ROOT_ACCESS_KEY_ID"]
    assert server["AWS_SECRET_ACCESS_KEY"] == store["ROOT_SECRET_ACCESS_KEY"]
    who = f"{database['POSTGRES_USER']}:{database['POSTGRES_PASSWORD']}@"
    assert any(who in option for option in services["mlflow"]["command"])


def test_the_image_that_is_built_is_a_target_of_the_dockerfile(services: dict[str, Any]):
    build = services["mlflow"]["build"]
    dockerfile = (REPOSITORY / "deploy" / build["context"] / build["dockerfile"]).read_text()
    assert f"AS {build['target']}\n" in dockerfile


@contextmanager
def started(command: list[str], environment: dict[str, str], log: Path, url: str) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env={**os.environ, **environment}, start_new_session=True
        )
    try:
        wait_until_healthy(process, url, log)
        yield
    finally:
        stop_server(process)


@contextmanager
def object_store(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    port = free_port()
    environment["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{port}"
    with (folder / "store.txt").open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=file, stderr=file, start_new_session=True
        )
    try:
        yield
    finally:
        stop_server(process)


def until_it_succeeds(command: list[str], environment: dict[str, str]) -> None:
    """Runs a command as `restart: on-failure` does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while subprocess.run(command, env=environment, capture_output=True, check=False).returncode != 0:
        assert time.monotonic() < deadline
        time.sleep(0.5)


@pytest.mark.services
@needs_postgresql
def test_its_mlflow_keeps_a_study_in_postgresql_and_its_artifacts_in_the_store(
    services: dict[str, Any], open_folder: Path, tmp_path: Path
):
    for package in ("psycopg", "boto3", "moto"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"no {package}: pip install 'freelunch-surgical[services]'")
    environment = {name: str(value) for name, value in services["mlflow"]["environment"].items()}
    with (
        running(open_folder, "mlflow", ["mlflow"]) as database,
        object_store(tmp_path, environment),
    ):
        bucket = [sys.executable, *services["bucket"]["command"][1:]]
        until_it_succeeds(bucket, {**os.environ, **environment})
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [
            option.replace("@database:5432", f"@127.0.0.1:{database.port}").replace("--port=5000", f"--port={port}")
            for option in services["mlflow"]["command"]
        ]
        command[0] = str(Path(sys.executable).with_name("mlflow"))
        with started(command, environment, tmp_path / "mlflow.txt", url):
            home = tmp_path / "home"
            home.mkdir()
            follow(home, trials_of("head"), uri=url, study=STUDY)
            assert {run.info.status for run in runs_of(home, url).values()} == {"FINISHED"}
            assert Destination(home, url).version == mlflow.__version__
            kept = mlflow.MlflowClient(url)
            run = runs_of(home, url)["head, seed 0"]
            kept.log_text(run.info.run_id, "in the store", "note.txt")
            assert Path(kept.download_artifacts(run.info.run_id, "note.txt")).read_text() == "in the store"
        stored = urllib.request.urlopen(f"{environment['AWS_ENDPOINT_URL_S3']}/moto-api/data.json", timeout=30).read()
        assert b"note.txt" in stored
