"""CPU time and processes per trial: studies here beside plain Ray tasks, plain Ray Tune and Optuna, all of empty work.

    python benchmarks/overhead.py

Each way runs twice in processes of its own, with one trial and with many: the difference is the cost of the trials
without the start of Python, Ray and Optuna. CPU time is user and system time of all processes of a way.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from study.core.plan import make_plan
from study.core.store import Store
from study.core.study import standalone
from study.execution.events import Observer
from study.execution.local import run
from study.execution.ray.runner import run_on_ray
from study.execution.resources import Profile
from trainers.stage import Stage, Work

SAMPLE_SECONDS = 0.1
NUM_TRIALS = 1000
NUM_ACTORS = 20
"""Trials of plain Tune, each of which is a process of its own."""


@dataclass(frozen=True, kw_only=True)
class Empty(Stage):
    """Leaves one small file."""

    number: int
    needs: tuple[Stage, ...] = ()

    def run(self, work: Work) -> None:
        (work.output / "number").write_text(str(self.number))

    def expected_seconds(self) -> float:
        return 0.01


@dataclass(frozen=True)
class Cost:
    """Cost of one process and all that it started."""

    cpu_seconds: float
    num_processes: int
    seconds: float


def trials_of_one_stage(count: int, home: Path) -> None:
    _through_ray([Empty(number=number) for number in range(count)], home)


def stages_of_one_trial(count: int, home: Path) -> None:
    _through_ray([Empty(number=count, needs=tuple(Empty(number=number) for number in range(count - 1)))], home)


def local_trials(count: int, home: Path) -> None:
    store = Store(home)
    plan = make_plan(standalone(Empty(number=number) for number in range(count)), store)
    assert len(run(plan, store, Profile().grant, Observer()).computed) == count


def ray_tasks(count: int, home: Path) -> None:
    import ray

    with _plain_ray():
        task = ray.remote(_nothing)
        ray.get([task.remote() for _ in range(count)])


def tune_trials(count: int, home: Path) -> None:
    from ray import tune  # noqa: TID251  (what it costs without us)

    with _plain_ray():
        config = tune.TuneConfig(num_samples=count)
        run_config = tune.RunConfig(storage_path=str(home), verbose=0)
        tune.Tuner(_report_nothing, tune_config=config, run_config=run_config).fit()


def optuna_trials(count: int, home: Path) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    home.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(storage=f"sqlite:///{home}/optuna.db")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=count)


WAYS: Mapping[str, tuple[Callable[[int, Path], None], int, str]] = {
    "trials": (trials_of_one_stage, NUM_TRIALS, "a study: trials of one empty stage"),
    "stages": (stages_of_one_trial, NUM_TRIALS, "a study: empty stages of one trial"),
    "local": (local_trials, NUM_TRIALS, "a study: the trials with --local"),
    "tasks": (ray_tasks, NUM_TRIALS, "plain Ray: empty tasks"),
    "tune": (tune_trials, NUM_ACTORS, "plain Ray Tune: empty trials"),
    "optuna": (optuna_trials, NUM_TRIALS, "plain Optuna: empty trials in SQLite"),
}


def measured(way: str, count: int) -> Cost:
    """The cost of a way in a process of its own."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        process = psutil.Popen([sys.executable, __file__, way, str(count), folder], stdout=subprocess.DEVNULL)
        seen: dict[psutil.Process, float] = {}
        while process.poll() is None:
            for each in _family(process):
                try:
                    times = each.cpu_times()
                    seen[each] = times.user + times.system
                except psutil.Error:
                    continue
            time.sleep(SAMPLE_SECONDS)
    assert process.returncode == 0, way
    return Cost(sum(seen.values()), len(seen), time.perf_counter() - start)


def main() -> None:
    print(f"{'':38s}{'count':>7s}{'CPU ms each':>13s}{'processes':>11s}{'seconds':>9s}")
    for way, (_, count, title) in WAYS.items():
        one, many = measured(way, 1), measured(way, count)
        each = 1e3 * (many.cpu_seconds - one.cpu_seconds) / (count - 1)
        more = many.num_processes - one.num_processes
        print(f"{title:38s}{count:7d}{each:13.1f}{more:+11d}{many.seconds - one.seconds:9.1f}", flush=True)
    print("processes: those that were started for many trials and not for one")


@contextmanager
def _plain_ray() -> Iterator[None]:
    import ray

    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def _through_ray(last: list[Empty], home: Path) -> None:
    store = Store(home)
    plan = make_plan(standalone(last), store)
    outcome = run_on_ray(plan, store, lambda cpus, gpus: Profile(), Observer())
    assert len(outcome.computed) == len(plan.missing)


def _nothing() -> None:
    pass


def _report_nothing(config: Mapping[str, object]) -> dict[str, float]:
    return {"score": 0.0}


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


if __name__ == "__main__":
    if len(sys.argv) > 1:
        os.environ["OMP_NUM_THREADS"] = "1"
        WAYS[sys.argv[1]][0](int(sys.argv[2]), Path(sys.argv[3]) / "home")
    else:
        main()
