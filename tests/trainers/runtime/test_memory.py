import psutil
import pytest

from trainers.runtime.memory import available_bytes

MIB = 2**20


@pytest.fixture
def group(tmp_path):
    """Writes the files of a group of this process, and says how much memory is free."""

    def free(own: str, folder: str, **files: object) -> int:
        (tmp_path / "own").write_text(own + "\n")
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (tmp_path / folder / f"memory.{name}").write_text(f"{content}\n")
        return available_bytes(tmp_path / "cgroup", tmp_path / "own")

    return free


def test_a_container_has_what_its_limit_leaves_and_cached_files_give_way(group):
    stat = f"anon {5 * MIB}\ninactive_file {10 * MIB}"
    assert group("0::/job", "cgroup/job", max=100 * MIB, current=30 * MIB, stat=stat) == 80 * MIB


def test_control_groups_of_version_1_count_too(group):
    own = "4:memory:/job\n1:cpu:/elsewhere"
    files = {"limit_in_bytes": 100 * MIB, "usage_in_bytes": 30 * MIB, "stat": f"total_inactive_file {10 * MIB}"}
    assert group(own, "cgroup/memory/job", **files) == 80 * MIB


def test_the_narrowest_limit_up_to_the_top_counts(group):
    group("0::/job/step", "cgroup/job/step", max="max", current=1)
    assert group("0::/job/step", "cgroup", max=50 * MIB, current=10 * MIB) == 40 * MIB


def test_a_group_that_uses_more_than_its_limit_has_nothing_left(group):
    assert group("0::/", "cgroup", max=50 * MIB, current=60 * MIB) == 0


@pytest.mark.parametrize("limit", ["max", 2**63 - 4096])
def test_without_a_limit_the_machine_counts(group, limit, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 7 * MIB}))
    assert group("0::/", "cgroup", max=limit, current=10 * MIB) == 7 * MIB
