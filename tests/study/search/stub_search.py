"""A search over stages that are computed in a moment: a student whose curve and worth follow from its parameters."""

import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from optuna.trial import FrozenTrial

from study import Choice
from study.core.store import Store
from study.core.tapes import NO_TAPES, TapeChoice
from study.execution.events import Observer
from study.home.file_systems import Mount
from study.search.domains import LogUniform, OrNone, PowerOfTwo, Uniform, When
from study.search.home_storage import storage_url
from study.search.in_process import search_locally
from study.search.loop import SearchLoop
from study.search.objective import Objective, PruningSignal
from study.search.observer import SearchObserver
from study.search.optuna_study import OptunaStudy, parameters_of
from study.search.pruner import SuccessiveHalving
from study.search.space import Search, Space
from tests.study.steps import NOWHERE
from trainers.artifacts.history import write_history
from trainers.stage import InputError, Resources, Stage, Work

EPOCHS = 9


@dataclass(frozen=True)
class Conditions:
    """What the stub recipe is given.

    Attributes:
        batch: what queues are multiples of.
        diary: where stages note what they did.
        epoch_seconds: how long an epoch takes.
        gate: where a student waits, after each epoch, for the file of its `gate_file`.
        fails: what of a trial fails: its data, its student where the weight is above 1, or nothing.
    """

    batch: int = 8
    diary: Path = NOWHERE
    epoch_seconds: float = 0.0
    gate: Path = NOWHERE
    fails: Literal["data", "student", ""] = ""


@dataclass(frozen=True, kw_only=True)
class Noted(Stage):
    diary: Path = field(default=NOWHERE, compare=False)

    def expected_seconds(self) -> float:
        return 0.01

    def note(self, line: str) -> None:
        if self.diary != NOWHERE:
            with self.diary.open("a") as file:
                file.write(line + "\n")


@dataclass(frozen=True, kw_only=True)
class Data(Noted):
    name: str = "data"
    fails: bool = field(default=False, compare=False)

    def run(self, work: Work) -> None:
        if self.fails:
            raise InputError("the video is torn: mend it.")
        self.note("data")


@dataclass(frozen=True, kw_only=True)
class Teacher(Noted):
    data: Data
    epochs: int

    def run(self, work: Work) -> None:
        self.note(f"teacher {self.epochs}")


@dataclass(frozen=True, kw_only=True)
class Student(Noted):
    """Its probe rises towards its worth; it goes on from its checkpoint, and reports again what it had done."""

    start: Stage
    worth: float
    fails: bool = field(default=False, compare=False)
    epoch_seconds: float = field(default=0.0, compare=False)
    gate: Path = field(default=NOWHERE, compare=False)

    def gate_file(self, epoch: int) -> Path:
        """What lets it go on after an epoch, where it has a gate."""
        return self.gate / f"{self.worth} {epoch}"

    def run(self, work: Work) -> None:
        checkpoint = work.output / "checkpoint.json"
        history = json.loads(checkpoint.read_text()) if checkpoint.exists() else []
        for record in history:
            work.epoch(int(record["epoch"]), record)
        self.note(f"student {self.worth} from {len(history)}")
        for epoch in range(len(history) + 1, EPOCHS + 1):
            time.sleep(self.epoch_seconds)
            if self.fails:
                raise ValueError("the loss is no longer finite")
            history.append({"epoch": epoch, "knn": self.worth * (1 - math.exp(-epoch / 3))})
            (work.output / "part").write_text(json.dumps(history))
            (work.output / "part").rename(checkpoint)
            self.note(f"epoch {self.worth} {epoch}")
            work.epoch(epoch, history[-1])
            while self.gate != NOWHERE and not self.gate_file(epoch).exists():
                time.sleep(0.02)
        write_history(work.output, history)
        checkpoint.unlink()


@dataclass(frozen=True, kw_only=True)
class Judge(Noted):
    """A temporal model."""

    student: Student

    def run(self, work: Work) -> None:
        (work.output / "value.json").write_text(json.dumps(self.student.worth))
        self.note(f"judge {self.student.worth}")


@dataclass(frozen=True, kw_only=True)
class Test(Noted):
    """What a search never comes to."""

    __test__ = False

    judge: Judge
    videos: tuple[Data, ...]

    def run(self, work: Work) -> None:
        raise AssertionError


