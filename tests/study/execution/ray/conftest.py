"""Fixtures of tests that kill drivers: programs, and the artifacts that an undisturbed one makes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from study.core.plan import make_plan
from study.core.store import Store
from study.core.study import standalone
from study.execution.events import Observer
from study.execution.local import run as run_locally
from tests.study.execution.ray.programs import Program, artifacts
from tests.study.execution.ray.ray_program import PLANS
from trainers.stage import Resources


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
