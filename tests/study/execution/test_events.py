import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from study.core.disk import DiskFullError
from study.core.graph import key
from study.core.manifest import PROGRESS
from study.core.store import Store
from study.execution.events import (
    Blocked,
    DiskFull,
    EpochEnded,
    Failed,
    Failure,
    Finished,
    Found,
    Interrupted,
    Observer,
    Observers,
    Outcome,
    Progressed,
    StageEvent,
    Started,
    Waiting,
    event_of,
    failure_of,
)
from study.execution.executor import compute
from tests.study.steps import Step
from trainers.stage import EpochEnd, InputError, MachineError, Progress, Resources, Work

STAGE = Step(name="stage")
KEY = key(STAGE)
FAILURE = Failure(sentence="no.", fault="input", key="k", title="t")
PROGRESSED = Progress(fraction=0.25, epoch=2, metrics={"loss_x": 3.0}, frames_per_second=9.0)
EVENTS: dict[str, tuple[StageEvent, tuple[object, ...]]] = {
    "on_started": (Started(key=KEY, resumed=True), (Started(key=KEY, resumed=True),)),
    "on_progress": (Progressed(key=KEY, progress=PROGRESSED), (PROGRESSED,)),
    "on_epoch": (EpochEnded(key=KEY, number=2, metrics={"loss": 1.0}), (2, {"loss": 1.0})),
    "on_finished": (Finished(key=KEY, seconds=3.0), (3.0,)),
    "on_found": (Found(key=KEY), ()),
    "on_waiting": (Waiting(key=KEY, reason="why"), ("why",)),
    "on_interrupted": (Interrupted(key=KEY, reason="why"), ("why",)),
    "on_failed": (Failed(key=KEY, failure=FAILURE), (FAILURE,)),
    "on_blocked": (Blocked(key=KEY, failure=FAILURE), (FAILURE,)),
    "on_disk_full": (DiskFull(key=KEY, failure=FAILURE), (FAILURE,)),
}


@pytest.mark.parametrize("method", EVENTS)
def test_every_event_reaches_its_method_and_no_other(method: str, monkeypatch: pytest.MonkeyPatch):
    called: list[tuple[str, tuple[object, ...]]] = []
    for name in EVENTS:
        monkeypatch.setattr(Observer, name, lambda self, *arguments, name=name: called.append((name, arguments)))
    event, arguments = EVENTS[method]
    Observers(Observer(), Observer()).on_event(STAGE, event)
    assert called == [(method, (STAGE, *arguments))] * 2


def test_an_outcome_knows_what_kept_a_stage_from_being_computed():
    outcome, needing = Outcome(), Step(name="needing", needs=(STAGE,))
    outcome.on_event(STAGE, Failed(key=KEY, failure=FAILURE))
    outcome.on_event(needing, Blocked(key=key(needing), failure=FAILURE))
    outcome.on_event(Step(name="other"), Finished(key=key(Step(name="other")), seconds=1.0))
    assert outcome.root_failure(KEY) is outcome.root_failure(key(needing)) is FAILURE
    assert outcome.computed == [key(Step(name="other"))]


@pytest.mark.parametrize(
    ("error", "fault"),
    [(InputError("no."), "input"), (MachineError("no."), "machine"), (DiskFullError("no."), "machine")],
)
def test_a_failure_says_whose_fault_it_is(error: Exception, fault: str):
    failure = failure_of(error, key="k", title="t")
    assert (failure.fault, failure.sentence, failure.key, failure.title) == (fault, "no.", "k", "t")


def test_faults_of_the_input_and_of_the_machine_are_siblings():
    assert not issubclass(MachineError, InputError)
    assert not issubclass(InputError, MachineError)


def test_a_report_becomes_the_event_of_its_stage():
    assert event_of(KEY, PROGRESSED) == Progressed(key=KEY, progress=PROGRESSED)
    assert event_of(KEY, EpochEnd(number=2, metrics={"loss": 1.0})) == EpochEnded(
        key=KEY, number=2, metrics={"loss": 1.0}
    )


@dataclass(frozen=True, kw_only=True)
class Reporting(Step):
    def run(self, work: Work) -> None:
        work.progress(0.25, epoch=2, metrics={"loss_x": 3.0}, frames_per_second=9.0)
        raise ValueError("interrupted")


def test_the_latest_progress_is_kept_in_the_folder_as_status_reads_it(tmp_path: Path):
    store, stage = Store(tmp_path), Reporting(name="reporting")
    with store.claim(key(stage)) as folder:
        compute(stage, folder, store, Resources(), lambda report: None)
    note = json.loads((folder / PROGRESS).read_text())
    assert note["epoch"] == 2
    assert note["metrics"] == {"loss_x": 3.0, "frames_per_second": 9.0, "fraction": 0.25}
    assert {"time", "seconds", "host"} <= note.keys()
