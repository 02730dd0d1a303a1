"""A Ray cluster that the tests of a process share: drivers join it by its address."""

import socket
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.study.tiny_home import table3_home, tiny_home, tiny_scale, tiny_videos  # noqa: F401 (fixtures)

END_SECONDS = 120


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A head node of two CPUs, to which tests may add nodes for a while; this process is not connected to it."""
    from ray.cluster_utils import Cluster

    before = set(psutil.Process().children())
    dashboard = {"include_dashboard": True, "dashboard_host": "127.0.0.1", "dashboard_port": free_port()}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **dashboard})
    yield cluster
    started = [p for parent in set(psutil.Process().children()) - before for p in parent.children(recursive=True)]
    cluster.shutdown()
    assert psutil.wait_procs(started, timeout=END_SECONDS)[1] == []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
