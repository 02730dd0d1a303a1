"""Computes one stage in the folder that its claim gave, wherever that is: in this process or in a task on a cluster."""

import json
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from study.core.disk import DiskFullError, translate_disk_errors
from study.core.graph import inputs, key
from study.core.manifest import LOG, PROGRESS, computed_seconds
from study.core.store import Store
from study.execution.events import Failure, error_line, failure_of
from trainers.stage import InputError, Resources, Stage, Work

PROGRESS_PERIOD_SECONDS = 0.5

Grant = Callable[[Stage], Resources]
"""What a stage may use: fixed per type of stage by the cluster profile, never part of a key."""
Report = Callable[[Mapping[str, float], int], None]


def check_granted(stage: Stage, grant: Grant) -> None:
    """Makes sure, before anything runs, that a stage can be computed with what it is granted.

    Raises:
        InputError: it cannot, or fails to say so.
    """
    try:
        stage.check(grant(stage))
    except InputError:
        raise
    except Exception as error:
        raised = traceback.extract_tb(error.__traceback__)[-1]
        raise InputError(
            f"{stage.title} fails to say whether it can be computed: {error_line(error)} "
            f"({raised.filename}:{raised.lineno}): mend its `check`."
        ) from error


def compute(stage: Stage, folder: Path, store: Store, resources: Resources, report: Report) -> float | Failure:
    """Computes and publishes a stage, from what an interrupted run left in its folder.

    What it prints, and its traceback, go to the log in that folder; its progress to a file beside it.

    Returns:
        The seconds it took, those of interrupted runs included, or why there is no artifact.

    Raises:
        DiskFullError: there is no space for what is computed.
    """
    stopwatch = _Stopwatch(folder)
    try:
        with translate_disk_errors(folder):
            with _log(folder / LOG):
                if computed_seconds(folder) is None:
                    stage.run(_work(stage, folder, store, resources, report, stopwatch))
            # The log is closed: it becomes a file of the artifact, which an interrupt must not write its traceback to.
            store.publish(stage, folder, computed_seconds(folder) or stopwatch.seconds())
    except DiskFullError:
        raise
    except Exception as error:
        return failure_of(error)
    return stopwatch.seconds()


def is_begun(folder: Path) -> bool:
    """Whether an interrupted run left something to go on from."""
    return any(path.name != LOG for path in folder.iterdir())


def _work(
    stage: Stage, folder: Path, store: Store, resources: Resources, report: Report, stopwatch: "_Stopwatch"
) -> Work:
    last = 0.0

    def report_and_note(metrics: Mapping[str, float], epoch: int) -> None:
        nonlocal last
        report(metrics, epoch)
        if time.monotonic() - last >= PROGRESS_PERIOD_SECONDS:
            last = time.monotonic()
            progress = {
                "epoch": epoch,
                "metrics": dict(metrics),
                "time": time.time(),
                "seconds": stopwatch.seconds(),
                "host": platform.node(),
            }
            (folder / PROGRESS).write_text(json.dumps(progress))

    return Work(
        output=folder,
        inputs={path: store.check(key(needed)) for path, needed in inputs(stage).items()},
        resources=resources,
        report=report_and_note,
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
        print(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {platform.node()} python {sys.version.split()[0]}")
        try:
            yield
        except BaseException:
            traceback.print_exc()
            raise
