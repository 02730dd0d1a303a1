"""Training on workers of a real Ray cluster of two CPUs, started once for this file."""

import signal
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest
import torch

from tests.trainers.tiny import BACKBONE, BATCH, EMBEDDING, SIZE_PX, assert_same_state, work, write_recording
from trainers import distributed
from trainers.data.views import MoCoAugmentation
from trainers.history import read_history
from trainers.launch import _raise_failure as raise_failure
from trainers.launch import _train_worker as train_worker
from trainers.launch import launch
from trainers.loop import Optimisation
from trainers.pretrain import Pretrain
from trainers.ssl.encoders import read_weights
from trainers.ssl.moco import MoCo
from trainers.stage import InputError, MachineError, Resources

# Ray Train imports Ray Data, which warns of its own settings.
pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")]

EPOCHS = 20
TRAIN_WORKER = "RayTrainWorker"


@pytest.fixture(scope="module")
def cluster():
    import ray

    ray.init(
        num_cpus=2,
        include_dashboard=True,  # without it, Ray Train's placement groups outlive a run that was killed
        dashboard_host="127.0.0.1",
        log_to_driver=False,
        logging_level="ERROR",
    )
    started = psutil.Process().children(recursive=True)
    yield ray
    ray.shutdown()
    _, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []


@pytest.fixture
def stage(tmp_path):
    video, folder = write_recording(tmp_path / "video", [0, 1, 2, 1] * 8)
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


def train_workers():
    names = ((process, " ".join(process.cmdline())) for process in psutil.Process().children(recursive=True))
    return [process for process, name in names if TRAIN_WORKER in name]


def test_two_workers_train_what_one_process_trains_and_resume_when_one_is_killed(cluster, stage, tmp_path):
    heard = []
    one = run(stage, 1, tmp_path / "one")
    two = run(stage, 2, tmp_path / "two", report=lambda metrics, epoch: heard.append((epoch, metrics)))
    # In single precision rounding grows from step to step; test_distributed.py compares in double.
    assert dict(two[1]["loss"][:5]) == pytest.approx(dict(one[1]["loss"][:5]), rel=1e-3)
    assert [(epoch, metrics["loss"]) for epoch, metrics in heard if "loss" in metrics] == two[1]["loss"]
    assert {path.name for path in (tmp_path / "two").iterdir()} == {"encoders.pt", "history.parquet"}

    killed = []

    def kill_once(metrics, epoch):
        if not killed and "loss" in metrics:
            victims = train_workers()
            assert len(victims) == 2
            victims[-1].send_signal(signal.SIGKILL)
            killed.append(epoch)

    resumed = run(stage, 2, tmp_path / "killed", report=kill_once)
    assert killed
    assert killed[0] < EPOCHS
    assert_same_state(resumed[0], two[0])
    assert resumed[1] == two[1]


def raise_on_the_last_worker(work):
    if distributed.is_first():
        distributed.gather(torch.ones(1))  # where it waits for the other
    raise InputError("what went wrong")


def test_an_error_on_one_worker_ends_the_run_at_once_and_reaches_the_caller(cluster, tmp_path):
    with pytest.raises(InputError, match="what went wrong"):
        launch(raise_on_the_last_worker, on(2, tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bug_on_a_worker_reaches_the_caller_with_its_traceback(tmp_path):
    def divide(work):
        return 1 // 0

    with pytest.raises(ZeroDivisionError):
        train_worker({"compute": divide, "work": on(2, tmp_path), "scratch": tmp_path})
    with pytest.raises(RuntimeError, match=r"(?s)in divide\n.*ZeroDivisionError"):
        raise_failure(tmp_path)


class Stopped(BaseException):
    """What a test ends a run with, as Ctrl-C does."""


def test_a_run_whose_caller_goes_away_stops_and_gives_back_its_workers(cluster, stage, tmp_path):
    def stop(metrics, epoch):
        raise Stopped

    with pytest.raises(Stopped):
        run(stage, 2, tmp_path / "out", report=stop)
    psutil.wait_procs(train_workers(), timeout=20)
    assert train_workers() == []
    assert cluster.available_resources()["CPU"] == 2


def test_more_workers_than_the_cluster_has_room_for_are_refused(cluster, tmp_path):
    with pytest.raises(MachineError, match=r"4 workers with 1 CPUs each were asked for, but .* has room for 2"):
        launch(raise_on_the_last_worker, on(4, tmp_path / "out"))
    lacking = replace(on(2, tmp_path), resources=Resources(workers=2, gpus=1))
    with pytest.raises(MachineError, match=r"2 workers with 1 CPUs and 1 GPUs each .* has room for 0"):
        launch(raise_on_the_last_worker, lacking)


def test_one_worker_needs_no_ray(tmp_path):
    program = "import sys, trainers.pretrain; sys.exit('ray' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    called = []
    launch(called.append, on(1, tmp_path))
    assert [each.output for each in called] == [tmp_path]
