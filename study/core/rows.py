"""Parts of a study: named rows, axes of a grid, published numbers, and the curve that rows are points of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from study.core.recipe import Recipe
from trainers.stage import InputError

RELAXED_PROTOCOLS = ("relaxed_fixed", "relaxed_official")
"""Protocols, beside the strict one, by which a study can compare its rows."""


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """Free model that the student of a row learns from, as reports show it.

    Example:
        >>> from study import Row, Teacher
        >>> dino = Teacher(title="DINO", origin="ViT-S/16 of …", gflops=4.3, alone="features")
        >>> Row(name="dino", title="DINO teaches", teacher=dino).teacher.gflops
        4.3

    Attributes:
        title: its name in the figure and the table.
        origin: in words: what it is, and where it comes from.
        gflops: multiply-adds per frame, in units of 10⁹.
        alone: name of the row whose accuracy is that of its own features.
    """

    title: str
    origin: str
    gflops: float
    alone: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """Named point of a study.

    Example:
        >>> from study import Row
        >>> row = Row(name="gentle", title="λ = 1", parameters={"distillation_weight": 1.0})
        >>> row.parameters["distillation_weight"], row.baseline
        (1.0, False)

    Attributes:
        name: the name for `--row`.
        title: its title in tables.
        parameters: its hyperparameters, by name.
        recipe: its own recipe; the study's where None.
        baseline: whether tables show it below the rule, apart from the rows that the study compares.
        series: the line of the study's curve that it is a point of, where there are several lines.
        teacher: the free model that its student learns from, where the study compares such models.
    """

    name: str
    title: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    recipe: Recipe | None = None
    baseline: bool = False
    series: str = ""
    teacher: Teacher | None = None


@dataclass(frozen=True)
class Choice:
    """Axis of a grid: the values of a hyperparameter, and their titles in tables.

    Example:
        >>> from study import Choice
        >>> Choice((0.5, 2), ("half as warm", "twice as warm")).points()
        [(0.5, 'half as warm'), (2, 'twice as warm')]
    """

    values: tuple[object, ...]
    titles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.values, tuple | list):
            raise InputError(f"an axis needs its values in brackets: Choice(({self.values!r},)), say.")
        if not self.values:
            raise InputError("an axis needs at least one value.")
        if self.titles and len(self.titles) != len(self.values):
            raise InputError(f"an axis of {len(self.values)} values needs as many titles, not {len(self.titles)}.")

    def points(self) -> list[tuple[object, str]]:
        """Every value with its title."""
        return list(zip(self.values, self.titles or map(str, self.values), strict=True))


class MeasuredOn(NamedTuple):
    """Kinds of dataset, such as `cholec80`, that trials pre-train on and are tested on.

    Example:
        >>> from study import MeasuredOn, Published
        >>> transfer = MeasuredOn(pretraining="cholec80", test="m2cai16")
        >>> Published(source="Table 1", rows={}, measured_on=transfer).fits(MeasuredOn("m2cai16", "m2cai16"))
        False
    """

    pretraining: str
    test: str


@dataclass(frozen=True, kw_only=True)
class Published:
    """Numbers printed in a paper: in percent, (mean, standard deviation) by row name and metric.

    Example:
        >>> from study import Published
        >>> table3 = Published(source="Table 3", rows={"head": {"accuracy": (87.3, 9.5)}})
        >>> table3.rows["head"]["accuracy"]
        (87.3, 9.5)
    """

    source: str
    rows: Mapping[str, Mapping[str, tuple[float, float]]]
    note: str = ""
    swapped: tuple[str, str] | None = None
    """Two metrics whose columns are evidently interchanged in print."""
    unswapped: tuple[str, ...] = ()
    """Names of the rows in which they are not."""
    measured_on: MeasuredOn | None = None
    """What they were measured with; None where they may stand beside results on any dataset."""

    def accuracies(self) -> str:
        """The accuracies of all rows in a sentence."""
        found = [f"{row} {numbers['accuracy'][0]:.1f}" for row, numbers in self.rows.items() if "accuracy" in numbers]
        return f"Accuracy in {self.source.rpartition(', ')[2]}: {', '.join(found)}." if found else ""

    def fits(self, data: MeasuredOn) -> bool:
        """Whether the numbers may stand beside results of trials on these data."""
        return self.measured_on in (None, data)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Figure of accuracy against one hyperparameter. Rows that do not set it are level lines.

    Example:
        >>> from study import Curve
        >>> Curve(axis="distillation_weight", title="λ", log=True)
        Curve(axis='distillation_weight', title='λ', log=True, reference='')

    Attributes:
        axis: the hyperparameter; `seed` is the seed of a trial.
        title: its title in the figure.
        log: whether the axis is logarithmic.
        reference: the series that the others are compared with, value by value.
    """

    axis: str
    title: str
    log: bool = False
    reference: str = ""
