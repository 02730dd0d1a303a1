from collections.abc import Container
from dataclasses import replace
from pathlib import Path

import pytest

import study.cli.planning
from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.label_notes import label_notes
from search_spaces.protocol.presets import SplitName
from search_spaces.protocol.weights_notes import start_notes
from search_spaces.studies.catalogue import STUDIES
from study.cli.planning import PlannedStudy
from study.home.request import Request
from tests.search_spaces.fake_dataset import ANNOTATION, conditions
from trainers.stage import InputError

FIG3 = STUDIES["fig3"]
TRAINING = 16


OWN = """
from search_spaces.recipes import distilled
from study import Row, Study

def percent(conditions, *, seed, label_fraction: float):
    return distilled(conditions, seed=seed, label_fraction=label_fraction / 100)

def word(conditions, *, seed, label_fraction: str):
    return distilled(conditions, seed=seed, label_fraction={"half": 0.5}[label_fraction])

def listed(conditions, *, seed, label_fraction: float, split: list):
    return distilled(conditions, seed=seed, label_fraction=label_fraction, split=split[0])

def frames(conditions, *, seed, label_fraction: float):
    return distilled(conditions, seed=seed)

def handed_on(conditions, *, seed, label_fraction: float):
    return distilled(conditions, seed=seed, label_fraction=label_fraction)

def asked(recipe, **parameters):
    rows = (Row(name="a", title="a", parameters=parameters),)
    return Study(name=recipe.__name__, title="?", question="?", recipe=recipe, rows=rows)

percent = asked(percent, label_fraction=50)
word = asked(word, label_fraction="half")
listed = asked(listed, label_fraction=0.5, split=["selection"])
frames = asked(frames, label_fraction=0.125)
handed_on = asked(handed_on, label_fraction=0.125)
"""


def showing_the_last_phase(tmp_path: Path, numbers: Container[int]) -> Conditions:
    """Videos of which some show the last phase."""
    found = conditions(num_videos=40)
    lines = ANNOTATION.read_text().splitlines()
    short = tmp_path / "short.txt"
    short.write_text("\n".join(line for line in lines if "Retraction" not in line) + "\n")
    recordings = tuple(
        recording if number in numbers else replace(recording, annotation=str(short))
        for number, recording in enumerate(found.dataset.recordings)
    )
    return replace(found, dataset=replace(found.dataset, recordings=recordings))


@pytest.fixture
def here(tmp_path: Path) -> Conditions:
    return showing_the_last_phase(tmp_path, range(0, 40, 5))


def taken(here: Conditions, fraction: float, seed: int, split: SplitName | None = None) -> int:
    return len(here.label_draw(seed, fraction, split).videos)


def test_a_fraction_that_takes_more_than_it_asks_for_is_said_once_however_many_methods_use_it(here: Conditions):
    seed = next(seed for seed in range(20) if taken(here, 0.125, seed) > 2)
    trials = FIG3.trials(here, seeds=(seed,), only=("ours-12.5", "scratch-12.5", "ours-100"))
    assert label_notes(here, trials) == (
        f"label_fraction 0.125 takes {taken(here, 0.125, seed)} of {TRAINING} training videos with seed {seed} "
        "instead of 2: fewer would leave a phase without a video.",
    )


def test_what_is_not_raised_is_not_said(here: Conditions):
    seed = next(seed for seed in range(20) if taken(here, 0.125, seed) == 2)
    assert label_notes(here, FIG3.trials(here, seeds=(seed,))) == ()
    everything = conditions(num_videos=40)
    assert label_notes(everything, FIG3.trials(everything, seeds=range(5))) == ()


def test_seeds_share_a_sentence_and_those_that_take_as_many_are_named_together(here: Conditions):
    seeds = range(12)
    (note,) = label_notes(here, FIG3.trials(here, seeds=seeds, only=("ours-12.5",)))
    by_count = {count: [s for s in seeds if taken(here, 0.125, s) == count] for count in range(3, TRAINING + 1)}
    raised = {count: found for count, found in by_count.items() if found}
    assert len(raised) > 1
    assert note.endswith(f" of {TRAINING} training videos instead of 2: fewer would leave a phase without a video.")
    for count, found in raised.items():
        told = f"{count} (seed{'s' if len(found) > 1 else ''} {', '.join(map(str, found))})"
        assert told in note or len(found) > 2


def test_every_fraction_has_its_sentence_the_smallest_first(here: Conditions):
    seed = next(seed for seed in range(50) if taken(here, 0.25, seed) > 4)
    first, second = label_notes(here, FIG3.trials(here, seeds=(seed,), only=("ours-25", "ours-12.5")))
    assert first.startswith("label_fraction 0.125 takes ")
    assert second.startswith("label_fraction 0.25 takes ")


