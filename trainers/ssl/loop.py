"""Step loop of self-supervised training, for any method: precision, schedule, metrics."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainers.artifacts.history import Record
from trainers.data.loading import ViewBatch, ViewLoader
from trainers.fields import BatchSize, Epochs, LearningRate, Momentum, Precision, Weight
from trainers.networks import schedules
from trainers.networks.backbones import sync_running_statistics_
from trainers.runtime import distributed
from trainers.runtime.loss_watch import LossWatch, lag_on
from trainers.ssl.checkpoints import Checkpoints
from trainers.ssl.method import Method
from trainers.ssl.step import Stepper, learning_parameters
from trainers.stage import Config, Work

REPORT_PERIOD_SECONDS = 1.0
CONSTANT_RATE = "constant_rate"
"""Key of a parameter group whose learning rate does not follow the schedule."""


@dataclass(frozen=True, kw_only=True)
class Optimisation(Config):
    """Stochastic gradient descent with a learning rate that falls along a cosine, epoch by epoch.

    Attributes:
        epochs: passes over the frames.
        batch_size: frames per step, over all workers.
        learning_rate: at the start.
        momentum: of the optimiser.
        weight_decay: on all parameters.
        precision: of the forward pass; parameters and optimiser are in single precision. On an NVIDIA GPU, torch
            computes the convolutions of `fp32` as TF32.

    Raises:
        InputError: a value is out of range.
    """

    epochs: Epochs = 200
    batch_size: BatchSize = 128
    learning_rate: LearningRate = 0.01
    momentum: Momentum = 0.9
    weight_decay: Weight = 1e-4
    precision: Precision = "fp32"

    def optimiser(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimiser at its start, for groups of parameters."""
        return torch.optim.SGD(
            groups, lr=self.learning_rate, momentum=self.momentum, weight_decay=self.weight_decay, foreach=True
        )

    def learning_rate_at(self, epoch: int) -> float:
        """The learning rate of an epoch (0-based)."""
        return schedules.cosine(self.learning_rate, epoch, self.epochs)


@dataclass(frozen=True)
class Training:
    """A method, its data, and the work, in whose folder checkpoints go: the arguments of `train`."""

    method: Method
    loader: ViewLoader
    optimisation: Optimisation
    work: Work
    """Hears of the epochs and, of the first worker's share, of the progress within them."""
    device: torch.device
    probe: Callable[[nn.Module, int], Mapping[str, float]]
    """Called with the backbone after every epoch (1-based); returns metrics to record, none where it does not look."""


def train(training: Training) -> list[Record]:
    """Trains to the last epoch, from the folder's checkpoint if there is one.

    Every worker calls it with its share of the data; the first one probes and writes.

    Returns:
        One record per epoch. The same records and weights come out whether or not the run was interrupted.

    Raises:
        InputError: the loss or the weights are no longer finite, or there are fewer frames than a batch takes.
    """
    optimisation = training.optimisation
    method = training.method.to(training.device).to(memory_format=torch.channels_last)
    optimiser = optimisation.optimiser(parameter_groups(method))
    checkpoints = Checkpoints(training.work.output, method, optimiser, len(training.loader))
    size_px = training.loader.augmentation.size_px
    local = len(range(*training.loader.share.indices(optimisation.batch_size)))
    stepper = Stepper(method, optimiser, optimisation.precision, (local, 3, size_px, size_px))
    for past in checkpoints.history:  # the listener may not know the epochs of the run that was interrupted
        training.work.epoch(int(past["epoch"]), past)
    for epoch in range(checkpoints.epoch, optimisation.epochs):
        set_learning_rate(optimiser, optimisation.learning_rate_at(epoch))
        watch = LossWatch(epoch, method.advice, checkpoints.kept, lag_steps=lag_on(training.device))
        means = _train_epoch(training, stepper, epoch, watch, checkpoints)
        record: Record = {"epoch": epoch + 1.0, **means}
        sync_running_statistics_(method)
        watch.end(record["loss"], method.state_dict())
        record |= training.probe(method.encoders.query.backbone, epoch + 1)
        checkpoints.end_epoch(record)
        training.work.epoch(epoch + 1, record)
    return checkpoints.history


def parameter_groups(method: Method) -> list[dict[str, Any]]:
    """Groups of a method's learning parameters: those on the schedule and, if there are any, those off it."""
    constant = {id(parameter) for parameter in method.fixed_rate_parameters()}
    learning = learning_parameters(method)
    groups: list[dict[str, Any]] = [{"params": [each for each in learning if id(each) not in constant]}]
    if constant:
        groups.append({"params": [each for each in learning if id(each) in constant], CONSTANT_RATE: True})
    return groups


def set_learning_rate(optimiser: torch.optim.Optimizer, learning_rate: float) -> None:
    """Sets the learning rate of all groups that follow the schedule."""
    for group in optimiser.param_groups:
        if CONSTANT_RATE not in group:
            group["lr"] = learning_rate


def _train_epoch(
    training: Training, stepper: Stepper, epoch: int, watch: LossWatch, checkpoints: Checkpoints
) -> dict[str, float]:
    steps, method = len(training.loader), stepper.method.train()
    first, totals = checkpoints.begin_epoch(training.device)
    meter = _Meter(training, epoch, steps, first)
    with closing(training.loader.epoch(epoch, first)) as batches, checkpoints.between_steps():
        for index, batch in enumerate(meter.timed(batches), first):
            terms = stepper.take(batch, epoch, epoch * steps + index)
            watch.see(index, torch.stack([value.detach() for value in terms.values()]).sum())
            losses = {f"loss_{name}": value for name, value in terms.items()}
            for name, value in {**losses, **method.metrics()}.items():
                totals[name] = totals[name] + value.detach() if name in totals else value.detach()
            checkpoints.end_step(index + 1, totals, watch)
            meter.tick(index + 1, totals)
    distributed.average_(totals.values())
    means = {name: float(total) / steps for name, total in totals.items()}
    return {"loss": sum(means[name] for name in losses), **means}


class _Meter:
    """Frames per second, the share of time spent waiting for data, and the losses so far, reported periodically."""

    def __init__(self, training: Training, epoch: int, steps: int, first: int) -> None:
        self._training = training
        self._epoch = epoch
        self._steps = steps
        self._first = first
        self._start = self._last = time.monotonic()
        self._waited = 0.0

    def timed(self, batches: Iterator[ViewBatch]) -> Iterator[ViewBatch]:
        while True:
            start = time.monotonic()
            batch = next(batches, None)
            self._waited += time.monotonic() - start
            if batch is None:
                return
            yield batch

    def tick(self, done: int, totals: Mapping[str, Tensor]) -> None:
        now = time.monotonic()
        if now - self._last < REPORT_PERIOD_SECONDS and done < self._steps:
            return
        self._last = now
        elapsed = max(now - self._start, 1e-9)
        self._training.work.progress(
            (self._epoch + done / self._steps) / self._training.optimisation.epochs,
            epoch=self._epoch + 1,
            metrics={name: float(total) / done for name, total in totals.items()},
            frames_per_second=(done - self._first) * self._training.optimisation.batch_size / elapsed,
            data_wait=self._waited / elapsed,
        )
