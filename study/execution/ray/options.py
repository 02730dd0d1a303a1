"""Options of Ray Tune: scores that are reported for a trial, and callbacks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Score = Callable[[Path], Mapping[str, float]]
"""Reads the final scores of a trial, by name, from the artifact of its last stage."""


def no_scores(folder: Path) -> Mapping[str, float]:
    """The scores of a stage that has none."""
    return {}


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """Options of Ray Tune.

    Attributes:
        callbacks: Tune callbacks, each as MODULE:CLASS.
        score: reads a trial's final scores; a function at the top of a module, or a picklable object.
        max_concurrent: how many trials are followed at a time, at most; by the size of the cluster where not given.
    """

    callbacks: tuple[str, ...] = ()
    score: Score = no_scores
    max_concurrent: int | None = None


DEFAULTS = TuneOptions()
