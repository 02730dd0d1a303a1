import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ray import tune  # noqa: TID251  (a callback of our own)

from study.core.disk import DiskFullError
from study.core.graph import key
from study.core.plan import make_plan
from study.core.store import Store
from study.core.study import Row, Trial, standalone
from study.execution.events import Failure, Observer
from study.execution.ray.options import TuneOptions
from study.execution.ray.runner import run_on_ray
from study.execution.resources import Profile
from tests.study.execution.stub_stages import Listener
from tests.study.steps import Step, table
from trainers.stage import InputError, MachineError, Resources, Stage

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
    def on_epoch(self, stage: Stage, number: int, metrics: Any) -> None:
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
    raised = Failure(sentence="ValueError: first line", fault="program", key=key(bad), title="bad")
    assert outcome.failures == {
        key(bad): raised,
        key(refused): Failure(sentence="the moon is full: wait.", fault="input", key=key(refused), title="refused"),
    }
    assert outcome.blocked == {key(needing): raised, key(last): raised}
    assert sorted(outcome.computed) == sorted([key(good), key(other)])
    assert {"last blocked by bad", "good started", "good reports", "good finished"} <= set(listener.heard)
    assert table(diary) == {"good": (1, 1), "other": (1, 1), "bad": (1, 0), "refused": (1, 0)}
    assert list((tmp_path / "home" / "ray").iterdir()) == []
    again = run(cluster, tmp_path / "home", last, other)
    assert list(again.failures) == [key(bad)]
    assert again.computed == []


class Recorder(tune.Callback):
    """Records what Ray Tune is told: configs when trials start, and every result."""

    starts: ClassVar[list[dict[str, Any]]] = []
    results: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.starts.append(dict(trial.config))

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        self.results.append((trial.config["row"], dict(result)))


@dataclass(frozen=True, kw_only=True)
class Taught(Step):
    """A stage with a curve."""

    curves: ClassVar[str] = "pretrain"


def length_of_name(folder: Path) -> dict[str, float]:
    return {"length": float(len((folder / "done").read_text()))}


def test_a_tune_callback_gets_parameters_every_epoch_and_the_final_score_of_every_trial(cluster: Any, tmp_path: Path):
    taught = Taught(name="taught", epochs=3, diary=tmp_path / "diary")
    stages = {
        "curve": Step(name="curve", needs=(taught,), diary=tmp_path / "diary"),
        "bad": Step(name="bad", does="raise", diary=tmp_path / "diary"),
    }
    rows = [Row(name=name, title=name, parameters={"temperature": 0.1}) for name in stages]
    trials = [
        Trial(number=number, row=row, seed=7, parameters=row.parameters, stage=stages[row.name])
        for number, row in enumerate(rows)
    ]
    plan = make_plan(trials, store := Store(tmp_path / "home"))
    options = TuneOptions(callbacks=(f"{__name__}:Recorder",), score=length_of_name)
    profile = Profile(default=Resources())
    Recorder.starts.clear()
    Recorder.results.clear()
    run_on_ray(plan, store, lambda cpus, gpus: profile, Observer(), address=cluster.address, options=options)
    assert [(each["row"], each["seed"], each["temperature"]) for each in Recorder.starts] == [
        ("curve", 7, 0.1),
        ("bad", 7, 0.1),
    ]
    epochs = [(row, result["epoch"], result["pretrain/loss"]) for row, result in Recorder.results if "epoch" in result]
    assert epochs == [("curve", epoch, 1 / epoch) for epoch in (1, 2, 3)]
    ends = {row: result for row, result in Recorder.results if result["done"]}
    assert (ends["curve"]["status"], ends["curve"]["length"]) == ("computed", 5.0)
    assert (ends["bad"]["status"], ends["bad"]["problem"]) == ("failed", "ValueError: first line")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("wandb", "--callback wandb is not MODULE:CLASS"),
        ("nowhere.at:All", "--callback nowhere.at:All cannot be made \\(ModuleNotFoundError"),
        ("builtins:dict", "--callback builtins:dict is no ray.tune.Callback"),
    ],
)
def test_a_callback_that_cannot_be_had_is_refused_before_anything_runs(tmp_path: Path, name: str, sentence: str):
    stage, store = Step(name="stage", diary=tmp_path / "diary"), Store(tmp_path / "home")
    with pytest.raises(InputError, match=sentence):
        run_on_ray(
            make_plan(standalone([stage]), store),
            store,
            lambda cpus, gpus: Profile(),
            Observer(),
            address="nowhere:1",
            options=TuneOptions(callbacks=(name,)),
        )
    assert not (tmp_path / "diary").exists()


def test_many_short_trials_share_one_process(cluster: Any, tmp_path: Path):
    stages = [Step(name=f"stage{number}", diary=tmp_path / "diary") for number in range(30)]
    plan = make_plan(standalone(stages), store := Store(tmp_path / "home"))
    Recorder.results.clear()
    options, profile = TuneOptions(callbacks=(f"{__name__}:Recorder",)), Profile(default=Resources())
    run_on_ray(plan, store, lambda cpus, gpus: profile, Observer(), address=cluster.address, options=options)
    assert len(Recorder.results) == 30
    assert len({result["pid"] for _, result in Recorder.results}) <= 3


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
        def on_progress(self, stage: Stage, progress: Any) -> None:
            raise KeyboardInterrupt

    stage = Step(name="long", epochs=100, epoch_seconds=0.2, diary=tmp_path / "diary")
    with pytest.raises(KeyboardInterrupt):
        run(cluster, tmp_path / "home", stage, observer=Interrupting())
    assert not Store(tmp_path / "home").is_claimed(key(stage))
    assert Store(tmp_path / "home").unfinished(key(stage))
