"""Checkpoints within epochs, for every method of the contract: training goes on from the middle of an epoch."""

import signal
from contextlib import closing

import pytest
import torch

from tests.trainers.ssl.method_contract import frozen_parts
from tests.trainers.ssl.test_method_contract import METHODS, backbone_for
from tests.trainers.tiny import BATCH, REGIONS_PX, SIZE_PX, assert_same_state, raising, write_recording
from trainers.data.augmentation import MoCoAugmentation, MultiCropAugmentation
from trainers.data.frames import Frames
from trainers.data.loading import ViewLoader
from trainers.runtime import checkpoint
from trainers.ssl.checkpoints import Checkpoints, frozen_names, moving_state
from trainers.ssl.loop import Optimisation, Training, parameter_groups, train
from trainers.ssl.swav import SwAV
from trainers.stage import InputError, Progress, Work, ignore_report

STEPS = 3
KILLED_AT = STEPS + 1
"""Steps before the kill, one epoch and one step of the next."""


class Killed(BaseException):
    """What a test ends a run with."""


@pytest.fixture(params=["moco", *(name for name in METHODS if name != "moco")])
def name(request):
    return request.param


@pytest.fixture
def training(tmp_path, monkeypatch):
    """Everything of a training of two epochs; a checkpoint is due after every step."""
    monkeypatch.setattr(checkpoint, "PERIOD_SECONDS", 0.0)
    _, folder = write_recording(tmp_path / "video", [0, 1, 2] * STEPS * BATCH)
    with Frames([folder], sample_every=3) as frames:

        def make(method, output, listener=ignore_report, sizes=SIZE_PX, small=False):
            (tmp_path / output).mkdir(exist_ok=True)
            augmentation = (
                MultiCropAugmentation(size_px=sizes, small_size_px=sizes // 2, num_small=2)
                if small
                else MoCoAugmentation(size_px=sizes)
            )
            return Training(
                method=method,
                loader=ViewLoader(frames, augmentation, batch_size=BATCH, seed=0, threads=1),
                optimisation=Optimisation(epochs=2, batch_size=BATCH, learning_rate=0.05),
                work=Work(output=tmp_path / output, listener=listener),
                device=torch.device("cpu"),
                probe=lambda backbone, epoch: {},
            )

        yield make


def killing(method):
    """The method, which is killed at a step."""

    def kill(_, arguments):
        if arguments[0].step == KILLED_AT:
            raise Killed

    method.register_forward_pre_hook(kill)
    return method


def test_every_method_goes_on_from_the_middle_of_an_epoch_to_the_same_bits(name, training, tmp_path):
    config, inputs = METHODS[name](tmp_path)
    views = {"small": isinstance(config, SwAV), "sizes": REGIONS_PX if name == "regioncl" else SIZE_PX}
    whole, killed, resumed = (config.build(backbone_for(config), inputs, seed=7) for _ in range(3))
    history = train(training(whole, "whole", **views))
    with pytest.raises(Killed):
        train(training(killing(killed), "killed", **views))
    state = checkpoint.load(tmp_path / "killed")
    assert (state["epoch"], state["step"]) == (1, KILLED_AT - STEPS)
    assert train(training(resumed, "killed", **views)) == history
    assert_same_state(resumed.state_dict(), whole.state_dict())


def test_a_checkpoint_holds_everything_that_moves_and_nothing_that_is_frozen(name, tmp_path):
    config, inputs = METHODS[name](tmp_path)
    method = config.build(backbone_for(config), inputs, seed=7).eval()
    moving, frozen = moving_state(method), frozen_names(method)
    assert not any(module.training for module in method.modules())
    assert moving.keys() | frozen == method.state_dict().keys() | frozen
    assert not moving.keys() & frozen
    method.train()
    assert {each for each, _ in frozen_parts(method)} <= frozen
    learning = {each for each, parameter in method.named_parameters() if parameter.requires_grad}
    assert learning <= moving.keys()


def built(name, tmp_path):
    config, inputs = METHODS[name](tmp_path / name.replace(",", ""))
    return config.build(backbone_for(config), inputs, seed=7)


@pytest.mark.parametrize("name", ["student of a teacher trained in all", "seed", "teacher, head trained"])
def test_no_frozen_network_is_in_the_file(name, training, tmp_path):
    method = built(name, tmp_path)
    train(training(method, "out"))
    kept = checkpoint.load(tmp_path / "out")["method"]
    frozen = "encoders.query.backbone." if name == "teacher, head trained" else "teacher."
    assert any(each.startswith(frozen) for each in method.state_dict())
    assert not any(each.startswith(frozen) for each in kept)


def test_an_interrupt_waits_for_the_end_of_its_step_and_a_checkpoint(training, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "PERIOD_SECONDS", 1e9)
    whole, method, resumed = (built("moco", tmp_path / each) for each in ("whole", "stopped", "resumed"))
    history = train(training(whole, "whole"))

    def interrupt(_, arguments):
        if arguments[0].step == KILLED_AT:
            signal.raise_signal(signal.SIGINT)

    method.register_forward_pre_hook(interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(training(method, "out"))
    finally:
        signal.signal(signal.SIGINT, before)
    assert checkpoint.load(tmp_path / "out")["step"] == KILLED_AT + 1 - STEPS
    assert train(training(resumed, "out")) == history
    assert_same_state(resumed.state_dict(), whole.state_dict())


def test_progress_within_a_resumed_epoch_counts_the_frames_of_this_run_alone(training, tmp_path, monkeypatch):
    monkeypatch.setattr("trainers.ssl.loop.REPORT_PERIOD_SECONDS", 0)
    with pytest.raises(Killed):
        train(training(killing(built("moco", tmp_path / "first")), "out"))
    heard = []
    train(training(built("moco", tmp_path / "second"), "out", heard.append))
    progress = [each for each in heard if isinstance(each, Progress)]
    assert [each.fraction for each in progress] == pytest.approx([5 / 6, 1])
    assert all(each.frames_per_second > 0 for each in progress)


def test_a_loader_begins_an_epoch_at_any_step(training, tmp_path):
    loader = training(None, "out").loader
    with closing(loader.epoch(1)) as all_of_it, closing(loader.epoch(1, 2)) as rest:
        (last,) = list(rest)
        expected = list(all_of_it)[2]
    assert torch.equal(last.views, expected.views)
    assert torch.equal(last.frame_ids, expected.frame_ids)


def test_a_checkpoint_of_an_earlier_version_is_understood(training, tmp_path):
    """It holds frozen parts too, and is of the end of an epoch."""
    whole, method = (built("seed", tmp_path / each) for each in ("whole", "resumed"))
    history = train(training(whole, "whole"))
    first = built("seed", tmp_path / "first")
    given = training(first, "out")
    optimiser = given.optimisation.optimiser(parameter_groups(first))
    saved = Checkpoints(given.work.output, first, optimiser, STEPS)

    with pytest.raises(Killed):
        train(training(first, "out", raising(Killed, after=1)))
    state = checkpoint.load(tmp_path / "out")
    earlier = {"epoch": state["epoch"], "history": state["history"], "optimiser": state["optimiser"]}
    checkpoint.save(tmp_path / "out", {**earlier, "method": first.state_dict()})
    assert saved.kept() == "the last good checkpoint is that of epoch 1"
    assert train(training(method, "out")) == history
    assert_same_state(method.state_dict(), whole.state_dict())


@pytest.mark.parametrize("fault", ["another network", "no optimiser", "another optimiser"])
def test_a_checkpoint_that_does_not_fit_is_left_alone_with_a_line(fault, training, tmp_path, capsys):
    whole, method = (built("moco", tmp_path / each) for each in ("whole", "resumed"))
    history = train(training(whole, "whole"))
    state = checkpoint.load(tmp_path / "whole")
    if fault == "another network":
        state["method"]["encoders.query.head.output.weight"] = torch.ones(1)
    elif fault == "another optimiser":
        state["optimiser"]["param_groups"] = []
    else:
        del state["optimiser"]
    given = training(method, "out")
    checkpoint.save(given.work.output, state)
    capsys.readouterr()
    assert train(given) == history
    (said,) = capsys.readouterr().out.splitlines()
    assert said.startswith("the checkpoint is left alone, and training starts again (")
    assert_same_state(method.state_dict(), whole.state_dict())


def test_weights_that_are_not_finite_are_in_no_checkpoint_within_an_epoch(training, tmp_path):
    method = built("moco", tmp_path)
    weight = method.encoders.query.head.output.weight
    steps = []
    method.register_forward_pre_hook(lambda _, arguments: steps.append(arguments[0].step))
    weight.register_hook(lambda gradient: gradient * (float("inf") if steps[-1] == KILLED_AT else 1))
    message = (
        r"weight is no longer finite after step 2 of epoch 2 \(the last good checkpoint is that of step 1 of epoch 2"
    )
    with pytest.raises(InputError, match=message):
        train(training(method, "out"))
