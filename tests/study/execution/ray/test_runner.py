import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from study.core.disk import DiskFullError
from study.core.graph import key
from study.core.plan import make_plan
from study.core.store import Store
from study.core.study import standalone
from study.execution.events import Failure, Observer
from study.execution.ray.runner import run_on_ray
from study.execution.resources import Profile
from tests.study.execution.test_local import Listener
from tests.study.steps import Step, table
from trainers.stage import MachineError, Resources, Stage

WITHOUT_RAY = """
import sys
from pathlib import Path
from study.execution.events import Observer
from study.core.plan import make_plan
from study.execution.ray.runner import run_on_ray
from study.core.store import Store
store = Store(Path(sys.argv[1]))
outcome = run_on_ray(make_plan([], store), store, None, Observer(), address="nowhere")
assert not outcome.computed
assert "ray" not in sys.modules
"""


def run(cluster: Any, home: Path, *stages: Stage, observer: Observer | None = None, **resources: Any) -> Any:
    store = Store(home)
    plan = make_plan(standalone(stages), store)
    profile = Profile(default=Resources(**resources))
    return run_on_ray(plan, store, lambda cpus, gpus: profile, observer or Observer(), address=cluster.address)


class Heard(Listener):
    def progress(self, stage: Stage, metrics: Any, epoch: int) -> None:
        self.heard.append(f"{stage.title} reports")


def test_where_nothing_is_missing_ray_is_not_even_imported(tmp_path: Path):
    ran = subprocess.run([sys.executable, "-c", WITHOUT_RAY, tmp_path], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_failures_block_what_needs_them_and_all_else_goes_on(cluster: Any, tmp_path: Path):
    diary = tmp_path / "diary"
    good, bad = Step(name="good", diary=diary), Step(name="bad", does="raise", diary=diary)
    refused = Step(name="refused", does="refuse", diary=diary)
    needing = Step(name="needing", needs=(bad, good), diary=diary)
    last = Step(name="last", needs=(needing,), diary=diary)
    other = Step(name="other", needs=(good,), diary=diary)
    listener = Heard()
    outcome = run(cluster, tmp_path / "home", last, other, refused, observer=listener)
    assert outcome.failures == {
        key(bad): Failure("ValueError: first line", expected=False),
        key(refused): Failure("the moon is full: wait.", expected=True),
    }
    assert outcome.blocked == {key(needing): key(bad), key(last): key(bad)}
    assert sorted(outcome.computed) == sorted([key(good), key(other)])
    assert {"last blocked by bad", "good started", "good reports", "good finished"} <= set(listener.heard)
    assert table(diary) == {"good": (1, 1), "other": (1, 1), "bad": (1, 0), "refused": (1, 0)}
    assert list((tmp_path / "home" / "ray").iterdir()) == []
    again = run(cluster, tmp_path / "home", last, other)
    assert list(again.failures) == [key(bad)]
    assert again.computed == []


def test_a_full_disk_ends_the_run(cluster: Any, tmp_path: Path):
    full = Step(name="full", does="fill the disk", diary=tmp_path / "diary")
    with pytest.raises(DiskFullError, match="free some space and type the same command again"):
        run(cluster, tmp_path / "home", Step(name="later", needs=(full,)), full)
    assert Store(tmp_path / "home").unfinished(key(full))


def test_what_the_cluster_has_no_room_for_is_refused_before_anything_runs(cluster: Any, tmp_path: Path):
    stage = Step(name="big", diary=tmp_path / "diary")
    with pytest.raises(MachineError, match="Step is granted 1 workers with 64 CPUs each"):
        run(cluster, tmp_path / "home", stage, threads=64)
    assert not (tmp_path / "diary").exists()


def test_an_interrupt_of_this_process_reaches_its_caller_and_the_stage_stops(cluster: Any, tmp_path: Path):
    class Interrupting(Observer):
        def progress(self, stage: Stage, metrics: Any, epoch: int) -> None:
            raise KeyboardInterrupt

    stage = Step(name="long", epochs=100, epoch_seconds=0.2, diary=tmp_path / "diary")
    with pytest.raises(KeyboardInterrupt):
        run(cluster, tmp_path / "home", stage, observer=Interrupting())
    assert not Store(tmp_path / "home").is_claimed(key(stage))
    assert Store(tmp_path / "home").unfinished(key(stage))
