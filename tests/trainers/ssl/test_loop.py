import threading

import pytest
import torch

from tests.trainers.tiny import (
    BACKBONE,
    BATCH,
    EMBEDDING,
    ONE_SPLIT,
    SIZE_PX,
    SMALL_PX,
    copied,
    raising,
    write_recording,
)
from trainers.data.augmentation import MoCoAugmentation, MultiCropAugmentation
from trainers.data.frames import Frames
from trainers.data.loading import THREAD_NAMES, ViewLoader
from trainers.runtime import checkpoint
from trainers.ssl import loop
from trainers.ssl.loop import Optimisation, Training, parameter_groups, set_learning_rate, train
from trainers.ssl.moco import MoCo
from trainers.ssl.simsiam import SimSiam
from trainers.stage import EpochEnd, InputError, Work, ignore_report


@pytest.fixture
def training(tmp_path):
    """Everything of a training but its listener."""
    _, folder = write_recording(tmp_path / "video", [0, 1, 2] * 11)
    config = MoCo(temperature=0.2, queue_size=BATCH, momentum=0.9, embedding_size=EMBEDDING)
    with Frames([folder]) as frames:
        loader = ViewLoader(frames, MoCoAugmentation(size_px=SIZE_PX), batch_size=BATCH, seed=0, threads=1)
        yield lambda listener=ignore_report, **fields: Training(
            **{
                "method": config.build(BACKBONE, {}, seed=0),
                "loader": loader,
                "optimisation": Optimisation(epochs=2, batch_size=BATCH),
                "work": Work(output=tmp_path, listener=listener),
                "device": torch.device("cpu"),
                "probe": lambda backbone, epoch: {},
            }
            | fields
        )


def test_an_exception_amid_an_epoch_leaves_no_loader_thread(training, monkeypatch):
    monkeypatch.setattr(loop, "REPORT_PERIOD_SECONDS", 0)

    def fail(report):
        assert any(thread.name.startswith(THREAD_NAMES) for thread in threading.enumerate())
        raise ConnectionError("nobody listens")

    with pytest.raises(ConnectionError) as caught:
        train(training(listener=fail))
    assert caught.traceback
    assert not any(thread.name.startswith(THREAD_NAMES) for thread in threading.enumerate())


def test_steps_are_counted_over_all_epochs(training):
    method = training().method
    steps = []
    method.register_forward_pre_hook(lambda _, arguments: steps.append(arguments[0].step))
    train(training(method=method))
    assert steps == list(range(8))


def test_views_reach_the_method_normalised_and_channels_last(training):
    method = training().method
    seen = []
    method.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    train(training(method=method))
    for view in (seen[0].query, seen[0].key):
        assert view.shape == (BATCH, 3, SIZE_PX, SIZE_PX)
        assert view.dtype == torch.float32
        assert view.is_contiguous(memory_format=torch.channels_last)
        assert -3 < view.min() < 0 < view.max() < 3
    assert not torch.equal(seen[0].query, seen[0].key)


def test_the_probe_may_leave_the_backbone_in_eval_mode(training):
    def probe(backbone, epoch):
        backbone.eval()
        return {}

    undisturbed, disturbed = training(), training(probe=probe)
    train(undisturbed)
    (undisturbed.work.output / "checkpoint.pt").unlink()
    train(disturbed)
    expected = copied(undisturbed.method.state_dict())
    assert all(
        torch.equal(value, expected[name])
        for name, value in disturbed.method.state_dict().items()
        if isinstance(value, torch.Tensor)
    )


def test_small_views_reach_the_method_like_the_full_ones_with_their_epoch(training):
    given = training()
    augmentation = MultiCropAugmentation(size_px=SIZE_PX, small_size_px=SMALL_PX, num_small=3)
    loader = ViewLoader(given.loader.frames, augmentation, batch_size=BATCH, seed=0, threads=1)
    seen = []
    given.method.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    train(training(method=given.method, loader=loader))
    assert [views.epoch for views in seen] == [0] * 4 + [1] * 4
    assert len(seen[0].small) == 3
    for view in seen[0].small:
        assert view.shape == (BATCH, 3, SMALL_PX, SMALL_PX)
        assert view.dtype == torch.float32
        assert view.is_contiguous(memory_format=torch.channels_last)


