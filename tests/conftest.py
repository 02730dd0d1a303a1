"""Options, environment and lanes of the whole test suite."""

import atexit
import gc
import os
import shutil
import signal
import sys
import tempfile
import uuid

import pytest

# Every Ray of the tests asks for this token, as clusters of several nodes should; none writes one into the user's home.
# The lanes inherit it.
os.environ["RAY_AUTH_MODE"] = "token"
os.environ.setdefault("RAY_AUTH_TOKEN", uuid.uuid4().hex)
# The lanes of tests share few cores: more threads than that slow each other down many times over.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# By default Ray's workers give way to all other processes, and so to the lane that computes without Ray.
os.environ.setdefault("RAY_worker_niceness", "0")
# By default every node of Ray starts processes before a task needs them.
os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
# By default every node's agent looks at all of its processes every five seconds, for pages that no test opens.
os.environ.setdefault("REPORTER_UPDATE_INTERVAL_MS", "60000")
# Modules are compiled once for all lanes and for every process that tests start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

RAY_FIXTURES = {"cluster", "ray"}
LONG = ("ray", "kills", "mlflow_server", "slow")
RAY_FOLDER = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden numbers instead of comparing")


def pytest_configure(config: pytest.Config) -> None:
    # What a shell script starts in the background ignores SIGINT, and so would every process that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A Ray finds the cluster that was started last in its folder: the lanes' clusters must not find each other.
    config.stash[RAY_FOLDER] = os.environ["RAY_TMPDIR"] = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # short: sockets


def pytest_collection() -> None:
    """Looks for no garbage among the modules that are imported now: they stay to the end."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Leaves them out of later garbage collections too: each would take half a second."""
    gc.freeze()
    gc.enable()
    atexit.register(gc.unfreeze)  # by then pytest has looked for what its tests left


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[RAY_FOLDER], ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs Ray, gives tests their lanes, and puts the lanes that take longest first.

    Tests that share a cluster are a lane, those of them that kill its processes another; of all others, a file is, or
    the files that name one lane, since they share what takes long to make.
    """
    for item in items:
        if RAY_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("ray")
            item.add_marker(pytest.mark.xdist_group("kills" if item.get_closest_marker("kills") else "ray"))
        elif not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=_lane_order)


def _lane_order(item: pytest.Item) -> int:
    lane = item.get_closest_marker("xdist_group")
    assert lane is not None, "every test has a lane"
    if lane.args[0] in ("kills", "ray"):
        return 0
    return 1 if any(item.get_closest_marker(name) for name in LONG) else 2
