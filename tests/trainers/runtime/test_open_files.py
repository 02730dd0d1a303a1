import resource

import pytest

from trainers.runtime import open_files
from trainers.runtime.open_files import ENOUGH, RandomFile, raise_limit

INFINITY = resource.RLIM_INFINITY


@pytest.fixture
def limits(monkeypatch):
    """Sets the limits that this process seems to have, and records what they are raised to."""
    current = {}

    def set_limits(soft, hard):
        current.update(now=(soft, hard))
        return current

    monkeypatch.setattr(resource, "getrlimit", lambda which: current["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: current.update(now=limits))
    return set_limits


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [
        (1024, 4096, 4096),
        (256, 256, 256),
        (1024, 10**9, ENOUGH),
        (1024, INFINITY, ENOUGH),
        (100_000, 200_000, 100_000),
        (INFINITY, INFINITY, INFINITY),
    ],
)
def test_the_limit_is_raised_as_far_as_is_of_use(soft, hard, raised, limits):
    current = limits(soft, hard)
    assert raise_limit() == (ENOUGH if raised == INFINITY else raised)
    assert current["now"] == (raised, hard)


def test_half_of_the_files_that_may_be_open_are_kept_open(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"0123456789")
    kept = RandomFile._num_kept
    monkeypatch.setattr(open_files, "raise_limit", lambda: 2 * (kept + 2))
    files = [RandomFile(tmp_path / "file") for _ in range(3)]
    assert RandomFile._num_kept == kept + 2
    assert [file.read(3, 4) for file in files] == [b"456"] * 3
    files[0].close()
    files[0].close()
    assert RandomFile._num_kept == kept + 1
    for file in files:
        file.close()
    assert RandomFile._num_kept == kept
