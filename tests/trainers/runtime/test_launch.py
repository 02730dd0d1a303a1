"""Training on workers of a real Ray cluster of three nodes with a CPU each, started once for this file."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest

from tests.trainers.runtime.launched import changed_umask, write_and_raise_on_the_last_worker
from tests.trainers.tiny import BACKBONE, BATCH, EMBEDDING, SIZE_PX, assert_same_state, work, write_recording
from tests.trainers.two_processes import train_in_two_processes
from trainers.artifacts.history import read_history
from trainers.data.augmentation import MoCoAugmentation
from trainers.runtime import checkpoint, worker_channel
from trainers.runtime.launch import launch
from trainers.runtime.ray_train import raise_failure, train_worker
from trainers.ssl.encoders import read_weights
from trainers.ssl.loop import Optimisation
from trainers.ssl.moco import MoCo
from trainers.ssl.pretrain import Pretrain
from trainers.stage import EpochEnd, InputError, MachineError, Resources

# Ray Train imports Ray Data, which warns of its own settings.
pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")]

EPOCHS = 30
PATIENCE_SECONDS = 240
TRAIN_PROCESSES = ("RayTrainWorker", "TrainController")


@pytest.fixture(scope="module")
def cluster():
    import ray
    from ray.cluster_utils import Cluster

    before = set(psutil.Process().children(recursive=True))
    # Without the dashboard, on a port that is free, Ray Train's placement groups outlive a run that was killed.
    dashboard = {"include_dashboard": True, "dashboard_host": "127.0.0.1", "dashboard_port": None}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_log_monitor": False, **dashboard})
    others = [cluster.add_node(num_cpus=1, wait=False) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    cluster.wait_for_nodes()
    yield SimpleNamespace(ray=ray, nodes=cluster, others=others)
    started = set(psutil.Process().children(recursive=True)) - before
    ray.shutdown()
    cluster.shutdown()
    _, alive = psutil.wait_procs(started, timeout=PATIENCE_SECONDS)
    assert alive == []


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A pre-training and the folders of its inputs."""
    video, folder = write_recording(tmp_path_factory.mktemp("launch") / "video", [0, 1, 2, 1] * 8)
    stage = Pretrain(
        frames=(video,),
        method=MoCo(temperature=0.2, queue_size=2 * BATCH, momentum=0.9, embedding_size=EMBEDDING),
        backbone=BACKBONE,
        augmentation=MoCoAugmentation(size_px=SIZE_PX),
        optimisation=Optimisation(epochs=EPOCHS, batch_size=BATCH, learning_rate=1e-4),
        seed=5,
    )
    return stage, {"frames.0": folder}


def on(workers, output, inputs=None, **options):
    return replace(work(output, inputs, **options), resources=Resources(workers=workers))


def run(stage, workers, output, **options):
    stage[0].run(on(workers, output, stage[1], **options))
    return read_weights(output), read_history(output)


@pytest.fixture(scope="module")
def undisturbed(stage, tmp_path_factory):
    """What two processes without Ray train."""
    output = tmp_path_factory.mktemp("undisturbed") / "two"
    train_in_two_processes(*stage, output)
    return read_weights(output), read_history(output)


def processes_of_train(names=TRAIN_PROCESSES):
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if any(name in " ".join(process.cmdline()) for name in names):
                found.append(process)
        except psutil.Error:
            continue
    return found


def train_workers():
    return processes_of_train(TRAIN_PROCESSES[:1])


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def one_that_runs(workers, nodes):
    parents = {worker.ppid() for worker in workers}
    return next(node for node in nodes if node.all_processes["raylet"][0].process.pid in parents)


def all_is_given_back(cluster):
    free, total = cluster.ray.available_resources(), cluster.ray.cluster_resources()
    groups = cluster.ray.util.placement_group_table().values()
    return (
        processes_of_train() == []
        and all(each["state"] == "REMOVED" for each in groups)
        and free.get("CPU") == total["CPU"]
    )


