import os
from pathlib import Path

import pytest

from study.execution.ray import local_cluster
from study.execution.ray.local_cluster import SESSION, SOCKET_BYTES, options_here, session_folder, short_tmpdir
from trainers.runtime.machine import Machine
from trainers.stage import MachineError

GIB = 2**30


def folder_of(length: int) -> Path:
    return Path("/" + "x" * (length - 1))


def test_rays_own_folder_stays_where_its_sockets_fit(tmp_path: Path):
    longest = folder_of(SOCKET_BYTES - len(SESSION))
    assert session_folder(longest) == longest


def test_a_folder_whose_path_is_too_long_for_sockets_gives_way_to_a_short_one(tmp_path: Path):
    too_long = folder_of(SOCKET_BYTES - len(SESSION) + 1)
    assert session_folder(too_long, [tmp_path / "nowhere", Path("/tmp")]) == Path(f"/tmp/ray-{os.getuid()}")


def test_the_length_counts_in_bytes():
    assert session_folder(Path("/" + "ü" * 30)) != Path("/" + "ü" * 30)


def test_where_no_short_folder_can_be_written_the_variable_that_names_one_is_said(tmp_path: Path):
    with pytest.raises(
        MachineError, match=r"Ray's sockets do not fit below /x+, .* set TMPDIR and RAY_TMPDIR to a folder"
    ):
        session_folder(folder_of(150), [tmp_path / "nowhere"])


@pytest.mark.parametrize(("memory", "store"), [(8 * GIB, GIB // 4), (GIB // 4, GIB // 8)])
def test_ray_is_given_what_may_be_used_of_the_machine(memory: int, store: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(local_cluster, "this_machine", lambda: Machine(cpus=3, memory_bytes=memory, gpus=2))
    options = options_here()
    assert (options["num_cpus"], options["num_gpus"]) == (3, 2)
    assert (options["_memory"], options["object_store_memory"]) == (memory - store, store)


def test_what_is_started_gets_a_short_tmpdir_where_the_given_one_is_too_long(monkeypatch: pytest.MonkeyPatch):
    for given, seen in [("/tmp/" + "x" * 150, "/tmp"), ("/tmp/" + "x" * 60, "/tmp/" + "x" * 60)]:
        monkeypatch.setenv("TMPDIR", given)
        with short_tmpdir(Path("/tmp/ray-0")):
            assert os.environ["TMPDIR"] == seen
        assert os.environ["TMPDIR"] == given
