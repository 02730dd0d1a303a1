"""Computation of one stage in the folder that its claim gave, in this process or in a task on a cluster."""

import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from study.core.disk import DiskFullError, translate_disk_errors
from study.core.graph import inputs, key
from study.core.manifest import LOG, NOT_KNOWN, Computer, computed_seconds
from study.core.pace import Pace
from study.core.progress import StageProgress, read_progress, write_progress
from study.core.store import Store
from study.execution.events import Failure, StageStopped, error_line, failure_of
from trainers.runtime.machine import device_name
from trainers.stage import FreelunchError, InputError, Listener, MachineError, Progress, Report, Resources, Stage, Work

PROGRESS_PERIOD_SECONDS = 0.5
RAYS_HANDLER = "sigterm_handler"
"""Function by which a worker process that Ray ends raises SystemExit in the middle of a stage."""

Grant = Callable[[Stage], Resources]
"""The resources of a stage: fixed per type of stage by the cluster profile, never part of a key."""


def check_granted(stage: Stage, grant: Grant) -> None:
    """Checks, before anything runs, that a stage can be computed with its resources.

    Raises:
        InputError: it cannot, or its check fails.
    """
    try:
        stage.check(grant(stage))
    except FreelunchError:
        raise
    except Exception as error:
        raised = traceback.extract_tb(error.__traceback__)[-1]
        raise InputError(
            f"{stage.title} fails to say whether it can be computed: {error_line(error)} "
            f"({raised.filename}:{raised.lineno}): correct its `check`."
        ) from error


def compute(stage: Stage, folder: Path, store: Store, resources: Resources, listener: Listener) -> float | Failure:
    """Computes and publishes a stage, from what an interrupted run left in its folder.

    What it prints, and its traceback, go to the log in that folder; its progress to a file beside it.

    Returns:
        The seconds it took, those of interrupted runs included, or why there is no artifact.

    Raises:
        DiskFullError: there is no space for what is computed.
    """
    stopwatch, pace = _Stopwatch(folder), Pace()

    def hear(report: Report) -> None:
        pace.take(report)
        listener(report)

    try:
        with translate_disk_errors(folder):
            is_computed = computed_seconds(folder) is not None
            with _log(folder / LOG):
                if not is_computed:
                    _run(stage, _work(stage, folder, store, resources, hear, stopwatch))
            # The log is closed: it becomes a file of the artifact, which an interrupt must not write its traceback to.
            seconds = computed_seconds(folder) or stopwatch.seconds()
            has_all = not is_computed and not stopwatch.began_elsewhere
            store.publish(stage, folder, seconds, _computer(resources, pace) if has_all else NOT_KNOWN)
    except DiskFullError:
        raise
    except Exception as error:
        return failure_of(error, key=key(stage), title=stage.title)
    return stopwatch.seconds()


def _computer(resources: Resources, pace: Pace) -> Computer:
    """What has computed a stage, which several workers do elsewhere, and their reports say on what."""
    return Computer(
        gpus=resources.workers * resources.gpus,
        threads=resources.workers * resources.threads,
        device=pace.device or (device_name(resources.gpus) if resources.workers == 1 else None),
        steady_seconds=pace.steady_seconds,
    )


def _run(stage: Stage, work: Work) -> None:
    """Runs a stage; one that ends its process, as `sys.exit` does, fails as others do.

    Raises:
        InputError: it raised what is no `Exception`.
    """
    try:
        stage.run(work)
    except (Exception, KeyboardInterrupt, StageStopped):
        raise
    except BaseException as error:
        if is_rays_interrupt(error):
            raise
        raise InputError(
            f"{stage.title} ends its process ({type(error).__name__}: {error}): let it return, or raise an Exception."
        ) from error


def is_rays_interrupt(error: BaseException) -> bool:
    """Whether an exception is what Ray makes of SIGTERM."""
    return any(frame.name == RAYS_HANDLER for frame in traceback.extract_tb(error.__traceback__))


def is_begun(folder: Path) -> bool:
    """Whether an interrupted run left something to go on from."""
    return any(path.name != LOG for path in folder.iterdir())


def _work(
    stage: Stage, folder: Path, store: Store, resources: Resources, listener: Listener, stopwatch: "_Stopwatch"
) -> Work:
    note = _ProgressNote(folder, stopwatch)

    def hear(report: Report) -> None:
        listener(report)
        note.take(report)

    return Work(
        output=folder,
        inputs={path: store.check(key(needed)) for path, needed in inputs(stage).items()} | _found_aids(stage, store),
        resources=resources,
        listener=hear,
    )


def _found_aids(stage: Stage, store: Store) -> dict[str, Path]:
    """The artifacts of a stage's aids, as far as they are there and whole."""
    found: dict[str, Path] = {}
    for name, aid in stage.aids().items():
        if store.find(key(aid)):
            try:
                found[name] = store.check(key(aid))
            except MachineError as error:
                print(f"computed without its {name}: {error}")
    return found


class _ProgressNote:
    """The latest reports of a stage, kept now and then in its folder, where `status` reads them."""

    def __init__(self, folder: Path, stopwatch: "_Stopwatch") -> None:
        self._folder = folder
        self._stopwatch = stopwatch
        self._fraction: dict[str, float] = {}
        self._last = 0.0

    def take(self, report: Report) -> None:
        if isinstance(report, Progress):
            self._fraction = {"fraction": report.fraction}
            epoch, metrics = report.epoch, {**report.metrics, **report.speed()}
        else:
            epoch, metrics = report.number, dict(report.metrics)
        if time.monotonic() - self._last >= PROGRESS_PERIOD_SECONDS:
            self._last = time.monotonic()
            progress = StageProgress(
                epoch=epoch,
                metrics=metrics | self._fraction,
                time=time.time(),
                seconds=self._stopwatch.seconds(),
                host=platform.node(),
            )
            write_progress(self._folder, progress)


class _Stopwatch:
    """Seconds spent on a stage, those of interrupted runs included, so that plans learn its whole cost."""

    def __init__(self, folder: Path) -> None:
        self._start = time.monotonic()
        before = read_progress(folder)
        self._before = before.seconds if before else 0.0
        self.began_elsewhere = before is not None and before.host != platform.node()

    def seconds(self) -> float:
        return self._before + time.monotonic() - self._start


@contextmanager
def _log(path: Path) -> Iterator[None]:
    """Sends what a stage prints, and its traceback, to its log."""
    with path.open("a", buffering=1) as file, redirect_stdout(file), redirect_stderr(file):
        print(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {platform.node()} python {sys.version.split()[0]}")
        try:
            yield
        except BaseException:
            traceback.print_exc()
            raise
