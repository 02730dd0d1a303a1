import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.trainers.tiny import SIZE_PX, Recording, assert_same_state, raising, untrained, work
from trainers.artifacts.history import read_history
from trainers.artifacts.predictions import read_predictions
from trainers.recognition.extract import ExtractFeatures
from trainers.recognition.finetune import FineTune
from trainers.recognition.multi_stage_tcn import CausalLayer, TemporalNetwork, smoothing, temporal_loss
from trainers.recognition.sequences import Sequence, write_sequence
from trainers.recognition.temporal import WEIGHTS, PredictPhases, TrainTemporal

NETWORK = TemporalNetwork(num_stages=2, num_layers=3, num_maps=8, dropout=0.5)
C, P, T = 5, 3, 40


class Killed(BaseException):
    """What a test ends a run with."""


def network(config=NETWORK, seed=0):
    return config.build(C, P, seed).double().eval()


def features(seed=0):
    return torch.randn(1, C, T, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_every_stage_gives_a_logit_per_phase_and_step():
    assert network()(features()).shape == (2, 1, P, T)
    assert network(replace(NETWORK, num_stages=1))(features()).shape == (1, 1, P, T)


def test_the_output_at_a_step_does_not_depend_on_later_steps():
    model, x = network(), features()
    before = model(x)
    for t in (1, 13, T - 1):
        changed = x.clone()
        changed[..., t:] = features(seed=1)[..., t:]
        after = model(changed)
        assert torch.equal(after[..., :t], before[..., :t])
        assert not torch.allclose(after[..., t], before[..., t])


@pytest.mark.parametrize(("num_stages", "num_layers"), [(1, 1), (1, 3), (2, 2)])
def test_each_stage_looks_back_over_the_dilations_of_its_layers(num_stages, num_layers):
    model = network(TemporalNetwork(num_stages=num_stages, num_layers=num_layers, num_maps=32))
    x = features().requires_grad_()
    model(x)[-1, 0, :, -1].square().sum().backward()
    reached = T - int(x.grad.abs().sum((0, 1)).nonzero().min()) - 1
    assert reached == num_stages * sum(2 * 2**i for i in range(num_layers))
    assert sum(isinstance(module, CausalLayer) for module in model.modules()) == num_stages * num_layers


def test_gradient_reaches_the_first_stage_through_the_second():
    model = network()
    model(features())[-1].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.stages[0].parameters())


def test_dropout_on_the_features_takes_whole_channels_and_only_in_training():
    model = network()
    x = torch.ones(1, 200, 6, dtype=torch.float64)
    assert torch.equal(model.channel_dropout(x), x)
    dropped = model.train().channel_dropout(x)
    assert set(dropped.unique().tolist()) == {0, 2}
    assert (dropped == dropped[..., :1]).all()


