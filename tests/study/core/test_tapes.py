from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from study import Choice, Study
from study.core.devices import device_named
from study.core.graph import key, walk
from study.core.outlook import PlannedMachine, outlook
from study.core.plan import make_plan
from study.core.schedule import Room
from study.core.store import Store
from study.core.study import standalone
from study.core.tapes import NO_TAPES, TAPES_AT_WORK, TapeChoice
from trainers.stage import SMALL_BYTES, Resources, Stage, Work

CORES = PlannedMachine(
    title="2 CPU cores", device=device_named("cpu"), room=Room(cpus=2), grant=lambda stage: Resources(threads=2)
)


@dataclass(frozen=True, kw_only=True)
class Teacher(Stage):
    def run(self, work: Work) -> None: ...

    def expected_seconds(self) -> float:
        return 5.0


@dataclass(frozen=True, kw_only=True)
class Recording(Stage):
    teacher: Teacher
    what: str
    size: float = 1e9
    length: int = 1

    def run(self, work: Work) -> None: ...

    def shortest(self):
        return replace(self, length=1)

    def expected_seconds(self) -> float:
        return 40.0 * self.length

    def expected_bytes(self) -> float:
        return self.size


@dataclass(frozen=True, kw_only=True)
class Student(Stage):
    """Takes 100 seconds, of which features save 35 and embeddings 30."""

    teacher: Teacher
    weight: float
    of: str = "a"
    length: int = 1
    recording: Stage | None = field(default=None, compare=False)

    def run(self, work: Work) -> None: ...

    def expected_seconds(self) -> float:
        if self.recording is None:
            return 100.0 * self.length
        return (65.0 if self.recording.what == "features" else 70.0) * self.length

    def aids(self):
        return {} if self.recording is None else {"tape": self.recording}

    def tapes(self):
        features = Recording(teacher=self.teacher, what="features", size=9e9, length=self.length)
        embeddings = Recording(teacher=self.teacher, what=f"embeddings for {self.of}", length=self.length)
        return {"features": features, "embeddings": embeddings}

    def replaying(self, tape):
        return replace(self, recording=tape)


def recipe(conditions: object, *, seed: int, weight: float = 1.0) -> Student:
    return Student(teacher=Teacher(), weight=weight, of="a" if weight < 10 else "b")


def study(*weights: float) -> Study:
    axes = {"weight": Choice(weights)}
    return Study(name="weights", title="Weights", question="Which?", recipe=recipe, axes=axes)


def plan_of(store, kinds, gigabytes=100.0, weights=(1, 2, 3), *, for_one=False):
    choice = TapeChoice(kinds=kinds, limit_bytes=gigabytes * 1e9, for_one=for_one)
    return make_plan(study(*weights).trials(None), store, CORES, choice)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def publish(store: Store, stage: Stage) -> None:
    with store.claim(key(stage)) as folder:
        store.publish(stage, folder, 1.0)


def recorded(plan):
    """What the tapes of a plan hold, by the weights of the students that replay them."""
    taking = [s for s in plan.stages.values() if isinstance(s, Student) and s.recording is not None]
    return {what: [s.weight for s in taking if s.recording.what == what] for what in {s.recording.what for s in taking}}


CHOICES = {
    "off": ("off", 100, (1, 2, 3), {}),
    "three students pay for features": ("auto", 100, (1, 2, 3), {"features": [1, 2, 3]}),
    "one does not": ("auto", 100, (1,), {}),
    "features that do not fit leave embeddings": ("auto", 5, (1, 2, 3), {"embeddings for a": [1, 2, 3]}),
    "nothing fits": ("auto", 0.5, (1, 2, 3), {}),
    "each teacher's embeddings are another tape": ("auto", 5, (1, 2, 3, 11), {"embeddings for a": [1, 2, 3]}),
    "a kind that is asked for need not pay": ("embeddings", 100, (1, 2), {"embeddings for a": [1, 2]}),
    "but serves several": ("embeddings", 100, (1, 11), {}),
    "nor fit": ("features", 5, (1, 2), {}),
    "the disk holds one of two": ("embeddings", 1.5, (1, 2, 3, 11, 12), {"embeddings for a": [1, 2, 3]}),
}


