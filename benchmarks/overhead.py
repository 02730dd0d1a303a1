"""Times what running through Ray costs beside `--local`, on stages that do nothing, in one run side by side.

python benchmarks/overhead.py
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from study.core.plan import Plan, make_plan
from study.core.store import Store
from study.core.study import standalone
from study.execution.events import Observer, Outcome
from study.execution.local import run
from study.execution.ray import connection
from study.execution.ray.runner import run_on_ray
from study.execution.resources import Profile
from trainers.stage import Stage, Work

NUM_STAGES = 100
NUM_TRIALS = 8


@dataclass(frozen=True, kw_only=True)
class Nothing(Stage):
    """Leaves one small file."""

    number: int
    needs: tuple[Stage, ...] = ()

    def run(self, work: Work) -> None:
        (work.output / "number").write_text(str(self.number))

    def expected_seconds(self) -> float:
        return 0.01


def study(home: Path) -> tuple[Plan, Store]:
    """Trials that need a hundred stages each, all but the last of which they share."""
    shared = tuple(Nothing(number=number) for number in range(NUM_STAGES))
    store = Store(home)
    return make_plan(standalone(Nothing(number=1000 + n, needs=shared) for n in range(NUM_TRIALS)), store), store


def seconds(compute: Callable[[Plan, Store], Outcome], home: Path) -> float:
    """How long a whole study takes."""
    start = time.perf_counter()
    plan, store = study(home)
    outcome = compute(plan, store)
    assert len(outcome.computed) == len(plan.missing)
    return time.perf_counter() - start


def locally(plan: Plan, store: Store) -> Outcome:
    return run(plan, store, Profile().grant, Observer())


def through_ray(plan: Plan, store: Store) -> Outcome:
    return run_on_ray(plan, store, lambda cpus, gpus: Profile(), Observer())


def broker_answers(home: Path) -> tuple[float, float]:
    """Seconds of one question to the broker about a finished stage, and of the finding in the store itself."""
    import ray

    from study.execution.ray.broker import start_broker

    plan, store = study(home)
    finished = list(plan.cached)
    broker = start_broker(home)
    ray.get(broker.wait.remote(finished[0], 1.0))
    start = time.perf_counter()
    for stage_key in finished:
        ray.get(broker.wait.remote(stage_key, 1.0))
    asked = (time.perf_counter() - start) / len(finished)
    start = time.perf_counter()
    for stage_key in finished:
        assert store.find(stage_key)
    found = (time.perf_counter() - start) / len(finished)
    ray.kill(broker)
    return asked, found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        homes = {name: Path(folder) / name for name in ("local", "started")}
        local = seconds(locally, homes["local"])
        again = seconds(locally, homes["local"])
        started = seconds(through_ray, homes["started"])
        again_through_ray = seconds(through_ray, homes["started"])
        with connection.connect():
            asked, found = broker_answers(homes["started"])
    total = NUM_STAGES + NUM_TRIALS
    print(f"{NUM_TRIALS} trials, {total} stages that do nothing")
    print(f"{'--local':34s}{local:7.2f} s, {local / total * 1e3:.1f} ms per stage")
    print(f"{'through Ray, started for it':34s}{started:7.2f} s")
    print(f"{'--local, all finished':34s}{again:7.2f} s, {again / total * 1e3:.2f} ms per stage")
    print(f"{'through Ray, all finished':34s}{again_through_ray:7.2f} s, Ray is not started")
    print(f"{'the broker on a finished stage':34s}{asked * 1e3:7.2f} ms; the store itself {found * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
