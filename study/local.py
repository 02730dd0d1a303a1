"""Runs a plan stage by stage in this process, without Ray: for laptops, debuggers and profilers."""

import json
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from study.graph import inputs, key
from study.plan import Plan
from study.store import LOG, PROGRESS, DiskFullError, Store, computed_seconds, disk_full_explained
from trainers.stage import InputError, Resources, Stage, Work

PROGRESS_PERIOD_SECONDS = 0.5


class Observer:
    """Hears what happens to the stages of a plan; it does nothing unless told otherwise."""

    def started(self, stage: Stage, resumed: bool) -> None:
        """A stage is being computed; `resumed` if an interrupted run left something to go on from."""

    def progress(self, stage: Stage, metrics: Mapping[str, float], epoch: int) -> None:
        """A stage reported."""

    def finished(self, stage: Stage, seconds: float) -> None:
        """A stage is published."""

    def found(self, stage: Stage) -> None:
        """Another process has published the stage meanwhile."""

    def waiting(self, stage: Stage) -> None:
        """Another process is computing the stage."""

    def failed(self, stage: Stage, failure: "Failure") -> None:
        """A stage raised."""

    def blocked(self, stage: Stage, by: Stage) -> None:
        """A stage cannot be computed because another one failed."""


@dataclass(frozen=True)
class Failure:
    """Why a stage has no artifact."""

    sentence: str
    """The message of an InputError, or the exception's last line."""
    expected: bool
    """Whether it was an InputError, which its reader can mend without the traceback."""


@dataclass
class Outcome:
    """What became of a plan: failures and the stages they blocked, by key."""

    failures: dict[str, Failure] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)
    """Key of a blocked stage to the key of the failed one."""
    computed: list[str] = field(default_factory=list)

    def root_failure(self, stage_key: str) -> str | None:
        """The key of the failed stage that kept this one from being computed (itself perhaps), or None."""
        return stage_key if stage_key in self.failures else self.blocked.get(stage_key)


def run(plan: Plan, store: Store, resources: Resources, observer: Observer) -> Outcome:
    """Computes every missing stage of a plan, in order.

    A stage that raises fails alone: what needs it is blocked, everything else goes on. Only a full disk ends the run.

    Raises:
        DiskFullError: there is no space for what is computed; finished stages are kept.
    """
    outcome = Outcome()
    for stage_key in plan.missing:
        stage = plan.stages[stage_key]
        culprit = next((root for s in inputs(stage).values() if (root := outcome.root_failure(key(s)))), None)
        if culprit is not None:
            outcome.blocked[stage_key] = culprit
            observer.blocked(stage, plan.stages[culprit])
            continue
        with store.claim(stage_key, partial(observer.waiting, stage)) as folder:
            if store.find(stage_key):
                observer.found(stage)
                continue
            failure = _compute(stage, folder, store, resources, observer)
        if failure is None:
            outcome.computed.append(stage_key)
        else:
            outcome.failures[stage_key] = failure
            observer.failed(stage, failure)
    return outcome


def _compute(stage: Stage, folder: Path, store: Store, resources: Resources, observer: Observer) -> Failure | None:
    """Computes and publishes one stage, from what an interrupted run left in its folder."""
    observer.started(stage, resumed=any(path.name != LOG for path in folder.iterdir()))
    stopwatch = _Stopwatch(folder)
    try:
        with disk_full_explained(folder), _log(folder / LOG):
            if computed_seconds(folder) is None:
                stage.run(_work(stage, folder, store, resources, observer, stopwatch))
        store.publish(stage, folder, computed_seconds(folder) or stopwatch.seconds())
    except DiskFullError:
        raise
    except InputError as error:
        return Failure(str(error), expected=True)
    except Exception as error:
        return Failure(traceback.format_exception_only(error)[-1].strip().partition("\n")[0], expected=False)
    observer.finished(stage, stopwatch.seconds())
    return None


def _work(
    stage: Stage, folder: Path, store: Store, resources: Resources, observer: Observer, stopwatch: "_Stopwatch"
) -> Work:
    last = 0.0

    def report(metrics: Mapping[str, float], epoch: int) -> None:
        nonlocal last
        observer.progress(stage, metrics, epoch)
        if time.monotonic() - last >= PROGRESS_PERIOD_SECONDS:
            last = time.monotonic()
            progress = {"epoch": epoch, "metrics": dict(metrics), "time": time.time(), "seconds": stopwatch.seconds()}
            (folder / PROGRESS).write_text(json.dumps(progress))

    return Work(
        output=folder,
        inputs={path: store.check(key(needed)) for path, needed in inputs(stage).items()},
        resources=resources,
        report=report,
    )


class _Stopwatch:
    """Seconds spent on a stage, those of interrupted runs included, so that plans learn its whole cost."""

    def __init__(self, folder: Path) -> None:
        self._start = time.monotonic()
        try:
            self._before = float(json.loads((folder / PROGRESS).read_text())["seconds"])
        except (OSError, ValueError, KeyError):
            self._before = 0.0

    def seconds(self) -> float:
        return self._before + time.monotonic() - self._start


@contextmanager
def _log(path: Path) -> Iterator[None]:
    """Sends what a stage prints, and its traceback, to its log."""
    with path.open("a", buffering=1) as file, redirect_stdout(file), redirect_stderr(file):
        print(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} python {sys.version.split()[0]}")
        try:
            yield
        except BaseException:
            traceback.print_exc()
            raise
