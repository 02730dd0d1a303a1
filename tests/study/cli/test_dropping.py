"""Removal of features during a run: once all that reads them is finished, and unless another command may read them."""

import json
from pathlib import Path

import pytest

from study.cli.dropping import FeatureDropper
from study.core.devices import CPU, device_named
from study.core.graph import key
from study.core.outlook import PlannedMachine, outlook
from study.core.plan import Plan, make_plan
from study.core.schedule import Room
from study.core.store import Store
from study.home import runs
from tests.study.core.test_plan import STUDY, Clip, Train, publish
from tests.study.tiny_cli import called
from tests.study.tiny_home import HERE, LOCAL, copy_of, done
from trainers.stage import SMALL_BYTES, Resources

CLIPS = tuple(Clip(name=str(number)) for number in range(3))
CORES = PlannedMachine(title="2 cores", device=device_named(CPU), room=Room(cpus=1), grant=lambda stage: Resources())


@pytest.fixture(autouse=True)
def removable_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Clip, "is_removable", True)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def planned(store: Store) -> Plan:
    """Three clips, which two trainings read, and the first of them a score, too."""
    return make_plan(STUDY.trials(3), store, drops_features=True)


def dropper(store: Store, *, is_alone: bool = True) -> FeatureDropper:
    return FeatureDropper(planned(store), store, lambda: is_alone)


def compute(watching: FeatureDropper, store: Store) -> None:
    for stage_key in watching.plan.missing:
        stage = watching.plan.stages[stage_key]
        publish(store, stage)
        watching.on_finished(stage, 1.0)


def test_what_may_be_removed_is_removed_when_the_last_stage_that_reads_it_is_finished(store: Store):
    watching = dropper(store)
    trainings = [stage for stage in watching.plan.stages.values() if isinstance(stage, Train)]
    for stage in (*CLIPS, trainings[0]):
        publish(store, stage)
        watching.on_finished(stage, 1.0)
    assert all(store.find(key(clip)) for clip in CLIPS)
    publish(store, trainings[1])
    watching.on_found(trainings[1])
    assert [store.find(key(clip)) is None for clip in CLIPS] == [False, True, True]  # a score reads the first
    compute(dropper(store), store)
    assert not any(store.find(key(clip)) for clip in CLIPS)
    assert not planned(store).missing


def test_another_command_beside_keeps_them_and_the_next_run_removes_them(store: Store):
    compute(dropper(store, is_alone=False), store)
    assert all(store.find(key(clip)) for clip in CLIPS)
    assert not dropper(store).plan.missing
    assert not any(store.find(key(clip)) for clip in CLIPS)


def test_a_plan_keeps_no_features_and_has_those_that_are_read_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Clip, "expected_bytes", lambda clip: 5e6)
    keeping = make_plan(STUDY.trials(3), store)
    dropping = planned(store)
    (kept, dropped) = (outlook(plan, CORES, plan.seconds) for plan in (keeping, dropping))
    assert kept.kept_bytes - dropped.kept_bytes == 3 * 5e6
    assert dropped.kept_bytes == 5 * SMALL_BYTES
    assert dropped.peak_bytes == dropped.kept_bytes + 3 * 5e6


@pytest.mark.usefixtures("tiny_scale", "no_pictures")
def test_a_run_leaves_no_features_and_is_finished_all_the_same(tiny_home: Path, tmp_path: Path):
    home = copy_of(tiny_home, tmp_path)
    asked = ("run", "table3", *LOCAL, "--row", "untrained", "--drop-features")
    done(called(home, *asked))
    kept = {manifest.stage for manifest in Store(home).manifests()}
    assert {"Evaluate", "TrainTemporal", "FineTune"} <= kept
    assert not [stage for stage in kept if stage.endswith("Features")]
    assert not runs.active_runs(home)
    plan = json.loads(done(called(home, "plan", "table3", *HERE[2:], "--row", "untrained", "--json")).output)
    assert plan["missing"] == []
    assert "nothing to do" in done(called(home, *asked)).output