def simsiam():
    return SimSiam(embedding_size=EMBEDDING, predictor_size=3).build(ONE_SPLIT, {}, seed=0)


def test_the_schedule_leaves_parameters_at_a_constant_rate_alone():
    method = simsiam()
    optimisation = Optimisation(epochs=4, learning_rate=0.1)
    optimiser = optimisation.optimiser(parameter_groups(method))
    set_learning_rate(optimiser, optimisation.learning_rate_at(3))
    rates = {id(each): group["lr"] for group in optimiser.param_groups for each in group["params"]}
    assert all(rates[id(each)] == 0.1 for each in method.predictor.parameters())
    assert all(rates[id(each)] == optimisation.learning_rate_at(3) < 0.1 for each in method.encoders.parameters())
    assert len(rates) == len(list(method.parameters()))


def test_a_constant_rate_outlives_a_resumed_training(training):
    for epochs in (1, 2):  # the second goes on from the checkpoint of the first
        optimisation = Optimisation(epochs=epochs, batch_size=BATCH, learning_rate=0.05)
        train(training(method=simsiam(), optimisation=optimisation))
    state = checkpoint.load(training().work.output)["optimiser"]["param_groups"]
    assert [group["lr"] for group in state] == [pytest.approx(0.025), 0.05]


def test_a_methods_metrics_are_recorded_beside_its_losses_and_count_in_no_loss(training):
    heard = []
    history = train(training(method=simsiam(), listener=heard.append))
    assert all(record["loss"] == record["loss_similarity"] for record in history)
    assert all(0 < record["output_std"] < 2 for record in history)
    assert all("output_std" in report.metrics for report in heard)


def test_a_training_that_goes_on_reports_again_what_it_had_done(training):
    heard = []

    with pytest.raises(KeyboardInterrupt):
        train(training(listener=raising(KeyboardInterrupt, after=1)))
    history = train(training(listener=heard.append))
    assert [report.metrics for report in heard if isinstance(report, EpochEnd)] == history
    assert [record["epoch"] for record in history] == [1, 2]


def test_a_loss_that_is_no_longer_finite_ends_the_training_at_its_step(training):
    """Step 6 of 8 is the second of the second epoch; the checkpoint of the first one stays."""
    method, steps = training().method, []

    def ruin(_, arguments, terms):
        steps.append(arguments[0].step)
        return {name: value * float("nan") if steps[-1] == 5 else value for name, value in terms.items()}

    method.register_forward_hook(ruin)
    with pytest.raises(
        InputError, match=r"nan at step 2 of epoch 2 \(the last good checkpoint is that of epoch 1\): lower"
    ):
        train(training(method=method))
    assert steps == list(range(6))
    assert checkpoint.load(training().work.output)["epoch"] == 1


def test_weights_that_are_not_finite_are_in_no_checkpoint(training):
    """The last step of the second epoch ruins them: its loss is still finite."""
    method, steps = training().method, []
    method.register_forward_pre_hook(lambda _, arguments: steps.append(arguments[0].step))
    weight = method.encoders.query.head.output.weight
    weight.register_hook(lambda gradient: gradient * (float("inf") if steps[-1] == 7 else 1))
    with pytest.raises(
        InputError, match=r"weight is no longer finite after the last step of epoch 2 \(the last good checkpoint"
    ):
        train(training(method=method))
    assert checkpoint.load(training().work.output)["epoch"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", 0), ("epochs", -3), ("batch_size", 0), ("learning_rate", 0), ("momentum", -1), ("weight_decay", -1)],
)
def test_values_that_nothing_can_be_trained_with_are_refused(field: str, value: float):
    with pytest.raises(InputError, match=f"{field} is {value}: it must "):
        Optimisation(**{field: value})
