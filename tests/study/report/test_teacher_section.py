"""Free models as teachers in a report: points, sentences, figure and table, of complete and partial results."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.axes import Axes

from study import Row, Study, Teacher
from study.analysis.paired_tests import Comparison
from study.analysis.results import Results
from study.report.document import Paragraph, Picture, Section, Table
from study.report.figures.teachers import teachers_figure
from study.report.study_report import write_report
from study.report.teacher_points import teacher_points, teacher_sentences
from study.report.teacher_section import teacher_section
from tests.study.report.figures.test_curve import results
from tests.study.small_study import CONTEXT, compute, public, student
from trainers.stage import InputError


def teacher(name: str, gflops: float) -> Teacher:
    return Teacher(title=name, origin=f"{name} of somebody", gflops=gflops, alone=f"{name} alone")


TAUGHT = Study(
    name="taught",
    title="Who teaches best?",
    question="Who teaches best?",
    recipe=student,
    rows=(
        Row(name="nobody", title="nobody", parameters={"teacher": "none"}),
        Row(name="small", title="small teaches", teacher=teacher("small", 0.5)),
        Row(name="large", title="large teaches", parameters={"teacher": "all"}, teacher=teacher("large", 20.0)),
        Row(name="small alone", title="small alone", recipe=public, baseline=True),
        Row(name="large alone", title="large alone", recipe=public, baseline=True),
    ),
    reference="nobody",
)
COMPLETE = {"nobody": (70.0,), "small": (75.0,), "large": (74.9,), "small alone": (60.0,), "large alone": (66.0,)}


def labels(axes: Axes) -> list[str]:
    return [text.get_text().strip() for text in axes.texts]


def shown(found: Results) -> tuple[Paragraph, Picture, Table]:
    (section,) = teacher_section(found, {})
    assert isinstance(section, Section)
    paragraph, picture, table = section.blocks
    assert isinstance(paragraph, Paragraph)
    assert isinstance(picture, Picture)
    assert isinstance(table, Table)
    return paragraph, picture, table


def test_the_best_student_the_best_features_and_the_highest_cost_are_named():
    assert teacher_sentences(results(TAUGHT, COMPLETE)) == [
        "Best student: that of small (75.0). Best features of its own: large (66.0). Highest cost: large (20·10⁹ "
        "multiply-adds per frame)."
    ]


def test_both_panels_show_every_teacher_with_its_label_and_its_students_accuracy():
    own, costs = teachers_figure(results(TAUGHT, COMPLETE)).axes
    assert sorted(labels(own)) == sorted(labels(costs)) == ["large", "small"]
    drawn = {(line.get_xdata()[0], line.get_ydata()[0]) for line in own.lines if line.get_marker() == "o"}  # type: ignore[index]
    assert drawn == {(60.0, 75.0), (66.0, 74.9)}
    drawn = {(line.get_xdata()[0], line.get_ydata()[0]) for line in costs.lines if line.get_marker() == "o"}  # type: ignore[index]
    assert drawn == {(0.5, 75.0), (20.0, 74.9)}
    assert costs.get_xscale() == "log"
    heights = sorted(text.get_position()[1] for text in own.texts)
    low, high = own.get_ylim()
    assert heights[1] - heights[0] > 0.05 * (high - low), "labels of close points stand apart"


def test_the_table_sets_each_student_against_its_teachers_cost_and_own_accuracy():
    _, _, table = shown(results(TAUGHT, COMPLETE))
    assert [line[:5] for line in table.lines()] == [
        ["small", "small of somebody", "0.5·10⁹", "60.0 ± 2.0", "75.0 ± 2.0"],
        ["large", "large of somebody", "20·10⁹", "66.0 ± 2.0", "74.9 ± 2.0"],
    ]


def test_what_is_not_computed_is_left_out():
    alone = results(TAUGHT, {**COMPLETE, "large alone": (None,), "nobody": (None,)})
    own, costs = teachers_figure(alone).axes
    assert (labels(own), sorted(labels(costs))) == (["small"], ["large", "small"])
    assert shown(alone)[2].lines()[1][3] == "–"
    nobody = results(TAUGHT, dict.fromkeys(COMPLETE, (None,)))
    assert teacher_points(nobody) == teacher_section(nobody, {}) == teacher_sentences(nobody) == []
    features = results(TAUGHT, {**COMPLETE, "small alone": (None,), "large alone": (None,)})
    assert labels(teachers_figure(features).axes[0]) == []


def test_of_teachers_of_equal_cost_none_is_called_the_costliest_and_no_panel_shows_it():
    rows = tuple(replace(r, teacher=replace(r.teacher, gflops=4.1)) if r.teacher else r for r in TAUGHT.rows)
    equal = results(replace(TAUGHT, rows=rows), COMPLETE)
    assert "Highest cost" not in teacher_sentences(equal)[0]
    (own,) = teachers_figure(equal).axes
    assert sorted(labels(own)) == ["large", "small"]
    captions = [shown(found)[1].caption for found in (equal, results(TAUGHT, COMPLETE))]
    assert ["multiply-adds" in caption for caption in captions] == [False, True]


def test_a_report_shows_the_section_and_its_data_hold_the_teachers(tmp_path: Path):
    trials = TAUGHT.trials(3)
    report = write_report(TAUGHT, trials, compute(trials, tmp_path / "home")[0], tmp_path / "report", context=CONTEXT)
    assert "Teachers: what they cost, and what they can do alone" in report.markdown.read_text()
    rows = {row["name"]: row for row in json.loads(report.results.read_text())["rows"]}
    assert rows["large"]["teacher"] == {
        "title": "large",
        "origin": "large of somebody",
        "gflops": 20.0,
        "alone": "large alone",
    }
    assert "teacher" not in rows["nobody"]
    assert report.verdict.startswith("Best student: that of ")


@pytest.mark.parametrize("gflops", [0.0, float("nan"), "many"])
def test_a_cost_that_is_no_number_above_0_is_refused(gflops: float):
    rows = (Row(name="a", title="a", teacher=teacher("small", gflops)),)
    with pytest.raises(InputError, match="gflops of the teacher of row 'a' is"):
        replace(TAUGHT, rows=rows, reference=None).all_rows()


def test_intervals_of_the_gain_are_drawn_around_the_reference_and_a_scale_counts_from_it():
    gain = Comparison(num_videos=16, num_seeds=1, mean_difference=5.0, interval=(2.0, 8.0), p_value=0.01)
    own, costs = teachers_figure(results(TAUGHT, COMPLETE), {"small": gain}).axes
    (whisker,) = (each for each in own.collections if len(each.get_segments()) == 1)  # type: ignore[attr-defined]
    assert whisker.get_segments()[0].tolist() == [[60.0, 72.0], [60.0, 78.0]]  # type: ignore[attr-defined]
    assert own.get_ylim()[0] < 72.0
    assert own.get_ylim()[1] > 78.0
    (scale,) = costs.child_axes
    assert scale.get_ylabel() == "gain over the reference (points)"
    assert scale.get_ylim() == pytest.approx([end - 70.0 for end in costs.get_ylim()])
