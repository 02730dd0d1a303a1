from dataclasses import replace
from pathlib import Path

import pytest

import study.cli.planning
from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.queue_notes import queue_notes
from search_spaces.studies.catalogue import STUDIES
from study.cli.planning import PlannedStudy
from study.home.request import Request
from tests.search_spaces.fake_dataset import conditions

TABLE1, TABLE3 = STUDIES["table1"], STUDIES["table3"]
SMALL = {"batch_size": "8", "student_epochs": "200"}


def of_frames(num_frames: int) -> Conditions:
    """Conditions of which a trial trains on this number of frames."""
    found = conditions()
    num_training = len(found.videos().train)
    assert num_frames % num_training == 0
    each = num_frames // num_training * found.sample_every(found.training_fps)
    recordings = tuple(replace(recording, num_frames=each) for recording in found.dataset.recordings)
    return replace(found, dataset=replace(found.dataset, recordings=recordings))


def notes_of(here: Conditions, queue_size: int, *rows: str) -> tuple[str, ...]:
    settings = {**SMALL, "queue_size": str(queue_size)}
    return queue_notes(here, TABLE3.trials(here, settings=settings, only=rows or ("head",)))


def test_one_epoch_fills_the_queue_in_the_singular():
    settings = {**SMALL, "queue_size": "65536", "teacher_epochs": "1"}
    teacher, _ = queue_notes(of_frames(24), TABLE3.trials(of_frames(24), settings=settings, only=("head",)))
    assert "and 1 epoch fills 24 of its places" in teacher


def test_a_queue_longer_than_the_data_set_says_how_often_a_frame_is_its_own_negative():
    teacher, student = notes_of(of_frames(24), 65536)
    assert student == (
        "queue_size 65536 of Pretrain DistilledMoCo is more than its 24 frames: every frame is 2,730.7 times among its "
        "own negatives in a full queue, and 200 epochs fill 4,800 of its places. Lower queue_size, or add videos."
    )
    assert teacher.startswith("queue_size 65536 of Pretrain MoCo is more than its 24 frames: ")


def test_a_queue_that_the_epochs_fill_says_only_the_times():
    assert any(
        "every frame is 2.0 times among its own negatives once the queue is full" in note
        for note in notes_of(of_frames(24), 48)
    )


def test_a_queue_as_long_as_the_data_set_needs_no_note():
    assert notes_of(of_frames(24), 24) == ()
    assert notes_of(conditions(), 1024) == ()


def test_rows_and_seeds_that_share_a_queue_share_a_note():
    here = of_frames(24)
    trials = TABLE3.trials(here, seeds=range(3), settings={**SMALL, "queue_size": "48"}, only=("head",))
    assert len(queue_notes(here, trials)) == len(notes_of(here, 48))


def test_the_embeddings_that_swav_keeps_are_no_negatives():
    here = of_frames(128)
    (note,) = (note for note in queue_notes(here, TABLE1.trials(here)) if "SwAV" in note)
    assert (
        "256 of Pretrain SwAV is more than its 128 frames: every frame is 2.0 times among the earlier embeddings"
        in note
    )


def test_frames_whose_number_is_not_known_are_not_judged():
    here = of_frames(24)
    unknown = tuple(replace(recording, num_frames=0) for recording in here.dataset.recordings)
    assert notes_of(replace(here, dataset=replace(here.dataset, recordings=unknown)), 65536) == ()


def test_a_check_says_nothing_of_its_short_pass():
    assert notes_of(replace(of_frames(48), brief=True), 65536) == ()


def test_plan_and_report_show_the_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    here = of_frames(24)
    monkeypatch.setattr(study.cli.planning, "conditions_of", lambda store, request: here)
    request = Request(study="table3", scale="demo", settings={**SMALL, "queue_size": "65536"}, rows=("head",))
    planned = PlannedStudy(tmp_path / "home", request)
    said = "every frame is 2,730.7 times among its own negatives"
    assert any(said in note for note in planned.notes(planned.parts))
    assert said in planned.context(planned.parts[0])["notes"]
