"""Loop of supervised training: Adam, schedule, choice of the epoch, checkpoint, resume."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from trainers.artifacts.history import Record
from trainers.fields import Precision
from trainers.runtime import checkpoint, randomness
from trainers.runtime.loss_watch import LossWatch, lag_on
from trainers.stage import Work

Selection = Literal["validation", "last"]
"""Epoch whose weights are kept: the best on the validation videos (the last where there are none), or the last."""

ADVICE = "lower the learning rate"


@dataclass(frozen=True, kw_only=True)
class SupervisedTask:
    """A model, its data and its schedule: the arguments of `train_supervised`.

    Attributes:
        model: the model to train; its frozen parts have no gradient.
        batches: (inputs, targets) of an epoch, in their order.
        loss: of the model's output and the targets.
        validate: accuracy in percent on the validation videos, or None where there are none.
        learning_rate: of an epoch (0-based).
        weight_decay: of Adam.
        epochs: passes over the data.
        selection: which epoch's weights are kept.
        seed: of dropout.
        work: gets a report of every epoch; checkpoints go to its folder.
        device: to compute on.
        precision: of the model's forward passes; the loss is taken in single precision.
        new_optimiser_every_epoch: whether Adam forgets its moments between epochs, as in the paper's code.
        dropout_in_first_epoch_only: whether the model stays in eval mode after the first epoch, as in the paper's code.
    """

    model: nn.Module
    batches: Callable[[int], Iterator[tuple[Tensor, Tensor]]]
    loss: Callable[[Tensor, Tensor], Tensor]
    validate: Callable[[], float | None]
    learning_rate: Callable[[int], float]
    weight_decay: float
    epochs: int
    selection: Selection
    seed: int
    work: Work
    device: torch.device
    precision: Precision = "fp32"
    new_optimiser_every_epoch: bool = False
    dropout_in_first_epoch_only: bool = False


def train_supervised(task: SupervisedTask) -> list[Record]:
    """Trains to the last epoch, from the folder's checkpoint if there is one; leaves the chosen weights in the model.

    Returns:
        One record per epoch: `loss`, and `validation_accuracy` where there are validation videos.

    Raises:
        InputError: the loss or the weights are no longer finite.
    """
    model = task.model.to(task.device)
    optimiser = _new_optimiser(task)
    state = _resumed(task, model, optimiser)
    pace = checkpoint.Pace()
    for epoch in range(state["epoch"], task.epochs):
        if task.new_optimiser_every_epoch:
            optimiser = _new_optimiser(task)
        for group in optimiser.param_groups:
            group["lr"] = task.learning_rate(epoch)
        watch = LossWatch(epoch, ADVICE, partial(checkpoint.described, task.work.output), lag_steps=lag_on(task.device))
        record: Record = {"epoch": epoch + 1.0, "loss": _train_epoch(task, model, optimiser, epoch, watch)}
        watch.end(record["loss"], model.state_dict())
        accuracy = task.validate()
        if accuracy is not None:
            record["validation_accuracy"] = accuracy
        if _is_better(task.selection, accuracy, state["best_accuracy"]):
            state |= {"best_accuracy": accuracy, "best_weights": copy.deepcopy(model.state_dict())}
        state |= {"epoch": epoch + 1, "history": [*state["history"], record]}
        if pace.is_due():
            with pace.writing():
                states = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
                checkpoint.save(task.work.output, state | states)
        task.work.epoch(epoch + 1, record)
        task.work.progress((epoch + 1) / task.epochs, epoch=epoch + 1)
    model.load_state_dict(state["best_weights"])
    history: list[Record] = state["history"]
    return history


def _new_optimiser(task: SupervisedTask) -> torch.optim.Optimizer:
    learning = [parameter for parameter in task.model.parameters() if parameter.requires_grad]
    return torch.optim.Adam(learning, weight_decay=task.weight_decay)


def _resumed(task: SupervisedTask, model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    start = {"epoch": 0, "history": [], "best_accuracy": None, "best_weights": None}
    state = checkpoint.load(task.work.output)
    if state is None:
        return start
    missing = [name for name in (*start, "model", "optimiser") if name not in state]
    fault = f"{missing[0]} is missing from it" if missing else checkpoint.difference(model.state_dict(), state["model"])
    if fault:
        checkpoint.refuse(fault)
        return start
    model.load_state_dict(state.pop("model"))
    optimiser.load_state_dict(state.pop("optimiser"))
    print(f"resumed after {checkpoint.position(state['epoch'], 0)}")
    return state


def _train_epoch(
    task: SupervisedTask, model: nn.Module, optimiser: torch.optim.Optimizer, epoch: int, watch: LossWatch
) -> float:
    total, count = torch.zeros((), device=task.device), 0
    model.train(epoch == 0 or not task.dropout_in_first_epoch_only)
    for step, (inputs, targets) in enumerate(task.batches(epoch)):
        with randomness.torch_seeded(task.seed, "dropout", epoch, step):
            loss: Any = task.loss(_outputs(task, inputs), targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        watch.see(step, loss)
        total += loss.detach()
        count += 1
    return float(total) / max(count, 1)


def _outputs(task: SupervisedTask, inputs: Tensor) -> Tensor:
    """The model's outputs, in single precision."""
    with torch.autocast(task.device.type, dtype=torch.bfloat16, enabled=task.precision == "bf16"):
        outputs: Tensor = task.model(inputs)
    return outputs.float()


def _is_better(selection: Selection, accuracy: float | None, best: float | None) -> bool:
    if selection == "last" or accuracy is None or best is None:
        return True
    return accuracy > best
