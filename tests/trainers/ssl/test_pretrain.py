from dataclasses import replace
from functools import partial

import pytest
import torch

from tests.trainers.tiny import BACKBONE, BATCH, EMBEDDING, SIZE_PX, assert_same_state, untrained, work, write_recording
from trainers.artifacts.history import read_history
from trainers.data.augmentation import MoCoAugmentation
from trainers.data.synthetic.generic_images import GenericImages
from trainers.runtime import checkpoint
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.encoders import read_weights
from trainers.ssl.loop import Optimisation
from trainers.ssl.moco import MoCo
from trainers.ssl.pretrain import Pretrain
from trainers.ssl.probe import KnnProbe
from trainers.stage import EpochEnd, InputError, Progress, Resources

SIZES = {"temperature": 0.2, "queue_size": 2 * BATCH, "momentum": 0.9, "embedding_size": EMBEDDING}
EPOCHS = 3


class Killed(BaseException):
    """What a test ends a run with."""


@pytest.fixture
def videos(tmp_path):
    return [write_recording(tmp_path / name, [0, 1, 2, 1] * 3, name=name) for name in ("video01", "video02")]


@pytest.fixture
def stage(videos):
    return Pretrain(
        frames=tuple(video for video, _ in videos),
        method=MoCo(**SIZES),
        backbone=BACKBONE,
        augmentation=MoCoAugmentation(size_px=SIZE_PX),
        optimisation=Optimisation(epochs=EPOCHS, batch_size=BATCH, learning_rate=0.05),
        seed=5,
    )


@pytest.fixture
def inputs(videos):
    return {f"frames.{index}": folder for index, (_, folder) in enumerate(videos)}


def distilled(stage, folder):
    teacher = untrained(folder / "teacher", seed=11)
    return replace(stage, method=DistilledMoCo(**SIZES, teacher=teacher)), {"method.teacher": folder / "teacher"}


def run(stage, output, inputs, **options):
    given = work(output, inputs, **options)
    stage.run(given)
    return read_weights(output), read_history(output)


def run_until(stop, stage, output, inputs):
    """Runs a stage until `stop` of a report holds, and kills it there."""

    def listen(report):
        if stop(report):
            raise Killed

    with pytest.raises(Killed):
        stage.run(work(output, inputs, listener=listen))


KILLS = {
    "after an epoch": lambda report: isinstance(report, EpochEnd) and report.number == 1,
    "amid an epoch": lambda report: isinstance(report, Progress) and report.epoch == 2,
    "after the last epoch": lambda report: isinstance(report, EpochEnd) and report.number == EPOCHS,
}


@pytest.mark.parametrize("stop", KILLS.values(), ids=KILLS)
def test_a_run_killed_and_resumed_is_the_run_that_was_not(stage, inputs, tmp_path, stop):
    whole = run(stage, tmp_path / "whole", inputs)
    run_until(stop, stage, tmp_path / "killed", inputs)
    assert checkpoint.load(tmp_path / "killed") is not None
    weights, history = run(stage, tmp_path / "killed", inputs)
    assert_same_state(weights, whole[0])
    assert history == whole[1]
    assert len(history["loss"]) == EPOCHS


def test_a_student_killed_and_resumed_is_the_student_that_was_not(stage, inputs, tmp_path):
    stage, teacher = distilled(stage, tmp_path)
    whole = run(stage, tmp_path / "whole", inputs | teacher)
    run_until(KILLS["after an epoch"], stage, tmp_path / "killed", inputs | teacher)
    weights, history = run(stage, tmp_path / "killed", inputs | teacher)
    assert_same_state(weights, whole[0])
    assert history == whole[1]
    assert history.keys() == {"loss", "loss_contrastive", "loss_distillation", "embedding_std"}
    parts = (history[f"loss_{name}"].values() for name in ("contrastive", "distillation"))
    totals = [a + b for a, b in zip(*parts, strict=True)]
    assert list(history["loss"].values()) == totals


def test_loader_threads_do_not_change_the_weights(stage, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    one, two = (run(stage, tmp_path / str(threads), inputs, threads=threads) for threads in (1, 2))
    assert_same_state(one[0], two[0])
    assert one[1] == two[1]


def test_a_finished_stage_leaves_weights_and_history_only(stage, inputs, tmp_path):
    run(stage, tmp_path / "out", inputs)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"encoders.pt", "history.parquet"}


def test_both_precisions_train(stage, inputs, tmp_path):
    bf16 = replace(stage, optimisation=replace(stage.optimisation, precision="bf16"))
    histories = [run(each, tmp_path / name, inputs)[1] for each, name in ((stage, "fp32"), (bf16, "bf16"))]
    losses = [list(history["loss"].values()) for history in histories]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


