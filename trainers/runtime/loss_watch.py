"""Watch over losses and weights: the step at which a loss stops being finite is named, and no step waits for a GPU."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.runtime import distributed
from trainers.stage import InputError

LAG_STEPS = 8
"""Number of steps after which the loss of a step is read from a GPU: it has arrived by then, so that nothing waits."""


@dataclass(frozen=True)
class _Copied:
    """Loss of a step on its way to the CPU, where it is already on CPUs."""

    step: int
    loss: Tensor
    arrived: torch.cuda.Event | None


def lag_on(device: torch.device) -> int:
    """The number of steps after which losses are read on a device."""
    return LAG_STEPS if device.type == "cuda" else 0


class LossWatch:
    """Watch over the losses of an epoch, the same on all workers: all of them stop at the same step.

    Args:
        epoch: the epoch (0-based).
        advice: what to change, as the error says it.
        kept: says which checkpoint is the last, in words.
        lag_steps: the number of steps after which a loss is read; it is copied while these are computed.
    """

    def __init__(self, epoch: int, advice: str, kept: Callable[[], str], *, lag_steps: int = 0) -> None:
        self._epoch = epoch
        self._advice = advice
        self._kept = kept
        self._lag_steps = lag_steps
        self._copied: deque[_Copied] = deque()

    def see(self, step: int, loss: Tensor) -> None:
        """Takes the loss of a step (0-based) of this worker.

        Raises:
            InputError: this loss, or that of an earlier step, is not finite.
        """
        loss = loss.detach().clone()
        distributed.average_([loss])
        self._copied.append(_copied(step, loss))
        if len(self._copied) > self._lag_steps:
            self._check_first()

    def check(self, num_done: int, weights: Mapping[str, object]) -> None:
        """Checks what is known after this many steps, before a checkpoint is saved within the epoch.

        Args:
            num_done: steps of the epoch.
            weights: as of `end`.

        Raises:
            InputError: a loss or a tensor is not finite.
        """
        self._check_losses()
        self._check_weights(weights, f"step {num_done}")

    def end(self, mean: float, weights: Mapping[str, object]) -> None:
        """Ends the epoch, before its checkpoint is saved.

        Args:
            mean: the loss of the whole epoch.
            weights: a state dict; whatever is no tensor in it is left out.

        Raises:
            InputError: a loss, their mean, or a tensor is not finite.
        """
        self._check_losses()
        if not math.isfinite(mean):
            raise self._error(f"the mean loss became {mean} in epoch {self._epoch + 1}")
        self._check_weights(weights, "the last step")

    def _check_losses(self) -> None:
        while self._copied:
            self._check_first()

    def _check_weights(self, weights: Mapping[str, object], after: str) -> None:
        name = not_finite(weights)
        if name is not None:
            raise self._error(f"{name} is no longer finite after {after} of epoch {self._epoch + 1}")

    def _check_first(self) -> None:
        first = self._copied.popleft()
        if first.arrived is not None:
            first.arrived.synchronize()
        value = float(first.loss)
        if not math.isfinite(value):
            raise self._error(f"the loss became {value} at step {first.step + 1} of epoch {self._epoch + 1}")

    def _error(self, fault: str) -> InputError:
        return InputError(f"{fault} ({self._kept()}): {self._advice}.")


def not_finite(state: Mapping[str, object]) -> str | None:
    """The name of the first tensor of a state dict with NaN or an infinite value, or None."""
    floating = {name: value for name, value in state.items() if isinstance(value, Tensor) and value.is_floating_point()}
    return next((name for name, value in floating.items() if not bool(value.isfinite().all())), None)


def _copied(step: int, loss: Tensor) -> _Copied:
    if loss.device.type != "cuda":
        return _Copied(step, loss, None)
    on_cpu = torch.empty_like(loss, device="cpu", pin_memory=True).copy_(loss, non_blocking=True)
    arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrived.record()
    return _Copied(step, on_cpu, arrived)
