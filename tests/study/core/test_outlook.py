"""Outlook on a plan: wall time, GPU-hours and energy, of all stages and of some."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from study.core.devices import CPU, device_named
from study.core.graph import key
from study.core.manifest import Computer
from study.core.outlook import PlannedMachine, outlook
from study.core.plan import make_plan
from study.core.schedule import Room
from study.core.store import Store
from tests.study.core.test_plan import STUDY, Clip, Train, publish
from trainers.stage import SMALL_BYTES, Resources, Stage

CORES = PlannedMachine(
    title="2 cores", device=device_named(CPU), room=Room(cpus=2), grant=lambda stage: Resources(threads=2)
)


def on_gpus(workers: int) -> Callable[[Stage], Resources]:
    """Trainings are granted workers with a GPU each, other stages none."""
    return lambda stage: Resources(threads=2, workers=workers, gpus=1) if isinstance(stage, Train) else Resources()


ONE_H100 = PlannedMachine(
    title="1 × h100", device=device_named("h100"), room=Room(cpus=2, gpus=1), grant=on_gpus(1), gpu_name="NVIDIA H100"
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_on_two_cores_stages_take_what_they_expect_one_after_the_other(store: Store):
    plan = make_plan(STUDY.trials(3), store, CORES)
    found = outlook(plan, CORES, plan.seconds)
    assert found.wall_seconds == plan.expected_seconds == 3 * 10 + 2 * (100 + 10) + 10
    assert found.gpu_hours == 0
    assert found.kwh == pytest.approx(plan.expected_seconds * 2 * 8 / 3.6e6)


def test_gpu_hours_are_those_of_stages_that_are_granted_one(store: Store):
    plan = make_plan(STUDY.trials(3), store, ONE_H100)
    assert outlook(plan, ONE_H100, plan.seconds).gpu_hours == pytest.approx(2 * 100 / 3600)


def test_more_gpus_shorten_the_wall_time_down_to_the_longest_chain(store: Store):
    plan = make_plan(STUDY.trials(3), store, CORES)
    many = replace(ONE_H100, room=Room(cpus=200, gpus=100))
    assert outlook(plan, many, plan.seconds).wall_seconds == 10 + 100 + 10


def test_the_outlook_on_some_stages_counts_no_others(store: Store):
    plan = make_plan(STUDY.trials(3), store, CORES)
    assert outlook(plan, CORES, plan.seconds, {key(Clip(name="0"))}).wall_seconds == 10
    assert outlook(plan, CORES, plan.seconds, set()).wall_seconds == 0


def test_several_workers_divide_the_time_and_not_the_gpu_hours(store: Store):
    two = replace(ONE_H100, room=Room(cpus=4, gpus=2), grant=on_gpus(2))
    plan = make_plan(STUDY.trials(3), store, two)
    assert outlook(plan, two, plan.seconds).gpu_hours == pytest.approx(2 * 100 / 3600)


def test_of_an_unknown_gpu_there_is_a_range(store: Store):
    stage = next(s for s in make_plan(STUDY.trials(3), store).stages.values() if isinstance(s, Train))
    unknown = replace(ONE_H100, device=None)
    assert unknown.fewest_seconds(stage) <= unknown.seconds(stage)
    assert "nothing is known" in unknown.source


def test_what_was_measured_here_says_nothing_of_another_machine(store: Store):
    publish(store, Clip(name="x"), 77.0)

    def seconds(is_here: bool) -> float:
        return make_plan(STUDY.trials(3), store, replace(CORES, is_here=is_here)).seconds[key(Clip(name="0"))]

    assert (seconds(is_here=True), seconds(is_here=False)) == (77, 10)


def test_a_stage_that_says_nothing_of_networks_is_work_of_cores():
    stage: Stage = Clip(name="0")
    assert stage.expected_cost().cpu_seconds == stage.expected_seconds()


def test_disk_at_most_is_what_is_kept_and_the_largest_checkpoints_at_a_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Clip, "expected_bytes", lambda clip: 5e6)
    monkeypatch.setattr(Train, "expected_working_bytes", lambda stage: 7e6)
    plan = make_plan(STUDY.trials(3), store, CORES)
    found = outlook(plan, CORES, plan.seconds)
    assert found.kept_bytes == 3 * 5e6 + 5 * SMALL_BYTES
    assert found.peak_bytes == found.kept_bytes + 7e6
    two = replace(ONE_H100, room=Room(cpus=4, gpus=2))
    assert outlook(plan, two, plan.seconds).peak_bytes == found.kept_bytes + 2 * 7e6


def test_sizes_follow_what_stages_of_the_type_left(store: Store):
    with store.claim(key(Clip(name="x"))) as folder:
        (folder / "left").write_bytes(bytes(3000))
        store.publish(Clip(name="x"), folder, 1.0)
    plan = make_plan(STUDY.trials(3), store)
    assert plan.kept_bytes[key(Clip(name="0"))] == pytest.approx(3000)
    assert plan.kept_bytes[key(STUDY.trials(3)[0].stage)] == SMALL_BYTES


def test_seconds_of_a_cpu_say_nothing_of_a_gpu_nor_those_of_a_gpu_of_a_cpu(store: Store):
    stage = next(s for s in make_plan(STUDY.trials(3), store).stages.values() if isinstance(s, Train))
    other = replace(stage, rate=0.7)
    with store.claim(key(other)) as folder:
        store.publish(other, folder, 3.0, Computer(gpus=1))
    on_gpu, on_cpu, unknown = (
        make_plan(STUDY.trials(3), store, m).seconds[key(stage)] for m in (ONE_H100, CORES, None)
    )
    assert (on_gpu, on_cpu, unknown) == (3, 100, 3)
