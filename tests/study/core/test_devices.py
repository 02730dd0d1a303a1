"""Table of devices: every entry has a source, and faster devices shorten what networks take alone."""

import pytest

from study.core.devices import CPU, device_named, device_of_driver, devices, extreme_gpu
from trainers.stage import Cost, InputError


def test_every_entry_says_where_it_comes_from_and_has_speeds():
    for device in devices().values():
        assert device.source.startswith(("measured 20", "estimated: "))
        assert min(device.training_bf16, device.training_fp32, device.inference, device.watts) > 0


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
    cost = Cost(cpu_seconds=10, training_gmacs=23000, precision="bf16")
    assert device_named("h100").seconds(cost, cores=8) == 10 * 2 / 8
    assert device_named("h100").seconds(cost, cores=200) == 1
    assert device_named(CPU).seconds(cost, cores=4) == 23000 / 22.5 / 4 + 10 * 2 / 4


def test_bf16_and_inference_have_speeds_of_their_own():
    h100 = device_named("h100")
    fp32, bf16 = (h100.seconds(Cost(training_gmacs=1, precision=each), 1) for each in ("fp32", "bf16"))
    assert fp32 == 2 * bf16 == h100.seconds(Cost(inference_gmacs=1), 1)


def test_what_is_unknown_lies_between_the_slowest_and_the_fastest():
    slowest, fastest = extreme_gpu("slowest"), extreme_gpu("fastest")
    assert slowest.training_bf16 < device_named("a100").training_bf16 < fastest.training_bf16
