from dataclasses import replace
from pathlib import Path

import pytest

import study.cli.session
from search_spaces.catalogue import STUDIES
from search_spaces.conditions import Conditions
from search_spaces.label_notes import label_notes
from study.cli.session import Session
from study.request import Request
from tests.search_spaces.fake_dataset import ANNOTATION, conditions

FIG3 = STUDIES["fig3"]
TRAINING = 16


def showing_the_last_phase(tmp_path: Path, *, every: int) -> Conditions:
    """Videos of which the first, and every so many after it, show the last phase."""
    found = conditions(num_videos=40)
    lines = ANNOTATION.read_text().splitlines()
    short = tmp_path / "short.txt"
    short.write_text("\n".join(line for line in lines if "Retraction" not in line) + "\n")
    recordings = tuple(
        recording if number % every == 0 else replace(recording, annotation=str(short))
        for number, recording in enumerate(found.dataset.recordings)
    )
    return replace(found, dataset=replace(found.dataset, recordings=recordings))


@pytest.fixture
def here(tmp_path: Path) -> Conditions:
    return showing_the_last_phase(tmp_path, every=5)


def taken(here: Conditions, fraction: float, seed: int) -> int:
    return len(here.having(label_fraction=fraction).labelled_videos(seed))


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
    official = here.having(split="official")
    seed = next(seed for seed in range(20) if taken(official, 0.125, seed) > 3)
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
    monkeypatch.setattr(study.cli.session, "conditions_of", lambda store, request: here)
    session = Session(tmp_path / "home", Request(study="fig3", scale="demo", seeds=8))
    (part,) = session.parts
    raised = label_notes(here, part.trials)
    assert raised
    assert session.context(part)["notes"] == " ".join((*here.notes, *raised))
    assert session.notes(session.trials) == (*here.notes, *raised)
    whole = replace(part, trials=tuple(trial for trial in part.trials if trial.row.name == "ours-100"))
    assert session.context(whole)["notes"] == " ".join(here.notes)
