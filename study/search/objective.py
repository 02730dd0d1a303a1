"""Objective of a search: what a trial is worth, and the curve that decides about its early stopping."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trainers.stage import Stage


@dataclass(frozen=True, kw_only=True)
class PruningSignal:
    """Stage of a trial whose curve decides about early stopping.

    Example:
        >>> from study import PruningSignal
        >>> from trainers.data.synthetic.generic_images import GenericImages
        >>> PruningSignal(stage=GenericImages(num_images=8, size_px=32), epochs=10).epochs
        10

    Attributes:
        stage: the stage that reports the curve.
        epochs: number of epochs of the stage in a trial that is not stopped.
        first_epoch: no trial is stopped before it.
    """

    stage: Stage
    epochs: int
    first_epoch: int = 1


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Objective of a search, measured on videos that are not tested.

    Example:
        >>> from study import Objective
        >>> loss = Objective(
        ...     title="loss on validation videos",
        ...     last_stage=lambda stage: stage,
        ...     value=lambda folder: float((folder / "loss.txt").read_text()),
        ...     pruning_signal=lambda stage: None,
        ...     metric="loss",
        ...     maximised=False,
        ... )
        >>> loss.maximised
        False

    Attributes:
        title: name of the value, with its unit.
        last_stage: from the last stage of the recipe to the last stage of a trial of the search.
        value: from the artifact of that stage to the value.
        pruning_signal: from that stage to the one that decides about early stopping; None where there is none.
        metric: the metric of the pruning signal.
        maximised: whether larger is better, for value and metric.
    """

    title: str
    last_stage: Callable[[Stage], Stage]
    value: Callable[[Path], float]
    pruning_signal: Callable[[Stage], PruningSignal | None]
    metric: str
    maximised: bool = True
