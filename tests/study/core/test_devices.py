"""Table of devices: every entry has a source, and faster devices shorten what networks take alone."""

from dataclasses import replace

import pytest

from study.core.devices import CPU, device_named, device_of_driver, devices, extreme_gpu
from trainers.stage import Cost, InputError


def test_every_entry_says_where_it_comes_from_and_has_speeds():
    for device in devices().values():
        assert device.source.startswith(("measured 20", "estimated: "))
        assert 0 < device.training_fp32 <= device.training_bf16
        assert 0 < device.inference_fp32 <= device.inference_bf16
        assert device.watts > 0


def test_devices_are_found_by_the_names_of_drivers():
    named = {
        "NVIDIA H100 80GB HBM3": "h100",
        "NVIDIA A100-SXM4-40GB": "a100",
        "Tesla T4": "t4",
        "NVIDIA L4": "l4",
        "T4": "t4",
        "A100-80G": "a100",
    }
    assert {driver: device.name for driver in named if (device := device_of_driver(driver))} == named
    assert [device_of_driver(name) for name in ("Radeon 9000", "NVIDIA L40S", "NVIDIA H1000")] == [None] * 3


def test_no_driver_name_is_of_two_entries():
    parts = [part for device in devices().values() for part in device.matches]
    assert not [(one, other) for one in parts for other in parts if one != other and one in other]


def test_an_unknown_name_is_refused_with_all_that_there_are():
    with pytest.raises(InputError, match=r"no device named 'h10'.*did you mean 'h100'.*cpu, t4"):
        device_named("h10")


def test_a_gpu_computes_while_cores_prepare_frames_and_a_cpu_does_one_after_the_other():
    rate = device_named("h100").training_bf16
    cost = Cost(cpu_seconds=10, training_gmacs=rate, precision="bf16")
    assert device_named("h100").seconds(cost, cores=2) == 10
    assert device_named("h100").seconds(cost, cores=8) == 10 * 2 / 8
    assert device_named("h100").seconds(replace(cost, cpu_seconds=1), cores=200) == 1
    assert device_named("h100").seconds(replace(cost, cpu_seconds=1), cores=200, gpus=0.5) == 2
    assert device_named("h100").seconds(replace(cost, launch_seconds=9, cpu_seconds=1), cores=2) == 9
    assert device_named(CPU).seconds(cost, cores=4) == pytest.approx(rate / 22.5 / 4 + 10 * 2 / 4)


def test_bf16_and_inference_have_speeds_of_their_own():
    h200 = device_named("h200")
    for kind, rates in {
        "training_gmacs": {"bf16": h200.training_bf16, "fp32": h200.training_fp32},
        "inference_gmacs": {"bf16": h200.inference_bf16, "fp32": h200.inference_fp32},
    }.items():
        for precision, rate in rates.items():
            assert h200.seconds(Cost(**{kind: rate}, precision=precision), 1) == 1  # type: ignore[arg-type]


def test_what_is_unknown_lies_between_the_slowest_and_the_fastest():
    slowest, fastest = extreme_gpu("slowest"), extreme_gpu("fastest")
    assert slowest.training_bf16 < device_named("a100").training_bf16 < fastest.training_bf16
