"""Speeds of stages on a machine: by finished stages of their type, else by a check, else as the machine expects."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from study.core.checked_speeds import CheckedSpeed
from study.core.manifest import Manifest
from trainers.stage import Resources, Stage

LIKE_FACTOR = 10.0
"""Finished stages tell the time of stages that are expected to take up to this many times as long."""
SAME_NETWORK = 1.5
"""A check tells the time of stages whose network multiplies up to this many times as much for a frame, or as little."""


class Machine(Protocol):
    """A machine that computes stages, as far as plans need to know it."""

    @property
    def is_here(self) -> bool:
        """Whether it is the one that has computed what the home holds, as far as manifests do not say."""

    def resources_of(self, stage: Stage) -> Resources:
        """What a stage is granted."""

    def has_device(self, name: str, host: str, *, is_gpu: bool) -> bool:
        """Whether a device, by its name and its host in a manifest, is as those of the machine."""

    def seconds(self, stage: Stage) -> float:
        """Expected seconds of a stage of which nothing was measured."""


@dataclass(frozen=True)
class _Correction:
    """Correction by measured stages of one type: measured over expected seconds, and the longest expected ones."""

    ratio: float
    longest_seconds: float


class Speeds:
    """Expected seconds of stages on a machine.

    Args:
        manifests: of finished stages.
        checked: what checks have measured.
        machine: all finished stages tell its speed where it is not given.
    """

    def __init__(
        self, manifests: Iterable[Manifest], checked: Sequence[CheckedSpeed] = (), machine: Machine | None = None
    ) -> None:
        self._machine = machine
        self._checked = checked
        self._finished: dict[str, list[Manifest]] = defaultdict(list)
        for manifest in manifests:
            self._finished[manifest.stage].append(manifest)
        self._corrections: dict[tuple[str, Resources | None], list[_Correction]] = {}

    def seconds(self, stage: Stage) -> float:
        """Expected seconds of a stage: as measured, or else as they are expected of a machine that measured nothing."""
        ratio = self._ratio(stage)
        if ratio is not None:
            return stage.expected_seconds() * ratio
        return self._machine.seconds(stage) if self._machine else stage.expected_seconds()

    def is_measured(self, stage: Stage) -> bool:
        """Whether stages of its size were measured: minutes of a small network do not predict days of a large one."""
        return self._ratio(stage) is not None

    def _ratio(self, stage: Stage) -> float | None:
        """Measured over expected seconds of stages like this one; None where none was measured."""
        granted = self._machine.resources_of(stage) if self._machine else None
        found = (type(stage).__name__, granted)
        if found not in self._corrections:
            groups = self._groups(stage, granted)
            self._corrections[found] = [_correction(group) for group in groups if group]
        expected = stage.expected_seconds()
        for correction in self._corrections[found]:
            if expected <= LIKE_FACTOR * correction.longest_seconds:
                return correction.ratio
        return self._checked_ratio(stage, granted) if granted and self._machine and self._checked else None

    def _groups(self, stage: Stage, granted: Resources | None) -> Iterator[list[tuple[float, float]]]:
        """Measured and expected seconds of finished stages of its type, first those that say most of the machine."""
        finished, machine = self._finished[type(stage).__name__], self._machine
        if machine is None or granted is None:
            yield [(m.seconds, m.expected_seconds) for m in finished]
            return
        gpus, threads = _in_all(granted)
        same = [m for m in finished if _is_on(machine, m.device, m.host, m.gpus, gpus)]
        yield [(m.seconds, m.expected_seconds) for m in same if (m.gpus, m.threads) == (gpus, threads)]
        yield [(m.seconds * _share(m.gpus, m.threads, gpus, threads), m.expected_seconds) for m in same]
        if machine.is_here:
            older = [m for m in finished if m.device is None and (m.gpus is None or (m.gpus > 0) == (gpus > 0))]
            yield [(m.seconds, m.expected_seconds) for m in older]

    def _checked_ratio(self, stage: Stage, granted: Resources) -> float | None:
        """The same by what checks have measured of stages of its kind with such a network."""
        assert self._machine is not None
        gpus, threads = _in_all(granted)
        gmacs = stage.expected_cost().gmacs_per_frame
        ratios = [
            each.seconds / each.expected_seconds * _share(each.gpus, each.threads, gpus, threads)
            for each in self._checked
            if each.kind == stage.kind
            and each.gmacs_per_frame / SAME_NETWORK <= gmacs <= each.gmacs_per_frame * SAME_NETWORK
            and _is_on(self._machine, each.device, each.host, each.gpus, gpus)
        ]
        return statistics.median(ratios) if ratios else None


def _correction(measured: Sequence[tuple[float, float]]) -> _Correction:
    """The correction by stages that took so many seconds where others were expected."""
    return _Correction(
        statistics.median(seconds / max(expected, 1e-3) for seconds, expected in measured),
        max(expected for _, expected in measured),
    )


def _is_on(machine: Machine, device: str | None, host: str, gpus: float | None, granted: float) -> bool:
    """Whether something was computed on a device of the machine, as a stage that is granted these GPUs would be."""
    if device is None or ((gpus or 0) > 0) != (granted > 0):
        return False
    return machine.has_device(device, host, is_gpu=granted > 0)


def _share(gpus: float | None, threads: int | None, granted_gpus: float, granted_threads: int) -> float:
    """How many times as long a stage takes with what it is granted as with what it was measured with."""
    if granted_gpus:
        return (gpus or granted_gpus) / granted_gpus
    return (threads or granted_threads) / granted_threads


def _in_all(granted: Resources) -> tuple[float, int]:
    """GPUs and threads over all workers."""
    return granted.workers * granted.gpus, granted.workers * granted.threads