def student(
    conditions: Conditions,
    *,
    seed: int,
    weight: float = 1.0,
    temperature: float = 0.1,
    own_temperature: float | None = None,
    queue_size: int = 64,
    teacher: Literal["none", "head", "all"] = "head",
    teacher_epochs: int = 4,
) -> Test:
    """The nearer to 2, 0.2, 32, a head and 4 epochs, the better."""
    if queue_size % conditions.batch:
        raise InputError(f"a queue of {queue_size} is no multiple of {conditions.batch}.")
    data = Data(diary=conditions.diary, fails=conditions.fails == "data")
    start: Stage = data
    worth = 90 - 8 * abs(math.log2(weight / 2)) - 5 * abs(math.log2(temperature / 0.2))
    worth -= abs(math.log2(queue_size / 32)) + 10 * abs((own_temperature or temperature) - temperature)
    if teacher != "none":
        start = Teacher(data=data, epochs=teacher_epochs, diary=conditions.diary)
        worth += {"head": 5, "all": 2}[teacher] - abs(math.log2(teacher_epochs / 4))
    trained = Student(
        start=start,
        worth=round(worth, 9),
        fails=conditions.fails == "student" and weight > 1,
        epoch_seconds=conditions.epoch_seconds,
        gate=conditions.gate,
        diary=conditions.diary,
    )
    return Test(judge=Judge(student=trained, diary=conditions.diary), videos=(Data(name="test video"),))


def _batch(conditions: object, settings: object) -> int:
    assert isinstance(conditions, Conditions)
    return conditions.batch


def _last_stage(stage: Stage) -> Stage:
    assert isinstance(stage, Test)
    return stage.judge


def _pruning_signal(stage: Stage) -> PruningSignal:
    assert isinstance(stage, Judge)
    return PruningSignal(stage=stage.student, epochs=EPOCHS)


SEARCH = Search(
    name="stub",
    title="Which student is best?",
    question="Which weight, temperature, queue and teacher make the best student?",
    recipe=student,
    axes={
        "weight": LogUniform(0.1, 10),
        "temperature": Uniform(0.02, 0.6),
        "own_temperature": OrNone(LogUniform(0.02, 0.6)),
        "queue_size": PowerOfTwo(1, 16, _batch),
        "teacher": Choice(("none", "head", "all")),
        "teacher_epochs": When("teacher", ("head", "all"), PowerOfTwo(1, 8)),
    },
    objective=Objective(
        title="worth, %",
        last_stage=_last_stage,
        value=lambda folder: float(json.loads((folder / "value.json").read_text())),
        pruning_signal=_pruning_signal,
        metric="knn",
    ),
    evaluated_in="stub",
)


def searched(
    home: Path,
    num_trials: int,
    conditions: Conditions | None = None,
    *,
    search: Search = SEARCH,
    seed: int = 0,
    observers: tuple[SearchObserver, ...] = (),
    url: str | None = None,
    tapes: TapeChoice = NO_TAPES,
    **settings: object,
) -> tuple[SearchLoop, list[FrozenTrial]]:
    """Searches in this process; returns the loop at its end, and Optuna's trials."""
    store = Store(home)
    space = search.bind(conditions or Conditions(), settings)
    with open_study(home, space, seed=seed, url=url) as optuna_study:
        loop = SearchLoop(
            space=space,
            store=store,
            optuna_study=optuna_study,
            num_trials=num_trials,
            observers=observers,
            tapes=tapes,
        )
        search_locally(loop, store, lambda stage: Resources(), Observer())
        return loop, optuna_study.trials()


def open_study(home: Path, space: Space, seed: int = 0, name: str = "stub", url: str | None = None) -> OptunaStudy:
    url = url or storage_url(home)
    return OptunaStudy(name=name, space=space, seed=seed, url=url, driver="me", halving=SuccessiveHalving(EPOCHS))


def on_nfs(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Has a folder be on a network file system."""
    table = [Mount(folder="/", kind="ext4"), Mount(folder=str(folder.resolve()), kind="nfs4")]
    monkeypatch.setattr("study.home.file_systems.mounts", lambda: table)


def remembered(trials: list[FrozenTrial]) -> list[tuple[object, ...]]:
    """All that is remembered of trials, but for times."""
    return [
        (t.number, t.state.name, t.values, parameters_of(t), t.params, t.intermediate_values, t.user_attrs)
        for t in trials
    ]


def states(trials: list[FrozenTrial]) -> list[str]:
    return [trial.state.name for trial in trials]


def entries(diary: Path) -> list[str]:
    return diary.read_text().splitlines() if diary.exists() else []
