import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.trainers.tiny import assert_same_state, raising
from trainers.networks.supervised import SupervisedTask, train_supervised
from trainers.runtime import checkpoint
from trainers.stage import EpochEnd, InputError, Work, ignore_report

EPOCHS = 4


class Killed(BaseException):
    """What a test ends a run with."""


def new_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))


def batches(epoch):
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(3):
        inputs = torch.randn(6, 3, generator=generator)
        yield inputs, (inputs[:, 0] > 0).long()


@pytest.fixture
def task(tmp_path):
    def make(name="run", *, accuracies=(), listener=ignore_report, **fields):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        remaining = iter(accuracies)
        return SupervisedTask(
            **{
                "model": new_model(),
                "batches": batches,
                "loss": F.cross_entropy,
                "validate": lambda: next(remaining, None),
                "learning_rate": lambda epoch: 0.05,
                "weight_decay": 1e-5,
                "epochs": EPOCHS,
                "selection": "validation",
                "seed": 3,
                "work": Work(output=folder, listener=listener),
                "device": torch.device("cpu"),
            }
            | fields
        )

    return make


def weights_by_epoch(task, **fields):
    """The model's weights after every epoch."""
    model, seen = new_model(), []

    def listen(report):
        if isinstance(report, EpochEnd):
            seen.append(copy.deepcopy(model.state_dict()))

    train_supervised(task("seen", model=model, listener=listen, **fields))
    return seen


@pytest.mark.parametrize(
    ("selection", "accuracies", "kept"),
    [
        ("validation", (50.0, 80.0, 80.0, 70.0), 1),
        ("validation", (90.0, 80.0, 80.0, 70.0), 0),
        ("validation", (), 3),
        ("last", (50.0, 80.0, 80.0, 70.0), 3),
    ],
)
def test_the_first_best_epoch_on_validation_is_kept_or_the_last(task, selection, accuracies, kept):
    chosen = task(selection=selection, accuracies=accuracies)
    history = train_supervised(chosen)
    assert_same_state(chosen.model.state_dict(), weights_by_epoch(task)[kept])
    assert [record.get("validation_accuracy") for record in history] == list(accuracies or [None] * EPOCHS)
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]


@pytest.mark.parametrize("killed_after", [1, 3, EPOCHS])
def test_a_run_killed_and_resumed_is_the_run_that_was_not(task, killed_after):
    accuracies = [50.0, 80.0, 60.0, 80.0]
    whole = task("whole", accuracies=accuracies)
    history = train_supervised(whole)

    with pytest.raises(Killed):
        train_supervised(task("killed", accuracies=accuracies, listener=raising(Killed, after=killed_after)))
    resumed = task("killed", accuracies=accuracies[killed_after:])
    assert train_supervised(resumed) == history
    assert_same_state(resumed.model.state_dict(), whole.model.state_dict())


def test_dropout_depends_on_the_seed_and_not_on_torchs_global_generator(task):
    runs = []
    for name, seed in (("first", 3), ("second", 3), ("third", 4)):
        torch.rand(5)
        runs.append(train_supervised(task(name, seed=seed)))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_adam_steps_with_the_learning_rate_of_the_epoch(task):
    frozen = task(learning_rate=lambda epoch: 0.05 if epoch < 2 else 0.0)
    train_supervised(frozen)
    assert_same_state(frozen.model.state_dict(), weights_by_epoch(task)[1])


def test_optimiser_state_is_kept_between_epochs(task):
    """Epochs 1 and 2 as one epoch of twice the batches: only the keying of dropout would differ."""
    model, same = (nn.Linear(3, 2) for _ in range(2))
    same.load_state_dict(model.state_dict())
    train_supervised(task("two", model=model, epochs=2))
    train_supervised(
        task("one", model=same, epochs=1, batches=lambda epoch: (pair for e in (0, 1) for pair in batches(e)))
    )
    assert_same_state(model.state_dict(), same.state_dict())


def test_parts_without_a_gradient_stay(task):
    model = new_model()
    model[0].requires_grad_(False)
    before = copy.deepcopy(model[0].state_dict())
    train_supervised(task(model=model))
    assert_same_state(model[0].state_dict(), before)


def turning_nan(at):
    """A loss that is NaN at one step, counted from 0 over all epochs."""
    steps = itertools.count()
    return lambda outputs, targets: F.cross_entropy(outputs, targets) * (float("nan") if next(steps) == at else 1)


def test_a_loss_that_is_no_longer_finite_ends_the_run_at_its_step_and_names_the_last_good_checkpoint(task):
    with pytest.raises(
        InputError, match=r"became nan at step 1 of epoch 1 \(there is no checkpoint yet\): lower the learning"
    ):
        train_supervised(task("first", loss=turning_nan(0)))
    seen = []
    counted = task(
        "third", batches=lambda epoch: (seen.append(epoch) or pair for pair in batches(epoch)), loss=turning_nan(7)
    )
    with pytest.raises(
        InputError, match=r"nan at step 2 of epoch 3 \(the last good checkpoint is that of epoch 2\): lower"
    ):
        train_supervised(counted)
    assert seen == [0] * 3 + [1] * 3 + [2] * 2
    assert checkpoint.load(counted.work.output)["epoch"] == 2


def test_weights_that_are_not_finite_are_in_no_checkpoint(task):
    """The last step of an epoch ruins them: its loss is still finite."""

    def batch(epoch):
        return itertools.islice(batches(epoch), 1)

    ruined = task(batches=batch, learning_rate=lambda epoch: float("inf") if epoch else 0.05)
    with pytest.raises(
        InputError, match=r"0\.weight is no longer finite after the last step of epoch 2 \(the last good"
    ):
        train_supervised(ruined)
    assert checkpoint.load(ruined.work.output)["epoch"] == 1


def test_an_optimiser_made_anew_forgets_its_moments_and_still_resumes_exactly(task):
    kept, anew = (
        fitted(task, name, new_optimiser_every_epoch=habit) for name, habit in (("kept", False), ("anew", True))
    )
    assert not torch.equal(anew["0.weight"], kept["0.weight"])

    with pytest.raises(Killed):
        fitted(task, "killed", new_optimiser_every_epoch=True, listener=raising(Killed, after=2))
    assert_same_state(fitted(task, "killed", new_optimiser_every_epoch=True), anew)


def test_dropout_may_end_with_the_first_epoch(task):
    modes = []

    def loss(outputs, targets):
        modes.append(model.training)
        return F.cross_entropy(outputs, targets)

    model = new_model()
    train_supervised(task(model=model, loss=loss, dropout_in_first_epoch_only=True))
    assert modes == [True] * 3 + [False] * 3 * (EPOCHS - 1)


def fitted(task, name, **fields):
    model = new_model()
    train_supervised(task(name, model=model, **fields))
    return model.state_dict()


def test_a_checkpoint_of_another_model_is_left_alone_with_a_line(task, capsys):
    whole = fitted(task, "whole")
    for state in (
        {"epoch": 2, "history": []},
        {**ended_after_one(task, "other"), "model": {"0.weight": torch.ones(1)}},
    ):
        given = task("begun")
        checkpoint.save(given.work.output, state)
        train_supervised(given)
        assert_same_state(given.model.state_dict(), whole)
        (said,) = capsys.readouterr().out.splitlines()
        assert said.startswith("the checkpoint is left alone, and training starts again (")


def ended_after_one(task, name):
    """The checkpoint of a run of one epoch."""
    given = task(name, epochs=1)
    train_supervised(given)
    return checkpoint.load(given.work.output)
