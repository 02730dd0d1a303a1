"""One optimisation step of self-supervised training, on any device and any number of workers."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trainers.data.loading import ViewBatch
from trainers.fields import Precision
from trainers.networks.backbones import SplitBatchNorm2d
from trainers.networks.features import network_input
from trainers.networks.folding import is_residual
from trainers.runtime import cuda_graphs, distributed
from trainers.ssl.method import Method, Views

OF_SEVERAL_WORKERS = "FREELUNCH_GRAPHS_OF_SEVERAL_WORKERS"
"""Variable of the environment that, set to anything, has the passes of several workers recorded too."""


def take_step(
    method: Method,
    optimiser: torch.optim.Optimizer,
    views: Views,
    precision: Precision = "fp32",
    average: distributed.GradientAverage | None = None,
) -> Mapping[str, Tensor]:
    """One step on this worker's views; the gradients are the mean over all workers'.

    Args:
        method: to train.
        optimiser: of its parameters.
        views: this worker's.
        precision: of the forward pass.
        average: takes the mean while the backward pass goes on; where not given, it is taken afterwards.

    Returns:
        The loss terms of this worker's views.
    """
    with torch.autocast(views.query.device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
        terms: Mapping[str, Tensor] = method(views)
    optimiser.zero_grad(set_to_none=True)
    loss: Any = sum(terms.values())
    if average is None:
        loss.backward()
        distributed.average_(parameter.grad for parameter in method.parameters() if parameter.grad is not None)
    else:
        average.begin()
        loss.backward()
        average.finish()
    optimiser.step()
    return terms


class Stepper:
    """Takes the steps of one training.

    On a GPU, the passes of the method's networks are replayed; those of several workers only where a variable of the
    environment asks for it, until that has been seen on several GPUs. Several workers average gradients while the
    backward pass goes on, those of a replayed pass after it. Neither changes a number.

    Args:
        method: to train, on its device.
        optimiser: of its parameters.
        precision: of the forward pass.
        images_shape: N×3×H×W, of a batch of one view.
    """

    def __init__(
        self, method: Method, optimiser: torch.optim.Optimizer, precision: Precision, images_shape: tuple[int, ...]
    ) -> None:
        self.method = method
        self._optimiser = optimiser
        self._precision = precision
        learning = learning_parameters(method)
        self._device = learning[0].device
        on_gpu, alone = self._device.type == "cuda", distributed.world_size() == 1
        self._copies = torch.cuda.Stream(self._device) if on_gpu else None  # type: ignore[no-untyped-call]
        if on_gpu and (alone or OF_SEVERAL_WORKERS in os.environ):
            cuda_graphs.record(recorded_networks(method), images_shape, bf16=precision == "bf16")
        self._average = None if alone else distributed.GradientAverage(learning)  # its hooks come after recording

    def take(self, batch: ViewBatch, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Takes one step on this worker's part of a batch; the loss terms of its views come back.

        Args:
            batch: on the CPU.
            epoch: epochs before this one.
            step: steps before this one, over all epochs.
        """
        views = on_device(batch, self._device, epoch, step, self._copies)
        return take_step(self.method, self._optimiser, views, self._precision, self._average)


def on_device(
    batch: ViewBatch, device: torch.device, epoch: int, step: int, copies: torch.cuda.Stream | None = None
) -> Views:
    """The views of a batch on the device, as networks take them.

    Args:
        batch: on the CPU.
        device: to compute on.
        epoch: epochs before this one.
        step: steps before this one, over all epochs.
        copies: stream of a GPU that copies are made on, beside its work.
    """
    images = [_copied(view, device, copies) for view in (*batch.views, *batch.small)]
    ids = _copied(batch.frame_ids, device, copies)
    if copies is not None:
        torch.cuda.current_stream().wait_stream(copies)
    query, key, *small = (network_input(each, device) for each in images)
    return Views(query=query, key=key, frame_ids=ids, step=step, epoch=epoch, small=tuple(small))


def recorded_networks(method: Method) -> list[nn.Module]:
    """The networks of a method, then in training mode, whose passes a GPU records: our ResNets that wait for nobody."""
    networks = method.train().called_once
    return [each for each in networks if is_residual(each) and not any(map(_waits, each.modules()))]


def _waits(module: nn.Module) -> bool:
    return isinstance(module, SplitBatchNorm2d) and module.is_synchronised


def learning_parameters(method: Method) -> list[nn.Parameter]:
    """A method's parameters that require a gradient."""
    return [parameter for parameter in method.parameters() if parameter.requires_grad]


def _copied(values: Tensor, device: torch.device, copies: torch.cuda.Stream | None) -> Tensor:
    if copies is None:
        return values.to(device, non_blocking=True)
    with torch.cuda.stream(copies):
        copy = values.to(device, non_blocking=True)
    copy.record_stream(torch.cuda.current_stream())
    return copy