@pytest.mark.parametrize(("kinds", "gigabytes", "weights", "expected"), CHOICES.values(), ids=CHOICES)
def test_a_plan_takes_the_tapes_that_save_most(kinds, gigabytes, weights, expected, store):
    plan = plan_of(store, kinds, gigabytes, weights)
    assert recorded(plan) == expected
    assert {plan.stages[k].what for k in plan.tapes} == expected.keys()
    assert plan.tapes <= set(plan.missing)


def test_the_longest_of_several_lengths_serves_all(store):
    students = [Student(teacher=Teacher(), weight=number, length=1 + number // 3) for number in range(4)]
    plan = make_plan(standalone(students), store, CORES, TapeChoice(kinds="auto", limit_bytes=1e12))
    (tape,) = plan.tapes
    assert plan.stages[tape].length == 2
    assert [plan.stages[key(student)].recording.length for student in students] == [2, 2, 2, 2]


def test_a_tape_that_is_there_serves_what_is_not_longer(store):
    publish(store, Teacher())
    publish(store, Recording(teacher=Teacher(), what="embeddings for a", length=2))
    students = [Student(teacher=Teacher(), weight=number, length=number) for number in (1, 2, 3)]
    plan = make_plan(standalone(students), store, CORES, TapeChoice(kinds="auto"))
    assert [plan.stages[key(student)].recording is not None for student in students] == [True, True, False]


def test_a_tape_that_is_there_is_free(store):
    publish(store, Teacher())
    publish(store, Recording(teacher=Teacher(), what="embeddings for a"))
    plan = plan_of(store, "auto", gigabytes=0, weights=(1,))
    assert recorded(plan) == {"embeddings for a": [1]}
    assert [type(plan.stages[k]).__name__ for k in plan.missing] == ["Student"]
    assert plan.saved_seconds == pytest.approx(30)


def test_tapes_change_no_key_and_come_before_those_that_replay_them(store):
    without, plan = (plan_of(store, kinds) for kinds in ("off", "auto"))
    assert [k for k in plan.missing if k not in plan.tapes] == list(without.missing)
    kinds = [type(plan.stages[k]).__name__ for k in plan.missing]
    assert kinds == ["Teacher", "Recording", "Student", "Student", "Student"]
    assert plan.expected_seconds == 5 + 40 + 3 * 65
    assert plan.saved_seconds == without.expected_seconds - plan.expected_seconds
    (tape,) = plan.tapes
    assert plan.users[tape] == (0, 1, 2)


def test_students_that_are_finished_need_no_tape(store):
    for stage in walk(*(trial.stage for trial in study(1, 2, 3).trials(None))).values():
        publish(store, stage)
    assert plan_of(store, "auto").tapes == frozenset()


def test_a_search_records_for_the_first_of_its_trials(store):
    plan = plan_of(store, "features", weights=(1,), for_one=True)
    assert [type(plan.stages[k]).__name__ for k in plan.missing] == ["Teacher", "Recording", "Student"]


def test_a_tape_takes_disk_only_until_its_students_are_finished(store):
    plan = plan_of(store, "auto")
    found = outlook(plan, CORES, plan.seconds)
    assert found.kept_bytes == 4 * SMALL_BYTES
    assert found.peak_bytes == found.kept_bytes + 9e9


def test_a_tape_at_work_is_seen_by_those_who_watch(store):
    tape = Recording(teacher=Teacher(), what="features", size=9e9)
    watching = [make_plan(study(1, 2, 3).trials(None), store, CORES, TAPES_AT_WORK)]
    with store.claim(key(tape)):
        watching.append(make_plan(study(1, 2, 3).trials(None), store, CORES, TAPES_AT_WORK))
    assert [plan.tapes for plan in watching] == [frozenset(), {key(tape)}]


def test_without_a_choice_there_are_no_tapes(store):
    assert make_plan(study(1, 2, 3).trials(None), store).tapes == frozenset()
    assert NO_TAPES.kinds == "off"
