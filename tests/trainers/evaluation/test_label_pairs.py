"""Folders of predictions and annotations in the usual formats, and what is refused of them."""

from pathlib import Path

import numpy as np
import pytest

from tests.trainers.evaluation.label_cases import PHASES, frame_rows, intervals, names_alone, numbers, table, write
from trainers.artifacts.predictions import VideoPredictions
from trainers.evaluation.label_folder import label_folder
from trainers.evaluation.label_pairs import put_together, read_annotations, read_predictions
from trainers.evaluation.phase_names import PhaseNames
from trainers.stage import InputError

NAMES = PhaseNames(names=PHASES, first_number=0)
TRUTH = [0, 0, 0, 1, 1, 1, 1, 2, 2, 3]
PREDICTED = [0, 0, 1, 1, 1, 1, 2, 2, 2, 3]
SAME_AS_FRAME_ROWS = {
    "video01-phase.txt": frame_rows(PREDICTED),
    "video01.txt": frame_rows(PREDICTED, step=25),
    "video01_pred.txt": frame_rows(PREDICTED, first=1),
    "video01-predictions.txt": frame_rows(PREDICTED, header=""),
    "video01.csv": table(PREDICTED, "frame,phase,score", "{k},{phase},0.9"),
    "video01_pred.csv": table(PREDICTED, "Frame;Prediction", "{k};{phase}"),
    "video01_phase.csv": table(PREDICTED, "prediction", "{phase}"),
    "video01-pred.csv": table(PREDICTED, ",phase", "{k},{phase}"),
    "video01_prediction.csv": table(PREDICTED, "phase,prediction", "Preparation,{phase}"),  # the truth is there, too
    "video01.tsv": table(PREDICTED, "second\tlabel", "{k}\t{phase}"),
    "video01_label.TXT": table(PREDICTED, "time,pred", "00:00:0{k}.0,{phase}"),
    "video01_labels.txt": names_alone(PREDICTED),
    "video01_phases.txt": numbers(PREDICTED),
    "video01-labels.csv": intervals(PREDICTED, 1),
    "video01_gt.txt": frame_rows(PREDICTED).replace("\t", "  ").replace("\n", "\r\n"),
}


def together(
    root: Path, fps: float, names: PhaseNames = NAMES, rows_per_second: float | None = None
) -> tuple[list[VideoPredictions], list[str]]:
    annotated, predicted = label_folder(root / "gt", "annotations"), label_folder(root / "pred", "predictions")
    predictions = read_predictions(predicted, sorted(predicted.files), names, fps)
    truth = read_annotations(annotated, predictions, names, rows_per_second=rows_per_second)
    return put_together(predictions, truth)


@pytest.mark.parametrize("name", SAME_AS_FRAME_ROWS)
def test_predictions_in_every_usual_format_are_the_same(tmp_path: Path, name: str) -> None:
    write(tmp_path / "pred", name, SAME_AS_FRAME_ROWS[name])
    write(tmp_path / "gt", "video01-phase.txt", frame_rows(TRUTH))
    [video], notes = together(tmp_path, 1)
    assert video.video == "video01"
    assert video.prediction.tolist() == PREDICTED
    assert video.truth.tolist() == TRUTH
    assert notes == []


@pytest.mark.parametrize("name", sorted(SAME_AS_FRAME_ROWS.keys() - {"video01_prediction.csv"}))
def test_annotations_in_every_usual_format_are_the_same(tmp_path: Path, name: str) -> None:
    write(tmp_path / "gt", name, SAME_AS_FRAME_ROWS[name].replace("prediction", "truth"))
    write(tmp_path / "pred", "video01.txt", frame_rows(TRUTH))
    [video], _ = together(tmp_path, 1)
    assert video.truth.tolist() == PREDICTED


@pytest.mark.parametrize("fps", [1, 5, 25, 29.97, 12.5])
def test_annotations_at_25_rows_per_second_are_read_at_the_time_of_each_prediction(tmp_path: Path, fps: float) -> None:
    rows = np.repeat(TRUTH, 50)
    at = [rows[min(int(k / fps * 25 + 1e-6), len(rows) - 1)] for k in range(int(20 * fps))]
    write(tmp_path / "gt", "video01-phase.txt", frame_rows(rows.tolist()))
    write(tmp_path / "pred", "video01.txt", frame_rows([int(label) for label in at]))
    [video], _ = together(tmp_path, fps)
    assert video.truth.tolist() == at


def test_a_rate_that_is_given_is_taken_and_not_guessed(tmp_path: Path) -> None:
    write(tmp_path / "gt", "video01.txt", frame_rows(np.repeat(TRUTH, 50).tolist()))
    write(tmp_path / "pred", "video01.txt", frame_rows(TRUTH))
    [video], _ = together(tmp_path, 1, rows_per_second=50)
    assert video.truth.tolist() == TRUTH
    with pytest.raises(
        InputError, match=r"500 annotated rows, 20 s at 25 rows per second or 500 s at 1 rows per second"
    ):
        together(tmp_path, 1)