def test_smoothing_is_the_truncated_mean_squared_change_of_log_probabilities():
    logits = 3 * torch.randn(2, P, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    terms = []
    for row in logits:
        for t in range(1, 7):
            for p in range(P):
                now, past = (float(row[p, s] - torch.logsumexp(row[:, s], 0)) for s in (t, t - 1))
                terms.append(min((now - past) ** 2, 16))
    assert max(terms) == 16
    assert smoothing(logits).item() == pytest.approx(sum(terms) / len(terms), abs=1e-12)


def test_smoothing_pulls_each_step_to_the_one_before_and_never_back():
    logits = torch.randn(1, P, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    smoothing(logits).backward()
    assert not logits.grad[..., 0].any()
    assert logits.grad[..., 1].any()


def test_the_loss_is_the_mean_over_stages_of_cross_entropy_and_smoothing():
    logits, labels = network()(features()).detach(), torch.arange(T) % P
    expected = 0.0
    for stage in logits:
        log_p = stage[0].log_softmax(0)
        cross_entropy = -sum(float(log_p[labels[t], t]) for t in range(T)) / T
        expected += (cross_entropy + smoothing(stage).item()) / 2
    assert temporal_loss(logits, labels).item() == pytest.approx(expected, abs=1e-12)
    flat = torch.zeros(1, 1, P, T)
    assert temporal_loss(flat, labels).item() == pytest.approx(math.log(P), abs=1e-6)


def test_steps_without_a_label_have_no_cross_entropy_and_are_smoothed_all_the_same():
    logits = network()(features()).detach().requires_grad_()
    labels = torch.arange(T) % P
    labels[5:20] = -1
    expected = 0.0
    for stage in logits:
        log_p = stage[0].detach().log_softmax(0)
        known = [t for t in range(T) if not 5 <= t < 20]
        cross_entropy = -sum(float(log_p[labels[t], t]) for t in known) / len(known)
        expected += (cross_entropy + smoothing(stage.detach()).item()) / 2
    loss = temporal_loss(logits, labels)
    assert loss.item() == pytest.approx(expected, abs=1e-12)
    loss.backward()
    assert logits.grad[..., 10].abs().max() > 0, "of smoothing"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_holes_the_loss_and_its_gradient_are_those_without_a_mask_to_the_bit(dtype):
    logits = network()(features()).detach().to(dtype)
    with_mask, without = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    labels = torch.arange(T) % P
    masked = temporal_loss(with_mask, labels)
    plain = torch.stack([F.cross_entropy(stage, labels[None]) + smoothing(stage) for stage in without]).mean()
    masked.backward()
    plain.backward()
    assert torch.equal(masked, plain)
    assert torch.equal(with_mask.grad, without.grad)


def write_sequences(folder, names, *, length=T, seed=0):
    """Sequences of three phases in turn, whose features tell the phase under noise."""
    folder.mkdir()
    generator = np.random.default_rng(seed)
    for name in names:
        labels = np.sort(np.arange(length) % P).astype(np.int8)
        noise = generator.normal(size=(length, C)).astype(np.float32)
        noise[np.arange(length), labels] += 2
        write_sequence(folder, Sequence(name, np.arange(length, dtype=np.int32) * 5, labels, labels, noise))
    return folder


@pytest.fixture
def stage(tmp_path):
    model = FineTune(encoder=untrained(tmp_path / "encoder"), videos=(), num_phases=P, size_px=SIZE_PX)
    training, validation = (
        ExtractFeatures(model=model, videos=tuple(Recording(name=name) for name in names))
        for names in (("video01", "video02"), ("video03",))
    )
    return TrainTemporal(
        training=training,
        validation=validation,
        network=replace(NETWORK, dropout=0.2),
        num_phases=P,
        epochs=4,
        learning_rate=0.01,
        halve_after=(2,),
        seed=6,
    )


@pytest.fixture
def inputs(tmp_path):
    return {
        "training": write_sequences(tmp_path / "training", ["video01", "video02"]),
        "validation": write_sequences(tmp_path / "validation", ["video03"], seed=1),
    }


def run(stage, output, inputs, **options):
    stage.run(work(output, inputs, **options))
    return torch.load(output / WEIGHTS, weights_only=True), read_history(output)


def test_a_run_killed_and_resumed_is_the_run_that_was_not(stage, inputs, tmp_path):
    whole, again = (run(stage, tmp_path / name, inputs) for name in ("whole", "again"))

    with pytest.raises(Killed):
        stage.run(work(tmp_path / "killed", inputs, listener=raising(Killed, after=2)))
    for weights, history in (again, run(stage, tmp_path / "killed", inputs)):
        assert_same_state(weights, whole[0])
        assert history == whole[1]


def test_a_short_training_learns_its_sequences_and_predicts_them(stage, tmp_path):
    stage = replace(
        stage, network=replace(NETWORK, dropout=0.0), validation=None, epochs=40, halve_after=(), selection="last"
    )
    folder = write_sequences(tmp_path / "long", ["video01", "video02"], length=300)  # in short ones smoothing prevails
    _, history = run(stage, tmp_path / "out", {"training": folder})
    first, *_, last = history["loss"].values()
    assert last < 0.5 * first
    prediction = PredictPhases(model=stage, features=stage.training)
    prediction.run(work(tmp_path / "predictions", {"model": tmp_path / "out", "features": folder}))
    for video, name in zip(read_predictions(tmp_path / "predictions"), ("video01", "video02"), strict=True):
        assert video.video == name
        assert (video.prediction == video.truth).mean() > 0.9
        assert video.frames.tolist() == [5 * t for t in range(300)]


def test_without_validation_videos_no_accuracy_is_recorded(stage, inputs, tmp_path):
    _, history = run(replace(stage, validation=None), tmp_path / "out", {"training": inputs["training"]})
    assert history.keys() == {"loss"}


def test_the_learning_rate_is_halved_at_the_start_of_the_authors_epochs_counted_from_1(stage):
    usual = replace(stage, learning_rate=5e-4, halve_after=TrainTemporal.halve_after)
    rates = [usual.learning_rate_at(epoch) for epoch in (0, 28, 29, 58, 59, 88, 89, 99)]
    assert rates == [5e-4, 5e-4, 2.5e-4, 2.5e-4, 1.25e-4, 1.25e-4, 6.25e-5, 6.25e-5]


def test_refinements_read_probabilities_of_the_stage_before():
    model, x = network(), features()
    first, second = model(x)
    assert torch.equal(second, model.stages[1](F.softmax(first, dim=1)))