def started_in_a_task(cluster, stage, output):
    """A training that a Ray task has started, once it has finished an epoch more; and that task's process."""
    checkpoints = output / checkpoint.FILE_NAME
    before = checkpoints.stat().st_mtime_ns if checkpoints.exists() else 0

    @cluster.ray.remote(num_cpus=0, max_retries=0)
    def call():
        (output / "caller").write_text(str(os.getpid()))
        run(stage, 2, output)

    task = call.remote()
    wait_until(lambda: checkpoints.exists() and checkpoints.stat().st_mtime_ns > before)
    return task, psutil.Process(int((output / "caller").read_text()))


def test_a_run_whose_caller_is_cancelled_or_killed_or_that_loses_a_node_goes_on_to_the_same_end(
    undisturbed, cluster, stage, tmp_path
):
    output = tmp_path / "out"
    output.mkdir()
    task, _ = started_in_a_task(cluster, stage, output)
    cluster.ray.cancel(task)
    with pytest.raises(cluster.ray.exceptions.TaskCancelledError):
        cluster.ray.get(task)
    wait_until(lambda: all_is_given_back(cluster))

    task, caller = started_in_a_task(cluster, stage, output)
    caller.kill()
    with pytest.raises(cluster.ray.exceptions.WorkerCrashedError):
        cluster.ray.get(task)
    wait_until(lambda: all_is_given_back(cluster))
    (output / "caller").unlink()

    lost = []

    def lose(report):
        gang = train_workers()
        if not lost and len(gang) == 2 and isinstance(report, EpochEnd):
            cluster.nodes.remove_node(one_that_runs(gang, cluster.others), allow_graceful=False)
            lost.append(report.number)

    weights, history = run(stage, 2, output, listener=lose)
    assert len(lost) == 1
    assert lost[0] < EPOCHS
    assert {path.name for path in output.iterdir()} == {"encoders.pt", "history.parquet"}
    wait_until(lambda: all_is_given_back(cluster))

    assert_same_state(weights, undisturbed[0])
    assert history == undisturbed[1]
    one = run(stage, 1, tmp_path / "one")
    # In single precision rounding grows from step to step; test_distributed.py compares in double.
    for epoch in range(1, 6):
        assert history["loss"][epoch] == pytest.approx(one[1]["loss"][epoch], rel=1e-3)


def test_an_error_on_one_worker_ends_the_run_and_reaches_the_caller_with_what_all_workers_wrote(
    cluster, tmp_path, capsys
):
    of_the_cluster = changed_umask(0o007)  # as in a home that several users share
    try:
        with pytest.raises(InputError, match="what went wrong"):
            launch(write_and_raise_on_the_last_worker, on(2, tmp_path / "out"))
    finally:
        assert changed_umask(of_the_cluster) == 0o007
    assert list((tmp_path / "out").iterdir()) == []
    lines = capsys.readouterr().out.splitlines()
    assert {"[worker 0] hello", "[worker 1] hello"} <= set(lines)
    assert {"[worker 0] umask 007", "[worker 1] umask 007"} <= set(lines)
    assert "[worker 1] what a library writesTraceback (most recent call last):" in lines
    assert "[worker 1] trainers.stage.InputError: what went wrong" in lines


def test_a_bug_on_a_worker_reaches_the_caller_with_its_traceback(tmp_path):
    def divide(work):
        return 1 // 0

    worker_channel.want(tmp_path)
    with pytest.raises(ZeroDivisionError):
        train_worker({"compute": divide, "work": on(2, tmp_path), "scratch": tmp_path, "umask": 0o022})
    with pytest.raises(RuntimeError, match=r"(?s)in divide\n.*ZeroDivisionError"):
        raise_failure(tmp_path)


def test_more_workers_than_the_cluster_has_room_for_are_refused(cluster, tmp_path):
    with pytest.raises(MachineError, match=r"4 workers with 1 CPUs each were asked for, but .* has room for [23]"):
        launch(write_and_raise_on_the_last_worker, on(4, tmp_path / "out"))
    lacking = replace(on(2, tmp_path), resources=Resources(workers=2, gpus=1))
    with pytest.raises(MachineError, match=r"2 workers with 1 CPUs and 1 GPUs each .* has room for 0"):
        launch(write_and_raise_on_the_last_worker, lacking)


def test_one_worker_needs_no_ray(tmp_path):
    program = "import sys, trainers.ssl.pretrain; sys.exit(bool({'ray', 'pandas', 'timm'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    called = []
    launch(called.append, on(1, tmp_path))
    assert [each.output for each in called] == [tmp_path]