def test_a_loss_that_is_no_longer_finite_ends_the_run_with_a_sentence(stage, inputs, tmp_path):
    wild = replace(stage, optimisation=replace(stage.optimisation, learning_rate=1e9))
    with pytest.raises(
        InputError, match=r"became (nan|inf) at step \d of epoch 1 \(there is no checkpoint yet\): lower learning_rate"
    ):
        run(wild, tmp_path / "out", inputs)


def test_too_few_frames_for_a_batch_are_refused(stage, inputs, tmp_path):
    with pytest.raises(InputError, match="3 frames do not fill one batch of 8"):
        run(replace(stage, frames=stage.frames[:1], sample_every=4), tmp_path / "out", {"frames.0": inputs["frames.0"]})


def test_a_batch_that_does_not_divide_into_its_splits_is_refused(stage):
    with pytest.raises(InputError, match="batch_size is 8: it must be a multiple of batch_norm_splits = 3"):
        replace(stage, backbone=replace(BACKBONE, batch_norm_splits=3))


def test_workers_that_would_share_a_gpu_are_refused(stage):
    stage.check(Resources(workers=1, gpus=0.5))
    stage.check(Resources(workers=2, gpus=1))
    with pytest.raises(InputError, match=r"gpus is 0\.5 for each of 2 workers: .* cannot share a GPU"):
        stage.check(Resources(workers=2, gpus=0.5))


def test_the_method_is_checked_before_anything_is_computed(stage):
    with pytest.raises(InputError, match="queue_size is 12"):
        replace(stage, method=MoCo(queue_size=12))


@pytest.fixture
def probed(stage, inputs, tmp_path):
    training = write_recording(tmp_path / "labelled", [0, 1, 2] * 6, name="video03")
    validation = write_recording(tmp_path / "validation", [2, 1, 0, -1] * 2, name="video04")
    probe = KnnProbe(training=(training[0],), validation=(validation[0],), neighbours=3, sample_every=1, every_epochs=2)
    folders = {"probe.training.0": training[1], "probe.validation.0": validation[1]}
    return replace(stage, probe=probe), inputs | folders


def test_the_probe_looks_every_other_epoch_and_at_the_last(probed, tmp_path):
    _, history = run(probed[0], tmp_path / "out", probed[1])
    assert list(history["knn_accuracy"]) == [2, 3]
    assert all(0 <= value <= 100 for value in history["knn_accuracy"].values())


def test_the_probe_does_not_change_what_is_trained(stage, probed, inputs, tmp_path):
    alone = run(stage, tmp_path / "alone", inputs)[0]
    assert_same_state(run(probed[0], tmp_path / "probed", probed[1])[0], alone)


def test_reports_tell_of_epochs_progress_and_speed(stage, inputs, tmp_path):
    heard = []
    run(stage, tmp_path / "out", inputs, listener=heard.append)
    epochs = [(each.number, each.metrics["loss"]) for each in heard if isinstance(each, EpochEnd)]
    assert epochs == list(read_history(tmp_path / "out")["loss"].items())
    progress = [each for each in heard if isinstance(each, Progress)]
    assert progress[-1].fraction == 1
    assert all(each.frames_per_second > 0 and 0 <= each.data_wait <= 1 for each in progress)


def test_the_learning_rate_falls_along_a_cosine():
    rate = partial(Optimisation.learning_rate_at, Optimisation(epochs=4, learning_rate=0.1))
    assert [rate(epoch) for epoch in range(4)] == pytest.approx([0.1, 0.0853553, 0.05, 0.0146447], abs=1e-6)


def test_a_teacher_that_trains_its_head_keeps_its_backbone_bit_for_bit(stage, inputs, tmp_path):
    start = untrained(tmp_path / "start", seed=11)
    method = replace(stage.method, start=start, trains="head")
    teacher, _ = run(replace(stage, method=method), tmp_path / "out", inputs | {"method.start": tmp_path / "start"})
    before = read_weights(tmp_path / "start")["query"]
    for name, value in teacher["query"].items():
        assert torch.equal(value, before[name]) == name.startswith("backbone."), name


def test_frames_that_are_too_few_for_a_batch_are_refused_before_anything_is_computed(stage):
    few = GenericImages(num_images=24, size_px=SIZE_PX)
    replace(stage, frames=(few,))
    with pytest.raises(InputError, match=r"batch_size of Pretrain MoCo is 8, but there are 6 frames: lower it"):
        replace(stage, frames=(few,), sample_every=4)


def test_a_negative_contrastive_weight_is_refused(stage, tmp_path):
    teacher = untrained(tmp_path / "teacher", seed=1)
    with pytest.raises(InputError, match="contrastive_weight is -1: it must be at least 0"):
        replace(stage, method=DistilledMoCo(teacher=teacher, contrastive_weight=-1, **SIZES))
