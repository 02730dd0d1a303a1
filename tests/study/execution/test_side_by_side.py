import multiprocessing
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from study.core.disk import DiskFullError
from study.core.graph import key
from study.core.plan import make_plan
from study.core.store import Store
from study.core.study import standalone
from study.execution.events import Observer, Outcome, Started
from study.execution.side_by_side import run_side_by_side
from tests.study.execution.stub_stages import Listener, Step
from trainers.stage import MachineError, Resources, Stage, Work


@dataclass(frozen=True, kw_only=True)
class Meeting(Stage):
    """Ends when as many like it are being computed as are expected."""

    name: str
    expected: int
    place: Path = field(compare=False)
    dies: bool = False

    @property
    def title(self) -> str:
        return self.name

    def run(self, work: Work) -> None:
        (self.place / self.name).touch()
        deadline = time.monotonic() + 120
        while len(list(self.place.iterdir())) < self.expected:
            assert time.monotonic() < deadline, "the others were never computed at the same time"
            time.sleep(0.01)
        if self.dies:
            os._exit(7)
        work.progress(1.0)
        (work.output / "process").write_text(str(os.getpid()))

    def expected_seconds(self) -> float:
        return 1.0


def compute(home: Path, *stages: Stage, observer: Observer | None = None) -> Outcome:
    store = Store(home)
    plan = make_plan(standalone(stages), store)
    return run_side_by_side(plan, store, lambda stage: Resources(), observer or Observer(), 2)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "meeting"
    place.mkdir()
    return place


def test_stages_are_computed_at_once_and_events_are_heard(tmp_path: Path, place: Path):
    stages = [Meeting(name=name, expected=2, place=place) for name in ("one", "two")]
    listener = Listener()
    outcome = compute(tmp_path / "home", *stages, observer=listener)
    assert set(outcome.computed) == {key(stage) for stage in stages}
    assert sorted(listener.heard) == ["one finished", "one started", "two finished", "two started"]
    store = Store(tmp_path / "home")
    assert len({(store.check(key(stage)) / "process").read_text() for stage in stages} | {str(os.getpid())}) == 3
    assert not multiprocessing.active_children()


def test_a_stage_that_raises_fails_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    bad, *good = (Step(name="bad", raises="ValueError"), Step(name="one"), Step(name="two"), Step(name="three"))
    outcome = compute(tmp_path, bad, *good)
    assert set(outcome.computed) == set(map(key, good))
    assert outcome.failures.keys() == {key(bad)}
    assert outcome.failures[key(bad)].sentence == "ValueError: first line"
    assert capfd.readouterr() == ("", "")


def test_a_full_disk_ends_all(tmp_path: Path):
    with pytest.raises(DiskFullError, match="free some space"):
        compute(tmp_path, Step(name="full", raises="ENOSPC"), Step(name="long", pause_seconds=300))
    assert not multiprocessing.active_children()


def test_a_process_that_dies_is_said(tmp_path: Path, place: Path):
    with pytest.raises(MachineError, match=r"a process died \(exit code 7\): type the same command again"):
        compute(tmp_path / "home", Meeting(name="dying", expected=1, place=place, dies=True), Step(name="other"))
    assert not multiprocessing.active_children()


def test_an_interrupt_leaves_no_process(tmp_path: Path):
    class Interrupting(Observer):
        def on_started(self, stage: Stage, event: Started) -> None:
            raise KeyboardInterrupt

    stages = [Step(name=name, pause_seconds=300) for name in ("one", "two", "three")]
    with pytest.raises(KeyboardInterrupt):
        compute(tmp_path, *stages, observer=Interrupting())
    assert not multiprocessing.active_children()
    assert not any(Store(tmp_path).is_claimed(key(stage)) for stage in stages)