def test_lengths_that_differ_by_a_row_are_cut_and_named_and_by_more_refused_with_both_numbers(tmp_path: Path) -> None:
    write(tmp_path / "gt", "video01.txt", frame_rows([0, 0, 1, 1, 2, 2]))
    write(tmp_path / "pred", "video01.txt", frame_rows([0, 0, 1, 1, 2]))
    [video], notes = together(tmp_path, 1)
    assert (len(video.truth), len(video.prediction)) == (5, 5)
    assert notes == ["video01: 5 predictions but 6 annotated rows, both cut to 5."]
    write(tmp_path / "pred", "video01.txt", frame_rows([0, 0, 1, 1]))
    with pytest.raises(InputError, match=r"6 annotated rows.*has 4 predictions, 4 s at --fps 1"):
        together(tmp_path, 1)


def test_a_second_of_rows_is_tolerated_at_any_rate(tmp_path: Path) -> None:
    write(tmp_path / "gt", "video01.txt", frame_rows([0] * 100))
    for length, refused in ((75, False), (125, False), (74, True), (126, True)):
        write(tmp_path / "pred", "video01.txt", frame_rows([0] * length))
        if refused:
            with pytest.raises(InputError, match=f"has {length} predictions"):
                together(tmp_path, 25)
        else:
            assert len(together(tmp_path, 25)[0][0].truth) == min(length, 100)


def test_holes_of_an_annotation_are_rows_without_a_label_and_are_counted_in_a_note(tmp_path: Path) -> None:
    write(tmp_path / "gt", "video01.csv", "start,end,phase\n1,3,Preparation\n4,6,ClippingCutting\n")
    write(tmp_path / "pred", "video01.txt", frame_rows(TRUTH))
    [video], notes = together(tmp_path, 1)
    assert video.truth.tolist() == [-1, 0, 0, -1, 2, 2, -1, -1, -1, -1]
    assert notes == ["video01: 6 of 10 rows have no label and do not count."]


def test_rows_that_say_unlabelled_have_no_label(tmp_path: Path) -> None:
    write(tmp_path / "gt", "video01.txt", frame_rows([0, 1, 2, 3]).replace(PHASES[2], "unlabelled"))
    write(tmp_path / "pred", "video01.txt", frame_rows([0, 1, 2, 3]))
    [video], _ = together(tmp_path, 1)
    assert video.truth.tolist() == [0, 1, -1, 3]


def test_numbers_count_from_what_the_file_of_names_says(tmp_path: Path) -> None:
    write(tmp_path / "gt", "video01.txt", frame_rows(TRUTH))
    write(tmp_path / "pred", "video01.txt", numbers(PREDICTED, first=1))
    [video], _ = together(tmp_path, 1, PhaseNames(names=PHASES, first_number=1))
    assert video.prediction.tolist() == PREDICTED


GOOD = frame_rows(TRUTH)
REFUSED = {
    "a number where only names count": (numbers(PREDICTED), r"video01.txt:2 has the number 0 for a phase"),
    "an unknown phase": (
        GOOD.replace("ClippingCutting", "Cliping"),
        r"video01.txt:9 names the unknown phase 'Cliping'",
    ),
    "a missing row": (GOOD.replace("4\tCalotTriangleDissection\n", ""), r"video01.txt:6 comes after a hole"),
    "a row twice": (GOOD.replace("4\tC", "3\tC"), r"video01.txt:6 is not later than the row before it"),
    "a start in the middle": (frame_rows(TRUTH, first=7), r"video01.txt:2 begins with '7'"),
    "no rows": ("Frame\tPhase\n", r"video01.txt has no rows below its header"),
    "nothing": ("", r"video01.txt is empty"),
    "no column of phases": (
        "frame,score,other\n0,0.5,1\n",
        r"video01.txt:1 reads 'frame, score, other', without a col",
    ),
    "columns without names": ("0,1,2,3\n", r"video01.txt:1 reads '0, 1, 2, 3': give rows of frame and phase"),
    "another rate": ("second,phase\n0,Preparation\n2,Preparation\n", r"has 0.5 rows per second, but --fps is 1"),
    "a row without a phase": (GOOD.replace("3\tCalotTriangleDissection", "3\tunlabelled"), r"has no phase in row 4"),
    "a name that is no header": ("Prepare\nPreparation\n", r"video01.txt:1 names the unknown phase 'Prepare'"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_malformed_predictions_are_refused_with_file_and_line(tmp_path: Path, what: str) -> None:
    text, message = REFUSED[what]
    write(tmp_path / "gt", "video01.txt", GOOD)
    write(tmp_path / "pred", "video01.txt", text)
    with pytest.raises(InputError, match=message):
        together(tmp_path, 1, PhaseNames(names=PHASES))


def test_an_annotation_without_any_label_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "gt", "video01.txt", "0\tunlabelled\n1\tunlabelled\n")
    write(tmp_path / "pred", "video01.txt", frame_rows([0, 0]))
    with pytest.raises(InputError, match=r"video01.txt labels no row of video01"):
        together(tmp_path, 1)
