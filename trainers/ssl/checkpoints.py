"""Checkpoints of self-supervised training: what moves, how far it is, and the losses of an epoch that has begun."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainers.artifacts.history import Record
from trainers.runtime import checkpoint, distributed
from trainers.runtime.between_steps import BetweenSteps
from trainers.runtime.loss_watch import LossWatch
from trainers.ssl.method import Method


class Checkpoints:
    """Checkpoints of one training, which goes on from the folder's last one to the same bits.

    They hold what moves: modules that stay in eval mode, such as a frozen teacher, are built again from the stage's
    inputs. They are written at the end of an epoch and, where one takes long, within it: `checkpoint.Pace`. An
    interrupt waits for the end of a step, and for a checkpoint after it. Several workers, whose running statistics
    and losses part within an epoch, write at its end alone, and the first one writes for all.

    Attributes:
        epoch: epochs that are over.
        history: their records.
    """

    def __init__(self, folder: Path, method: Method, optimiser: torch.optim.Optimizer, num_steps: int) -> None:
        self.epoch = 0
        self.history: list[Record] = []
        self._folder = folder
        self._method = method
        self._optimiser = optimiser
        self._num_steps = num_steps
        self._step = 0
        self._totals: dict[str, Tensor] = {}
        self._pace = checkpoint.Pace()
        self._interrupt = BetweenSteps()
        self._resume()

    def kept(self) -> str:
        """The last checkpoint in words."""
        return checkpoint.described(self._folder)

    def begin_epoch(self, device: torch.device) -> tuple[int, dict[str, Tensor]]:
        """The step (0-based) that the next epoch begins at, and the sums of losses and metrics of those before it."""
        return self._step, {name: total.to(device) for name, total in self._totals.items()}

    @contextmanager
    def between_steps(self) -> Iterator[None]:
        """A block around the steps of an epoch, in which an interrupt waits for the end of a step."""
        with self._interrupt:
            yield

    def end_step(self, num_done: int, totals: Mapping[str, Tensor], watch: LossWatch) -> None:
        """Notes that this many steps of the epoch are done, and writes a checkpoint if one is due.

        Raises:
            InputError: a loss or a weight is no longer finite.
        """
        due = self._interrupt.is_waiting or self._pace.is_due(within_epoch=True)
        if due and num_done < self._num_steps and distributed.world_size() == 1:
            watch.check(num_done, self._method.state_dict())
            self._save(num_done, totals)
        self._interrupt.deliver()

    def end_epoch(self, record: Record) -> None:
        """Notes the end of an epoch, and writes a checkpoint if one is due."""
        self.epoch += 1
        self.history.append(record)
        self._step, self._totals = 0, {}
        if distributed.is_first() and self._pace.is_due():
            self._save(0, {})

    def _save(self, step: int, totals: Mapping[str, Tensor]) -> None:
        with self._pace.writing():
            state = {"epoch": self.epoch, "step": step, "totals": dict(totals), "history": self.history}
            states = {"method": moving_state(self._method), "optimiser": self._optimiser.state_dict()}
            checkpoint.save(self._folder, state | states)

    def _resume(self) -> None:
        state = checkpoint.load(self._folder)
        if state is None:
            return
        fault = self._load(state)
        if fault:
            checkpoint.refuse(fault)
            return
        self.epoch, self.history = state["epoch"], state["history"]
        self._step, self._totals = state.get("step", 0), state.get("totals", {})
        print(f"resumed after {checkpoint.position(self.epoch, self._step)}")

    def _load(self, state: Mapping[str, Any]) -> str:
        """Loads what moves, or says why it cannot be loaded."""
        missing = [name for name in ("epoch", "history", "method", "optimiser") if name not in state]
        if missing:
            return f"{missing[0]} is missing from it"
        frozen = frozen_names(self._method)
        moving = {name: value for name, value in state["method"].items() if name not in frozen}  # earlier ones hold all
        fault = checkpoint.difference(moving_state(self._method), moving)
        if fault:
            return fault
        try:
            self._optimiser.load_state_dict(state["optimiser"])
        except ValueError as error:
            return str(error)
        self._method.load_state_dict(moving, strict=False)
        return ""


def moving_state(method: Method) -> dict[str, Any]:
    """The state dict of a method without what does not move."""
    frozen = frozen_names(method)
    return {name: value for name, value in method.state_dict().items() if name not in frozen}


def frozen_names(method: Method) -> set[str]:
    """The names of parameters and buffers in modules that are in eval mode while the method trains; none of them moves.

    Where a module has several names, as the backbone that two encoders share, all are here.
    """
    modes = {module: module.training for module in method.modules()}
    method.train()
    frozen = {prefix: each for prefix, each in method.named_modules(remove_duplicate=False) if not each.training}
    for module, training in modes.items():
        module.training = training
    return {
        f"{prefix}.{name}"
        for prefix, module in frozen.items()
        for name, _ in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    }
