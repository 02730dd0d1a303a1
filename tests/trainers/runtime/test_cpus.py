import os

import pytest

from trainers.runtime.cpus import available_cpus

CORES = len(os.sched_getaffinity(0))


def write(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text + "\n")


@pytest.fixture
def own(tmp_path):
    return tmp_path / "own"


@pytest.mark.parametrize(("limit", "cpus"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", CORES)])
def test_a_limited_container_counts_the_cores_it_is_granted(limit, cpus, tmp_path, own):
    own.write_text("0::/job\n")
    write(tmp_path / "cgroup" / "job", "cpu.max", limit)
    assert available_cpus(tmp_path / "cgroup", own) == cpus


def test_a_limit_of_a_group_further_up_counts_too(tmp_path, own):
    own.write_text("0::/job/step\n")
    write(tmp_path / "cgroup" / "job" / "step", "cpu.max", "max 100000")
    write(tmp_path / "cgroup", "cpu.max", "100000 100000")
    assert available_cpus(tmp_path / "cgroup", own) == 1


@pytest.mark.parametrize(("quota", "cpus"), [("100000", 1), ("-1", CORES)])
def test_control_groups_of_version_1_count_too(quota, cpus, tmp_path, own):
    own.write_text("5:memory:/elsewhere\n4:cpu,cpuacct:/job\n")
    write(tmp_path / "cgroup" / "cpu" / "job", "cpu.cfs_quota_us", quota)
    write(tmp_path / "cgroup" / "cpu" / "job", "cpu.cfs_period_us", "100000")
    assert available_cpus(tmp_path / "cgroup", own) == cpus


def test_more_than_there_is_is_no_more_than_there_is(tmp_path, own):
    own.write_text("0::/\n")
    write(tmp_path / "cgroup", "cpu.max", f"{(CORES + 1) * 100000} 100000")
    assert available_cpus(tmp_path / "cgroup", own) == CORES
    assert available_cpus(tmp_path / "nothing", tmp_path / "nothing") == CORES


def test_cores_that_the_process_may_not_run_on_do_not_count():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert available_cpus() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(("allocated", "cpus"), [("1", 1), (str(CORES + 1), CORES), ("", CORES), ("all", CORES)])
def test_what_slurm_has_allocated_counts_where_it_binds_nothing(allocated, cpus, tmp_path):
    nothing = tmp_path / "nothing"
    assert available_cpus(nothing, nothing, {"SLURM_CPUS_ON_NODE": allocated}) == cpus
