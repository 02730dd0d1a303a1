import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from study.execution.ray.connection import NO_DASHBOARD, connect
from study.execution.ray.connection import _not_joined as not_joined
from study.execution.ray.nodes import Node, largest_node
from study.execution.ray.preflight import Answer, check_nodes, check_room, node_fault, note_excess
from study.execution.resources import Profile
from tests.study.steps import Gang, Step
from trainers.stage import InputError, MachineError, Resources

HOME = Path("/home/of/ours")
pytestmark = pytest.mark.ray

VERSIONS = {name: importlib.metadata.version(name) for name in ("freelunch-surgical", "torch")}
HERE = """
import psutil, ray
from study.execution.ray.connection import connect
with connect() as description:
    assert "; dashboard: http://127.0.0.1:" in description, description
    assert psutil.Process().children()
    resources = ray.cluster_resources()
    assert resources["CPU"] == 1, resources
    assert 0 < resources["memory"] < psutil.virtual_memory().total, resources
assert psutil.Process().children(recursive=True) == []
"""
JOIN = """
import sys
from study.execution.ray.connection import connect
from trainers.stage import MachineError
try:
    with connect(sys.argv[1]):
        pass
except MachineError as error:
    print(error)
"""
CHECK = """
import sys
from pathlib import Path
from study.execution.ray.connection import connect
from study.execution.ray.preflight import check_nodes
from trainers.stage import MachineError
with connect(sys.argv[1]):
    try:
        check_nodes(Path(sys.argv[2]))
    except MachineError as error:
        print(error)
"""


def granting(**resources: Any) -> Any:
    return Profile(default=Resources(**resources)).grant


def on_one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def test_ray_starts_here_with_the_cores_of_this_process_below_a_long_tmpdir_and_leaves_no_process(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    (long := tmp_path / ("long" * 40)).mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", HERE],
        env=environment | {"TMPDIR": str(long)},
        preexec_fn=on_one_core,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("answer", "notes"),
    [
        (Answer(sees_home=True, lacks="", versions=VERSIONS, cpus=4), []),
        (
            Answer(sees_home=True, lacks="", versions=VERSIONS, cpus=3),
            [
                "node n1 lends 4 CPUs, but its processes may use 3: start Ray there with the options that "
                "`freelunch resources` prints."
            ],
        ),
    ],
)
def test_a_node_that_lends_more_than_it_may_use_is_noted(
    answer: Answer, notes: list[str], caplog: pytest.LogCaptureFixture
):
    note_excess(Node(name="n1", cpus=4), answer)
    assert [record.getMessage() for record in caplog.records] == notes


def test_an_address_where_nothing_listens_is_named():
    with (
        pytest.raises(MachineError, match=r"no Ray cluster answers at 127\.0\.0\.1:1: check host and port"),
        connect("127.0.0.1:1"),
    ):
        pass


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:", "http://head:6379"])
def test_an_address_that_is_none_is_refused(address: str):
    sentence = re.escape(f"the Ray address '{address}' is neither host:port nor auto")
    with pytest.raises(InputError, match=sentence), connect(address):
        pass


def test_both_versions_are_told_where_they_differ():
    error = RuntimeError(
        "Version mismatch: The cluster was started with:\n    Ray: 2.9.0\n    Python: 3.10.1\n"
        "This process on node 10.0.0.1:6379 was started with:\n    Ray: 2.60.0\n    Python: 3.11.2\n"
    )
    assert not_joined("head:6379", error) == (
        "the Ray cluster at head:6379 runs Ray 2.9.0 and Python 3.10.1, but here it is Ray 2.60.0 and Python 3.11.2: "
        "install the same on both sides."
    )


def test_a_sigterm_that_reaches_ray_while_it_starts_is_an_interrupt(monkeypatch: pytest.MonkeyPatch):
    def sigterm_handler(number: int) -> None:  # as Ray names its own
        sys.exit(number)

    monkeypatch.setattr("study.execution.ray.connection._start", lambda: sigterm_handler(15))
    with pytest.raises(KeyboardInterrupt), connect():
        pass
    monkeypatch.setattr("study.execution.ray.connection._start", lambda: sys.exit(7))
    with pytest.raises(SystemExit, match="7"), connect():
        pass


def test_a_wrong_token_is_refused_in_a_sentence(cluster: Any, tmp_path: Path):
    command = [sys.executable, "-c", JOIN, cluster.address]
    environment = {**os.environ, "RAY_AUTH_TOKEN": "0" * 32}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert f"the Ray cluster at {cluster.address} refuses this user's token: set RAY_AUTH_MODE=token" in ran.stdout


@contextmanager
def added(cluster: Any, **options: Any) -> Iterator[None]:
    node = cluster.add_node(**options)
    try:
        yield
    finally:
        cluster.remove_node(node)


def test_a_joined_cluster_says_what_it_has_and_does_not_have(cluster: Any, tmp_path: Path):
    with added(cluster, num_cpus=3, num_gpus=1), connect(cluster.address) as description:
        found = f"the Ray cluster at {cluster.address}, with 5 CPUs and 1 GPUs on 2 nodes"
        assert description == f"{found}{NO_DASHBOARD}", "the shared cluster has none"
        assert largest_node() == (3, 1)
        check_nodes(tmp_path)
        assert list(tmp_path.iterdir()) == []
        stages = [Step(name="alone"), Gang(name="together")]
        check_room(stages, granting(workers=5))
        with pytest.raises(MachineError, match=r"Gang is granted 6 workers with 1 CPUs each, .* room for 5 of them"):
            check_room(stages, granting(workers=6))
        with pytest.raises(MachineError, match=r"Step is granted 1 workers with 4 CPUs each, .* has room for 0"):
            check_room(stages, granting(threads=4))


def test_a_node_without_our_package_is_named(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    broken = tmp_path / "packages" / "study"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('no such package here')")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    with added(cluster, num_cpus=1):
        monkeypatch.delenv("PYTHONPATH")
        fault = (
            r"cannot import freelunch-surgical \(ImportError: no such package here\): install freelunch-surg.* there"
        )
        # In a process of its own, since Ray hands this one's sys.path on to the nodes.
        command = [sys.executable, "-c", CHECK, cluster.address, tmp_path]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert re.search(fault, ran.stdout), ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Answer(sees_home=True, lacks="", versions=VERSIONS), None),
        (None, "node n1 has not answered within 30 seconds: remove it from the cluster, or repair it"),
        (
            Answer(sees_home=False, lacks="", versions=VERSIONS),
            "node n1 does not see the home folder /home/of/ours: mount it there, or name one that every node sees with "
            "--home",
        ),
        (
            Answer(sees_home=True, lacks="", versions=VERSIONS | {"torch": "1.0"}),
            f"node n1 has torch 1.0, but here it is {VERSIONS['torch']}: "
            f"install freelunch-surgical {VERSIONS['freelunch-surgical']} there, as it is here",
        ),
    ],
)
def test_what_is_wrong_with_a_node_is_said_with_what_to_do(answer: Answer | None, fault: str | None):
    assert node_fault("n1", answer, HOME) == fault


def test_a_stage_is_asked_first_whether_its_resources_will_do():
    class Picky(Step):
        def check(self, resources: Resources) -> None:
            raise InputError(f"not with {resources.workers}")

    with pytest.raises(InputError, match="not with 1"):
        check_room([Picky(name="picky")], granting())
