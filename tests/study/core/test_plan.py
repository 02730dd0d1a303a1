import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from study import Choice, Row, Study, Trial
from study.core.graph import key
from study.core.manifest import MANIFEST
from study.core.plan import Plan, make_plan
from study.core.store import Store
from study.core.study import standalone
from trainers.stage import MachineError, Stage, Work


@dataclass(frozen=True, kw_only=True)
class Made(Stage):
    def run(self, work: Work) -> None: ...

    def expected_seconds(self) -> float:
        return 10.0


@dataclass(frozen=True, kw_only=True)
class Clip(Made):
    name: str

    def library_versions(self) -> dict[str, str]:
        return {"decoder": "2"}

    def other_versions(self, recorded: Mapping[str, str]) -> str:
        return (
            ""
            if recorded["decoder"] == "2"
            else f"by decoder {recorded['decoder']}, which is not the 2 of this machine"
        )


@dataclass(frozen=True, kw_only=True)
class Train(Made):
    clips: tuple[Clip, ...]
    rate: float

    def expected_seconds(self) -> float:
        return 100.0


@dataclass(frozen=True, kw_only=True)
class Score(Made):
    model: Stage


def recipe(conditions: int, *, seed: int, rate: float = 0.1) -> Score:
    return Score(model=Train(clips=tuple(Clip(name=str(n)) for n in range(conditions)), rate=rate))


def constant(conditions: int, *, seed: int) -> Score:
    return Score(model=Clip(name="0"))


STUDY = Study(
    name="rates",
    title="Rates",
    question="Which?",
    recipe=recipe,
    axes={"rate": Choice((0.1, 0.2))},
    rows=(Row(name="constant", title="constant", recipe=constant, baseline=True),),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def publish(store: Store, stage: Stage, seconds: float = 1.0) -> Path:
    with store.claim(key(stage)) as folder:
        return store.publish(stage, folder, seconds)


def planned(store: Store, trials: tuple[Trial, ...] | None = None) -> Plan:
    return make_plan(STUDY.trials(3) if trials is None else trials, store)


def test_a_fresh_plan_counts_distinct_and_shared_stages(store: Store):
    plan = planned(store)
    assert len(plan.stages) == 3 + 2 * 2 + 1
    assert len(plan.shared) == 3
    assert plan.num_unshared == 5 + 5 + 2
    assert list(plan.missing) == list(plan.stages)
    assert not plan.cached
    assert plan.expected_seconds == 3 * 10 + 2 * (100 + 10) + 10
    assert plan.unshared_seconds == 2 * (30 + 100 + 10) + 20
    by_type = {record["type"]: record for record in plan.by_type()}
    assert by_type["Clip"] == {"type": "Clip", "stages": 3, "shared": 3, "cached": 0, "missing": 3, "seconds": 30.0}
    assert by_type["Score"]["stages"] == 3


def test_users_name_the_trials_that_need_a_stage(store: Store):
    plan = planned(store)
    assert plan.users[key(Clip(name="0"))] == (0, 1, 2)
    assert plan.users[key(Clip(name="1"))] == (0, 1)


def test_a_cached_stage_is_not_missing(store: Store):
    publish(store, Clip(name="1"))
    plan = planned(store)
    assert plan.cached == {key(Clip(name="1"))}
    assert key(Clip(name="1")) not in plan.missing
    assert len(plan.missing) == len(plan.stages) - 1


def test_a_cached_final_stage_makes_its_inputs_unneeded(store: Store):
    trials = STUDY.trials(3, only=["0.1"])
    publish(store, trials[0].stage)
    plan = planned(store, trials)
    assert plan.missing == ()
    assert plan.expected_seconds == 0
    assert len(plan.stages) == 5


def test_an_input_that_another_trial_needs_is_still_missing(store: Store):
    trials = STUDY.trials(3)
    publish(store, trials[0].stage)
    missing = [planned(store).stages[k] for k in planned(store).missing]
    assert [type(stage).__name__ for stage in missing] == ["Clip", "Clip", "Clip", "Train", "Score", "Score"]


def test_estimates_follow_what_was_measured_by_the_median(store: Store):
    for name, seconds in (("x", 5.0), ("y", 20.0), ("z", 1000.0)):
        publish(store, Clip(name=name), seconds)
    plan = planned(store)
    assert {type(plan.stages[k]).__name__ for k in plan.measured} == {"Clip"}
    assert plan.seconds[key(Clip(name="0"))] == 20.0
    assert plan.seconds[key(STUDY.trials(3)[0].stage)] == 10.0


def test_small_stages_say_nothing_of_ones_ten_times_as_long(store: Store, monkeypatch: pytest.MonkeyPatch):
    publish(store, Clip(name="x"), 20.0)
    long = Clip.expected_seconds(Clip(name="x")) * 11
    monkeypatch.setattr(Clip, "expected_seconds", lambda clip: long)
    plan = planned(store)
    assert not plan.measured
    assert plan.seconds[key(Clip(name="0"))] == long


def change_recorded_source(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sources"] = dict.fromkeys(manifest["sources"], "0123")
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_a_changed_source_without_a_new_revision_is_noted_once_per_class(store: Store):
    for name in ("0", "1"):
        change_recorded_source(publish(store, Clip(name=name)))
    ((name, count),) = planned(store).changed_sources.items()
    assert name.endswith(".Clip")
    assert count == 2


def test_an_unchanged_source_is_not_noted(store: Store):
    publish(store, Clip(name="0"))
    assert planned(store).changed_sources == {}


def test_a_changed_source_of_stages_that_are_not_in_the_plan_is_not_noted(store: Store):
    change_recorded_source(publish(store, Clip(name="elsewhere")))
    assert planned(store).changed_sources == {}


def test_equal_trials_are_computed_once(store: Store):
    plan = planned(store, STUDY.trials(3, seeds=(0, 1)))
    assert len(plan.trials) == 6
    assert len(plan.stages) == 8
    assert plan.users[key(plan.trials[0].stage)] == (0, 3)


def test_a_damaged_manifest_matters_only_to_who_needs_the_stage(store: Store):
    (publish(store, Clip(name="elsewhere")) / MANIFEST).write_text("{")
    assert len(planned(store).missing) == 8
    (publish(store, Clip(name="0")) / MANIFEST).write_text("{")
    with pytest.raises(MachineError, match=r"manifest\.json is damaged"):
        planned(store)


def test_stages_of_their_own_are_planned_like_trials(store: Store):
    plan = make_plan(standalone([Clip(name="0"), Clip(name="1")]), store)
    assert len(plan.missing) == 2
    assert [trial.row.name for trial in plan.trials] == ["Clip", "Clip"]


def test_stages_that_another_version_of_a_library_computed_are_noted(store: Store):
    folders = [publish(store, Clip(name=name)) for name in ("0", "1")]
    assert planned(store).warnings == ()
    manifest = json.loads((folders[0] / MANIFEST).read_text())
    assert manifest["versions"].pop("decoder") == "2"
    manifest["versions"]["decoder"] = "1"
    (folders[0] / MANIFEST).write_text(json.dumps(manifest))
    (warning,) = planned(store).warnings
    assert warning.startswith(
        "1 of 2 finished stages Clip were computed by decoder 1, which is not the 2 of this machine: `freelunch remove"
    )
