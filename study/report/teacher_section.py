"""Section on free models as teachers, of the studies that compare them."""

from collections.abc import Mapping

from study.analysis.comparisons import signed
from study.analysis.paired_tests import Comparison
from study.analysis.results import Results
from study.report.document import Block, Cell, Paragraph, Picture, Section, Table
from study.report.figures.teachers import costs_differ, teachers_figure
from study.report.tables import UNDEFINED, score_cell
from study.report.teacher_points import TeacherPoint, cost, teacher_points, teacher_sentences

HEADERS = (
    "Free model",
    "What it is",
    "Multiply-adds per frame",
    "Its own accuracy",
    "Its student's accuracy",
    "Student minus reference",
    "Verdict",
)
OVER_OWN = (
    "Strict accuracy on the test videos of the student that each free model teaches, over the accuracy of the free "
    "model's own features, never trained on surgical frames by this study"
)
OVER_COST = "; on the right over the multiply-adds of one forward pass of a frame in the input size that it expects"
LINES = (
    ". Dashed: the reference row, from which the scale on the right counts. Vertical lines: 95 % intervals of the gain "
    "over it. Dotted: student and free model are equal."
)


def teacher_section(results: Results, comparisons: Mapping[str, Comparison]) -> list[Block]:
    """Accuracy against the teachers' cost and own accuracy; nothing where no row has a teacher that is computed."""
    points = teacher_points(results)
    if not points:
        return []
    sentences = teacher_sentences(results)
    return [
        Section(
            "Teachers: what they cost, and what they can do alone",
            [
                *([Paragraph(" ".join(sentences))] if sentences else []),
                Picture("teachers", teachers_figure(results, comparisons), _caption(points)),
                _table(points, comparisons),
            ],
        )
    ]


def _caption(points: list[TeacherPoint]) -> str:
    return OVER_OWN + (OVER_COST if costs_differ(points) else "") + LINES


def _table(points: list[TeacherPoint], comparisons: Mapping[str, Comparison]) -> Table:
    rows = tuple(_cells(point, comparisons.get(point.row.name)) for point in points)
    return Table(headers=tuple(map(Cell, HEADERS)), rows=rows, text_columns=frozenset({0, 1, 6}))


def _cells(point: TeacherPoint, comparison: Comparison | None) -> tuple[Cell, ...]:
    return (
        Cell(point.teacher.title),
        Cell(point.teacher.origin),
        Cell(cost(point.teacher)),
        score_cell(point.own),
        score_cell(point.student),
        Cell(signed(comparison.mean_difference) if comparison else UNDEFINED),
        Cell(comparison.verdict if comparison else UNDEFINED),
    )
