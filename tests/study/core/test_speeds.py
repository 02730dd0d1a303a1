"""Speeds of stages: finished ones on the same device tell them first, then checks, then the machine's own table."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from study.core import checked_speeds
from study.core.checked_speeds import FILE, keep_speed, read_speeds, speed_of
from study.core.devices import CPU, device_named
from study.core.graph import key
from study.core.manifest import Computer, Manifest, manifest_of
from study.core.outlook import PlannedMachine
from study.core.schedule import Room
from study.core.speeds import LIKE_FACTOR, Speeds
from study.core.store import Store
from tests.study.core.test_plan import Clip, Train
from trainers.stage import Cost, Resources, Stage

EPYC, XEON, H100, T4 = "AMD EPYC 9B14", "Intel Xeon", "NVIDIA H100 80GB HBM3", "Tesla T4"
TRAIN = Train(clips=(Clip(name="0"),), rate=0.1)
"""Expects 100 seconds."""


def grants(**given: float) -> Callable[[Stage], Resources]:
    return lambda stage: Resources(**given)  # type: ignore[arg-type]


CORES = PlannedMachine(
    title="2 cores", device=device_named(CPU), room=Room(cpus=2), grant=grants(threads=2), cpu_name=EPYC
)
ONE_H100 = PlannedMachine(
    title="1 × H100",
    device=device_named("h100"),
    room=Room(cpus=8, gpus=1),
    grant=grants(threads=8, gpus=1),
    gpu_name=H100,
    cpu_name=EPYC,
)
CLUSTER = replace(ONE_H100, gpu_name="H100", cpu_name="", hosts=frozenset({"node1", "node2"}))


@pytest.fixture
def finished(tmp_path: Path) -> Callable[..., Manifest]:
    def made(seconds: float, host: str = "node1", **computer: object) -> Manifest:
        manifest = manifest_of(TRAIN, tmp_path, seconds, Computer(**computer))  # type: ignore[arg-type]
        return replace(manifest, host=host)

    return made


def on_cpu(device: str | None, threads: int = 2) -> dict[str, object]:
    return {"gpus": 0, "threads": threads, "device": device}


def on_gpu(device: str | None) -> dict[str, object]:
    return {"gpus": 1, "threads": 8, "device": device}


Finished = Callable[..., Manifest]


def test_what_the_same_device_took_tells_the_time_and_another_device_says_nothing(finished: Finished):
    manifests = [finished(7, **on_gpu(H100)), finished(90, **on_gpu(T4)), finished(50, **on_cpu(EPYC))]
    assert Speeds(manifests, (), ONE_H100).seconds(TRAIN) == pytest.approx(7)
    assert Speeds(manifests, (), CLUSTER).seconds(TRAIN) == pytest.approx(7)
    assert Speeds(manifests, (), CORES).seconds(TRAIN) == pytest.approx(50)
    assert Speeds(manifests[1:2], (), ONE_H100).seconds(TRAIN) == pytest.approx(ONE_H100.seconds(TRAIN))
    assert not Speeds(manifests[1:2], (), ONE_H100).is_measured(TRAIN)
    assert Speeds([finished(90, **on_cpu(XEON))], (), CORES).seconds(TRAIN) == pytest.approx(100)


def test_another_machine_of_the_table_is_known_by_what_its_kind_took_here(finished: Finished):
    there = replace(ONE_H100, is_here=False, gpu_name="", cpu_name="")
    assert Speeds([finished(7, **on_gpu(H100)), finished(3, **on_gpu(None))], (), there).seconds(
        TRAIN
    ) == pytest.approx(7)
    assert not Speeds([finished(3, **on_gpu(None)), finished(9, **on_gpu(T4))], (), there).is_measured(TRAIN)


def test_times_of_fewer_cores_count_where_no_time_of_as_many_is_known(finished: Finished):
    one = finished(60, **on_cpu(EPYC, threads=1))
    assert Speeds([one], (), CORES).seconds(TRAIN) == pytest.approx(30)
    assert Speeds([one, finished(44, **on_cpu(EPYC, threads=2))], (), CORES).seconds(TRAIN) == pytest.approx(44)


def test_cores_of_a_cluster_are_known_by_their_hosts(finished: Finished):
    cluster = replace(CORES, cpu_name="", hosts=frozenset({"node1"}))
    assert Speeds([finished(50, "node1", **on_cpu(XEON))], (), cluster).seconds(TRAIN) == pytest.approx(50)
    assert Speeds([finished(50, "elsewhere", **on_cpu(XEON))], (), cluster).seconds(TRAIN) == pytest.approx(100)


def test_manifests_that_do_not_name_their_device_count_last(finished: Finished):
    older = [finished(20), finished(40, **on_gpu(None)), finished(60, **on_cpu(None))]
    assert Speeds(older, (), ONE_H100).seconds(TRAIN) == pytest.approx(
        30
    )  # the one that does not say, and the one on a GPU
    assert Speeds(older, (), CORES).seconds(TRAIN) == pytest.approx(40)
    assert Speeds([*older, finished(7, **on_gpu(H100))], (), ONE_H100).seconds(TRAIN) == pytest.approx(7)


def test_a_check_tells_the_time_of_stages_with_its_network_however_long_they_are(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    size = 4.0
    monkeypatch.setattr(Train, "expected_cost", lambda stage: Cost(training_gmacs=1, gmacs_per_frame=size))
    speed = speed_of(TRAIN, finished(30.0, steady_seconds=20.0, **on_gpu(H100)))
    assert speed is not None
    keep_speed(tmp_path, speed)
    keep_speed(tmp_path, replace(speed, seconds=10.0))
    (kept,) = read_speeds(tmp_path)
    assert kept.seconds == 10
    monkeypatch.setattr(Train, "expected_seconds", lambda stage: 100 * LIKE_FACTOR * 20)
    assert Speeds((), [kept], ONE_H100).seconds(TRAIN) == pytest.approx(100 * LIKE_FACTOR * 20 / 10)
    assert Speeds((), [kept], ONE_H100).is_measured(TRAIN)
    assert not Speeds((), [kept], CORES).is_measured(TRAIN)
    size = 0.04
    assert not Speeds((), [kept], ONE_H100).is_measured(TRAIN)


def test_a_short_stage_without_a_pace_tells_nothing(finished: Finished):
    assert speed_of(TRAIN, finished(checked_speeds.LONG_SECONDS - 1, **on_gpu(H100))) is None
    long = speed_of(TRAIN, finished(checked_speeds.LONG_SECONDS, **on_gpu(H100)))
    assert long is not None
    assert long.seconds == checked_speeds.LONG_SECONDS
    assert speed_of(TRAIN, finished(1000, steady_seconds=900)) is None  # nobody knows on what


@pytest.mark.parametrize("text", ["", "[]", '{"speeds": 3}', '{"speeds": [{"kind": 3}, 4]}'])
def test_a_damaged_file_of_checked_speeds_tells_nothing(tmp_path: Path, text: str):
    (tmp_path / FILE).write_text(text)
    assert read_speeds(tmp_path) == []


def test_manifests_keep_what_computed_their_stage(tmp_path: Path):
    store = Store(tmp_path)
    with store.claim(key(TRAIN)) as folder:
        store.publish(TRAIN, folder, 3.0, Computer(gpus=1, threads=8, device=H100, steady_seconds=2.5))
    found = store.manifest(key(TRAIN))
    assert (found.gpus, found.threads, found.device, found.steady_seconds) == (1, 8, H100, 2.5)
