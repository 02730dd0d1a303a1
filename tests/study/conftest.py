"""A Ray cluster that the tests of a process share: drivers join it by its address."""

from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.study.tiny_home import (  # noqa: F401 (fixtures)
    empty_database,
    no_pictures,
    table3_home,
    tiny_home,
    tiny_scale,
    tiny_videos,
)

END_SECONDS = 120
HERE = Path(__file__).parent


class SharedCluster:
    """A head node of two CPUs, started where a test needs it and none is there, and ended after the last such test."""

    def __init__(self) -> None:
        self._cluster: Any = None
        self._before: set[psutil.Process] = set()

    def started(self) -> Any:
        """The cluster. It has no dashboard and no monitor of logs, which no driver of these tests asks for anything."""
        from ray.cluster_utils import Cluster

        if self._cluster is None:
            self._before = set(psutil.Process().children())
            without = {"include_dashboard": False, "dashboard_port": None, "include_log_monitor": False}
            self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **without})
        return self._cluster

    def end(self) -> None:
        """Ends it, if it is there, with every process that it has started."""
        if self._cluster is None:
            return
        parents = set(psutil.Process().children()) - self._before
        started = [process for parent in parents for process in parent.children(recursive=True)]
        self._cluster.shutdown()
        self._cluster = None
        assert psutil.wait_procs(started, timeout=END_SECONDS)[1] == []


SHARED = SharedCluster()


@pytest.fixture(scope="module")
def cluster() -> Any:
    """The shared cluster, to which tests may add nodes for a while; this process is not connected to it."""
    return SHARED.started()


@pytest.hookimpl(trylast=True)  # after the fixtures that have joined it
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Ends the cluster where the next test does without it: a cluster that waits takes a twentieth of a core."""
    if nextitem is None or not _shares_the_cluster(nextitem):
        SHARED.end()


def _shares_the_cluster(item: pytest.Item) -> bool:
    return "cluster" in getattr(item, "fixturenames", ()) and item.path.is_relative_to(HERE)