def test_a_fraction_fixed_for_all_rows_and_another_split_are_seen_too(here: Conditions):
    settings = {"label_fraction": "0.125", "split": "official"}
    seed = next(seed for seed in range(20) if taken(here, 0.125, seed, "official") > 3)
    (note,) = label_notes(here, STUDIES["table3"].trials(here, seeds=(seed,), settings=settings))
    assert f" of 20 training videos with seed {seed} instead of 3: " in note


def test_three_neighbouring_seeds_that_take_as_many_are_a_range(here: Conditions):
    first = next(
        seed
        for seed in range(300)
        if taken(here, 0.125, seed) == taken(here, 0.125, seed + 1) == taken(here, 0.125, seed + 2) > 2
    )
    (note,) = label_notes(here, FIG3.trials(here, seeds=range(first, first + 3), only=("ours-12.5",)))
    assert f" training videos with seeds {first} to {first + 2} instead of 2: " in note


def test_a_report_shows_the_notes_of_the_trials_it_is_about(
    here: Conditions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(study.cli.planning, "conditions_of", lambda store, request: here)
    planned = PlannedStudy(tmp_path / "home", Request(study="fig3", scale="demo", dataset="theirs", seeds=8))
    (part,) = planned.parts
    raised = label_notes(here, part.trials)
    assert raised
    starts = start_notes(here, part.trials)
    assert planned.context(part)["notes"] == "\n".join((*here.notes, *starts, *raised))
    assert planned.notes(planned.parts) == (*here.notes, *starts, *raised)
    whole = replace(part, trials=tuple(trial for trial in part.trials if trial.row.name == "ours-100"))
    assert planned.context(whole)["notes"] == "\n".join((*here.notes, *starts))


def own_notes(here: Conditions, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """What a plan of a user's study says of label fractions."""
    file = folder / "own.py"
    file.write_text(OWN)
    monkeypatch.setattr(study.cli.planning, "conditions_of", lambda store, request: here)
    planned = PlannedStudy(folder / "home", Request(study=f"{file}:{name}", scale="demo", dataset="theirs", seeds=20))
    others = {*here.notes, *start_notes(here, planned.trials)}
    return tuple(note for note in planned.notes(planned.parts) if note not in others)


@pytest.mark.parametrize("name", ["percent", "word", "listed", "frames"])
def test_a_label_fraction_that_means_another_thing_is_neither_refused_nor_said(
    here: Conditions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    assert any(taken(here, 0.125, seed) > 2 for seed in range(20)), "as a share of the videos it would be raised"
    assert own_notes(here, tmp_path, name, monkeypatch) == ()


def test_a_label_fraction_that_means_another_thing_may_leave_a_phase_without_a_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    nowhere = showing_the_last_phase(tmp_path, ())
    with pytest.raises(InputError, match=r"label_fraction 0\.125 leaves phase GallbladderRetraction without a video"):
        own_notes(nowhere, tmp_path, "handed_on", monkeypatch)
    assert own_notes(nowhere, tmp_path, "frames", monkeypatch) == ()


def test_a_label_fraction_that_is_handed_on_to_a_recipe_of_this_repository_is_noted(
    here: Conditions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (note,) = own_notes(here, tmp_path, "handed_on", monkeypatch)
    assert note.startswith("label_fraction 0.125 takes ")


def test_what_goes_wrong_in_a_note_on_a_study_of_ones_own_is_a_sentence(
    here: Conditions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fails(conditions: Conditions, trials: object) -> tuple[str, ...]:
        raise TypeError("'<' not supported")

    monkeypatch.setattr(study.cli.planning, "TRIAL_NOTES", (fails,))
    with pytest.raises(InputError, match=r"own\.py: study frames: TypeError: '<' not supported"):
        own_notes(here, tmp_path, "frames", monkeypatch)


def test_the_refusal_of_a_phase_that_no_training_video_shows_can_be_followed(tmp_path: Path):
    nowhere, half = showing_the_last_phase(tmp_path, ()), {"label_fraction": "0.5"}
    for study_name, settings in (("fig3", {}), ("table3", half)):
        with pytest.raises(InputError, match=r"--set label_fraction=1 or, in a study that varies it, with --row for"):
            STUDIES[study_name].trials(nowhere, settings=settings)
    assert STUDIES["table3"].trials(nowhere, settings={"label_fraction": "1"})
    with pytest.raises(InputError, match="label_fraction is what study fig3 varies: choose its rows with --row"):
        FIG3.trials(nowhere, settings={"label_fraction": "1"})
    at_one = [row.name for row in FIG3.all_rows() if row.parameters["label_fraction"] == 1]
    assert len(FIG3.trials(nowhere, only=at_one)) == len(at_one) > 0
