"""Free models as teachers: accuracy of their students, against their cost and the accuracy of their own features."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from study.analysis.results import Results, RowScore
from study.core.rows import Row, Teacher

METRIC = "accuracy"


@dataclass(frozen=True, kw_only=True)
class TeacherPoint:
    """Free model whose student is computed; accuracies are strict, in percent.

    Attributes:
        row: of the student.
        teacher: the free model.
        student: accuracy of the student.
        own: accuracy of the free model's own features; None where it is not computed.
    """

    row: Row
    teacher: Teacher
    student: RowScore
    own: RowScore | None


def teacher_points(results: Results) -> list[TeacherPoint]:
    """The free models of a study whose students are computed, in table order; none where it compares no such models."""
    scores = {r.row.name: r.score("strict", METRIC) for r in results.rows}
    return [
        TeacherPoint(row=r.row, teacher=r.row.teacher, student=student, own=scores.get(r.row.teacher.alone))
        for r in results.rows
        if r.row.teacher is not None and (student := scores[r.row.name]) is not None
    ]


def teacher_sentences(results: Results) -> list[str]:
    """Sentence on the best student, and on the free models that cost most and are best on their own."""
    points = teacher_points(results)
    if len(points) < 2:
        return []
    best = max(points, key=lambda point: point.student.mean)
    sentences = [f"Best student: that of {best.teacher.title} ({best.student.mean:.1f})."]
    alone = _highest([p for p in points if p.own], lambda point: point.own.mean if point.own else 0.0)
    if alone is not None and alone.own is not None:
        sentences.append(f"Best features of its own: {alone.teacher.title} ({alone.own.mean:.1f}).")
    costliest = _highest(points, lambda point: point.teacher.gflops)
    if costliest is not None:
        sentences.append(
            f"Highest cost: {costliest.teacher.title} ({cost(costliest.teacher)} multiply-adds per frame)."
        )
    return [" ".join(sentences)]


def cost(teacher: Teacher) -> str:
    """Multiply-adds per frame as they are printed, such as 4.1·10⁹."""
    digits = f"{teacher.gflops:.2g}" if teacher.gflops < 10 else f"{teacher.gflops:.0f}"
    return f"{digits}·10⁹"


def _highest(points: Sequence[TeacherPoint], value: Callable[[TeacherPoint], float]) -> TeacherPoint | None:
    """The only point of the highest value, where there is a choice."""
    ordered = sorted(points, key=value, reverse=True)
    return ordered[0] if len(ordered) > 1 and value(ordered[0]) > value(ordered[1]) else None
