"""Budget of a run in GPU-hours or disk: when it is used up, the run ends in order, and the same command goes on."""

import re
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from study.core.graph import key
from study.core.outlook import PlannedMachine
from study.core.plan import Plan, Sizes
from study.core.store import Store
from study.execution.events import Failure, Observer, Started
from study.home.interrupts import RunEnded
from study.home.text import size
from trainers.stage import InputError, Progress, Stage

UNITS = {"gpuh": 3600.0, "GB": 1e9, "TB": 1e12}
FORM = re.compile(r"(\d+(?:\.\d+)?) ?(gpuh|GB|TB)", re.ASCII)


@dataclass(frozen=True)
class Budget:
    """GPU-hours or disk that a run may use.

    Attributes:
        text: as it was given.
        amount: in seconds of one GPU, or in bytes.
        unit: `gpuh`, `GB` or `TB`.
    """

    text: str
    amount: float
    unit: str

    @property
    def num_bytes(self) -> float | None:
        """Disk that may be used; None of a budget in GPU-hours."""
        return None if self.unit == "gpuh" else self.amount


def parse_budget(text: str) -> Budget:
    """A budget as it is given on the command line.

    Raises:
        InputError: it has another form, or is nothing.
    """
    found = FORM.fullmatch(text)
    if found is None or float(found[1]) == 0:
        raise InputError(f"--budget {text} is no amount: give GPU-hours or disk, such as 40gpuh or 200GB.")
    return Budget(text, float(found[1]) * UNITS[found[2]], found[2])


@dataclass
class BudgetWatch(Observer):
    """Ends a run when the next stage does not fit into its disk, or its GPU-hours are used up.

    Attributes:
        budget: of this run; what was there before does not count.
        store: where it goes.
        sizes: expected of stages.
        gpus_of: GPUs that a stage is granted.
        clock: the time in seconds.
    """

    budget: Budget
    store: Store
    sizes: Sizes
    gpus_of: Callable[[Stage], float]
    clock: Callable[[], float] = time.monotonic
    _used: float = 0.0
    _since: dict[str, tuple[float, float]] = field(default_factory=dict)
    _sizes: dict[str, float] = field(default_factory=dict)

    def on_started(self, stage: Stage, event: Started) -> None:
        self._since[key(stage)] = (self.clock(), self.gpus_of(stage))
        if self.budget.unit == "gpuh":
            self._check_hours()
            return
        self._sizes[key(stage)] = self.sizes.kept(stage) + stage.expected_working_bytes()
        at_work = sum(self._sizes[each] for each in self._since)
        if self._used + at_work > self.budget.amount:
            too_small = "" if self._used or len(self._since) > 1 else ", so that a larger one is needed to go on"
            raise RunEnded(
                f"--budget {self.budget.text} does not hold the next stage: {size(self._used)} are used, and what is "
                f"at work with {stage.title} takes about {size(at_work)}{too_small}"
            )

    def on_progress(self, stage: Stage, progress: Progress) -> None:
        self._check_hours()

    def on_interrupted(self, stage: Stage, reason: str) -> None:
        self._stop_clock(stage)

    def on_failed(self, stage: Stage, failure: Failure) -> None:
        self._stop_clock(stage)

    def on_finished(self, stage: Stage, seconds: float) -> None:
        self._stop_clock(stage)
        if self.budget.unit != "gpuh":
            self._used += sum(length for length, _ in self.store.manifest(key(stage)).files.values())
        self._check_hours()

    def _stop_clock(self, stage: Stage) -> None:
        since, gpus = self._since.pop(key(stage), (self.clock(), 0.0))
        if self.budget.unit == "gpuh":
            self._used += gpus * (self.clock() - since)

    def _check_hours(self) -> None:
        at_work = sum(gpus * (self.clock() - since) for since, gpus in self._since.values())
        if self.budget.unit == "gpuh" and self._used + at_work >= self.budget.amount:
            raise RunEnded(f"--budget {self.budget.text} is used up")


def options_of(budget: Budget | None) -> tuple[str, ...]:
    """The command-line options of a budget."""
    return (f"--budget {shlex.quote(budget.text)}",) if budget else ()


def watches_of(budget: Budget | None, plan: Plan, store: Store, machine: PlannedMachine) -> tuple[BudgetWatch, ...]:
    """The watch of a run's budget; none without a budget.

    Args:
        budget: of the run.
        plan: what is to be computed; of a search, a trial like those that it will have.
        store: where it goes.
        machine: what computes it.

    Raises:
        InputError: GPU-hours are given, and no stage is granted a GPU, so that they would never be used up.
    """
    if budget is None:
        return ()
    missing = [plan.stages[stage_key] for stage_key in plan.missing]
    if budget.unit == "gpuh" and missing and not any(map(machine.gpus_of, missing)):
        raise InputError(f"--budget {budget.text}: no stage gets a GPU here, so that none of it would be used.")
    return (BudgetWatch(budget=budget, store=store, sizes=Sizes(store.manifests()), gpus_of=machine.gpus_of),)
