from dataclasses import fields, replace
from pathlib import Path

import pytest

import study.cli.planning
from search_spaces.protocol.differences import ALL_NAMES, DIFFERENCES, Difference, with_differences
from search_spaces.protocol.presets import PRESETS, Preset
from search_spaces.protocol.selection_notes import selection_notes
from search_spaces.recipes import distilled, distilled_with_difference
from search_spaces.studies.catalogue import STUDIES
from study.cli.planning import PlannedStudy
from study.core.graph import key, walk
from study.core.plan import Plan, make_plan
from study.core.store import Store
from study.core.study import equal_row_notes
from study.home.request import Request
from tests.search_spaces.fake_dataset import conditions
from trainers.ssl.encoders import EncoderStage
from trainers.stage import Stage

ATTRIBUTION = STUDIES["attribution"]
CORRECTED, AUTHORS = PRESETS["corrected"], PRESETS["official_code"]
AFTER_PRETRAINING = (
    "fine-tuning",
    "input",
    "temporal-stages",
    "dropout",
    "optimiser",
    "selection",
    "length",
    "window",
    "deviation",
)


def preset_values(preset: Preset) -> dict[str, object]:
    return {
        each.name: getattr(preset, each.name) for each in fields(Preset) if each.name not in ("name", "description")
    }


def differing_fields() -> list[str]:
    ours, theirs = preset_values(CORRECTED), preset_values(AUTHORS)
    return sorted(name for name in ours if ours[name] != theirs[name])


def test_every_field_in_which_the_presets_differ_belongs_to_exactly_one_difference():
    assert sorted(name for each in DIFFERENCES for name in each.fields) == differing_fields()


def test_differences_are_named_once_and_the_names_are_those_that_can_be_set():
    assert tuple(each.name for each in DIFFERENCES) == ALL_NAMES
    assert len({*ALL_NAMES}) == len(ALL_NAMES)


def test_all_differences_together_are_the_authors_preset():
    assert preset_values(with_differences(CORRECTED, ALL_NAMES)) == preset_values(AUTHORS)
    assert with_differences(CORRECTED, ()) == CORRECTED


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda each: each.name)
def test_a_difference_replaces_its_own_fields_and_no_other(difference: Difference):
    ours, theirs = preset_values(CORRECTED), preset_values(AUTHORS)
    expected = {name: theirs[name] if name in difference.fields else ours[name] for name in ours}
    assert preset_values(with_differences(CORRECTED, [difference.name])) == expected


@pytest.mark.parametrize("scale", ["demo", "full"])
def test_all_differences_give_the_stages_of_the_authors_code_and_none_those_of_corrected(scale: str):
    here, authors = conditions(scale), conditions(scale, "official_code")
    for seed in (0, 1):
        ours = walk(distilled_with_difference(here, seed=seed)).keys()
        theirs = walk(distilled_with_difference(here, seed=seed, difference="all")).keys()
        assert ours == walk(distilled(here, seed=seed)).keys()
        assert theirs == walk(distilled(authors, seed=seed)).keys()


def test_settings_reach_the_student_beside_a_difference():
    here = conditions()
    set_here = distilled_with_difference(here, seed=0, difference="all", momentum=0.5, label_fraction=0.5)
    authors = distilled(conditions(preset="official_code"), seed=0, momentum=0.5, label_fraction=0.5)
    assert key(set_here) == key(authors)


def planned(tmp_path, scale: str = "demo") -> tuple[Plan, dict[str, Stage]]:
    plan = make_plan(ATTRIBUTION.trials(conditions(scale)), Store(tmp_path))
    return plan, {trial.row.name: trial.stage for trial in plan.trials}


def encoders_of(stage: Stage) -> set[str]:
    return {stage_key for stage_key, each in walk(stage).items() if isinstance(each, EncoderStage)}


def test_differences_after_pre_training_share_it_with_the_row_of_none(tmp_path):
    plan, last = planned(tmp_path, "full")
    sharing = {name for name in last if encoders_of(last[name]) == encoders_of(last["none"])}
    assert sharing == {"none", *AFTER_PRETRAINING}
    students = [each for each in plan.stages.values() if each.kind.split()[-1] in ("DistilledMoCo", "AuthorsStudent")]
    assert len(students) == len(last) - len(AFTER_PRETRAINING)


def test_differences_of_evaluation_alone_add_one_stage_each(tmp_path):
    _, last = planned(tmp_path)
    for name in ("window", "deviation"):
        added = [each.kind for k, each in walk(last[name]).items() if k not in walk(last["none"])]
        assert len(added) == 1, added
        assert "Evaluate" in added[0]


def test_every_difference_makes_a_trial_of_its_own_where_the_scale_leaves_it_one(tmp_path):
    _, last = planned(tmp_path, "full")
    assert len({key(stage) for stage in last.values()}) == len(last)


def test_rows_that_are_one_trial_at_a_scale_are_named():
    assert equal_row_notes(ATTRIBUTION.trials(conditions("demo"), seeds=(0, 1))) == (
        "Rows none and precision are one and the same here: nothing tells their trials apart.",
    )
    assert equal_row_notes(ATTRIBUTION.trials(conditions("full"))) == ()
    assert equal_row_notes(STUDIES["table3"].trials(conditions())) == ()
    (note,) = equal_row_notes(ATTRIBUTION.trials(conditions(preset="official_code")))
    assert note.startswith("Rows none, temperature, ")


def test_rows_that_choose_on_test_videos_are_named():
    here = conditions()
    assert selection_notes(here, ATTRIBUTION.trials(here)) == (
        "Rows selection and all are selected on test: epochs are chosen on the videos that are tested, which flatters "
        "the result.",
    )
    (note,) = selection_notes(here, ATTRIBUTION.trials(here, only=("none", "selection")))
    assert note.startswith("Row selection is selected on test: ")


def test_plan_and_report_say_which_rows_are_selected_on_test_and_the_report_which_are_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(study.cli.planning, "conditions_of", lambda store, request: conditions())
    planned = PlannedStudy(tmp_path / "home", Request(study="attribution", scale="demo"))
    told = planned.context(planned.parts[0])["notes"]
    selected = "Rows selection and all are selected on test: "
    assert any(note.startswith(selected) for note in planned.notes(planned.parts))
    assert selected in told
    assert "Rows none and precision are one and the same here" in told


@pytest.mark.parametrize("preset", PRESETS)
def test_other_studies_need_no_note_of_what_their_preset_says_of_itself(preset: str):
    here = conditions(preset=preset)
    for name in ("table1", "table3", "losses"):
        assert selection_notes(here, STUDIES[name].trials(here)) == ()


def test_another_preset_takes_the_differences_on_top_of_its_own():
    paper = conditions(preset="paper")
    changed = replace(paper, preset=replace(paper.preset, temperature=0.2))
    assert key(distilled_with_difference(paper, seed=0, difference="temperature")) == key(distilled(changed, seed=0))
