"""Fixtures of tests that kill drivers, and of those of the broker."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from study.core.plan import make_plan
from study.core.store import Store
from study.core.study import standalone
from study.execution.events import Observer
from study.execution.local import run as run_locally
from tests.study.execution.ray.broker_driver import Driver, wait_until
from tests.study.execution.ray.programs import Program, artifacts
from tests.study.execution.ray.ray_program import PLANS
from trainers.stage import Resources

Start = Callable[[], Driver]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Starts programs in this test's folder; none outlives it."""
    programs: list[Program] = []

    def start(*arguments: Any, **options: Any) -> Program:
        programs.append(Program(tmp_path, *arguments, **options))
        return programs[-1]

    yield start
    for program in programs:
        program.process.kill()
        program.process.wait()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """What the shared plan makes where nothing is killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    store = Store(folder / "home")
    plan = make_plan(standalone(PLANS["shared"](folder / "diary")), store)
    run_locally(plan, store, lambda stage: Resources(), Observer())
    return artifacts(store.home)


@pytest.fixture(scope="module")
def ray(cluster: Any) -> Iterator[Any]:
    """Ray in this process, which has joined the cluster."""
    import ray

    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


@pytest.fixture
def start_driver(ray: Any, home: Path) -> Iterator[Start]:
    """Starts a driver's broker on the test's home."""
    drivers: list[Driver] = []

    def start_driver() -> Driver:
        drivers.append(Driver(ray, home))
        return drivers[-1]

    yield start_driver
    for driver in drivers:
        driver.get("stop")
    # Its workers go back before it is killed: Ray may lose the CPU of one that is leased to it just then.
    assert wait_until(lambda: ray.available_resources().get("CPU") == 2), ray.available_resources()
    for driver in drivers:
        ray.kill(driver.broker)


@pytest.fixture
def driver(start_driver: Start) -> Driver:
    return start_driver()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    return tmp_path / "diary"
