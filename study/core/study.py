"""Studies: a recipe, the points at which it is computed, and the trials that result."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from study.core.declared import check_curve, check_labels, check_study
from study.core.folds import pooled_rows
from study.core.graph import key
from study.core.recipe import Recipe, annotation_of, bind, vocabulary
from study.core.rows import Choice, Curve, MeasuredOn, Published, Row
from study.home.text import nearest
from trainers.stage import InputError, Stage

MOST_TRIALS = 20_000
"""Of a study in one request: planning them takes a minute."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A question, and the trials that answer it.

    Example:
        >>> from search_spaces.recipes import distilled
        >>> from study import Choice, Study
        >>> study = Study(
        ...     name="momentum",
        ...     title="How fast should the key encoder follow?",
        ...     question="m is 0.999 in the paper.",
        ...     recipe=distilled,
        ...     axes={"momentum": Choice((0.99, 0.999))},
        ...     reference="0.999",
        ... )
        >>> [row.name for row in study.all_rows()]
        ['0.99', '0.999']

    Attributes:
        name: its name on the command line.
        title: one line for lists and headings.
        question: the question, in a sentence or two.
        recipe: recipe of every row that has none of its own.
        axes: a grid over hyperparameters of the recipe.
        rows: named points beside the grid, among them the baselines.
        rows_from: makes the named rows from preset, scale, data and weights, where they decide which rows there are;
            `rows` are then those of lists.
        reference: name of the row, or of the pool of fold rows, that the others are compared with.
        published: printed numbers that the rows are compared with.
        more_published: printed numbers of the same rows on other data.
        curve: the figure that the rows are points of.
        second_protocol: `relaxed_fixed` or `relaxed_official`, by whose accuracy rows are compared with the reference
            row beside the strict one.
        fewest_seeds: smallest number of seeds that answers the question.
        cost: its cost in words, by scale.
    """

    name: str
    title: str
    question: str
    recipe: Recipe
    axes: Mapping[str, Choice] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()
    rows_from: Callable[[Any], tuple[Row, ...]] | None = None
    reference: str | None = None
    published: Published | None = None
    more_published: tuple[Published, ...] = ()
    curve: Curve | None = None
    second_protocol: str | None = None
    fewest_seeds: int = 1
    cost: Mapping[str, str] = field(default_factory=dict)

    def under(self, conditions: object) -> "Study":
        """The study with the rows that it has under these conditions."""
        return self if self.rows_from is None else replace(self, rows=self.rows_from(conditions), rows_from=None)

    def on(self, data: MeasuredOn) -> "Study":
        """The study, beside the numbers that were published for these data; beside none where there are none."""
        known = self.all_published()
        shown = next((each for each in known if each.fits(data)), None)
        return replace(self, published=shown, more_published=tuple(each for each in known if each is not shown))

    @property
    def introduction(self) -> str:
        """The question, and the published accuracies where they stand beside the results."""
        return " ".join(filter(None, (self.question, self.published.accuracies() if self.published else "")))

    def all_published(self) -> tuple[Published, ...]:
        """All printed numbers of the study, whatever data they were measured with."""
        return (*([self.published] if self.published else []), *self.more_published)

    def all_rows(self) -> tuple[Row, ...]:
        """The grid's rows and the named ones.

        Raises:
            InputError: there is none, a part of the study is not what it should be, two share a name or title, none is
                a point of the study's curve, or the reference row is missing.
        """
        check_study(self)
        rows = (*self._grid(), *self.rows)
        if not rows:
            raise InputError(f"study {self.name} asks nothing: give it an axis or a row.")
        check_labels(self, rows)
        if self.curve is not None:
            check_curve(self, self.curve, rows)
        names = [row.name for row in rows]
        pools = {row.name for row in pooled_rows(rows).values()}
        if self.reference is not None and self.reference not in {*names, *pools}:
            raise InputError(
                f"study {self.name} has no row {self.reference!r} to refer to{nearest(self.reference, names)}"
            )
        return rows

    def trials(
        self,
        conditions: object,
        *,
        seeds: Sequence[int] = (0,),
        settings: Mapping[str, object] | None = None,
        only: Iterable[str] = (),
    ) -> tuple["Trial", ...]:
        """The study's trials, in table order, seed by seed.

        Args:
            conditions: preset, scale and dataset; handed to the recipes as they are.
            seeds: one set of trials each.
            settings: hyperparameters fixed for all rows; text is read as the recipe's annotation says.
            only: names of the rows wanted; all where empty.

        Raises:
            InputError: an unknown row or hyperparameter, a value of the wrong type, or more trials than can be planned.
        """
        if self.rows_from is not None:
            return self.under(conditions).trials(conditions, seeds=seeds, settings=settings, only=only)
        settings = settings or {}
        rows = self._chosen(tuple(only))
        self._check_settings(settings)
        if len(seeds) * len(rows) > MOST_TRIALS:
            raise InputError(
                f"{len(rows)} rows of study {self.name} at {len(seeds)} seeds are {len(seeds) * len(rows)} trials, "
                f"more than {MOST_TRIALS}: ask for fewer seeds, or for some of the rows with --row."
            )
        points = list(itertools.product(seeds, rows))
        found: list[Trial] = []
        for number, (seed, row) in enumerate(points):
            try:
                found.append(self._trial(number, row, seed, conditions, settings))
            except InputError as error:
                others = [each for each in rows if each is not row]
                if self._any([row], seed, conditions, {}) or not self._any(others, seed, conditions, settings):
                    raise  # a setting is the reason, or no row can be computed
                raise InputError(
                    f"{error} This is row {row.name} of study {self.name}: --row chooses others."
                ) from None
        return tuple(found)

    def _any(self, rows: Iterable[Row], seed: int, conditions: object, settings: Mapping[str, object]) -> bool:
        """Whether a trial of any of these rows can be made."""
        for row in rows:
            with suppress(InputError):
                self._trial(0, row, seed, conditions, settings)
                return True
        return False

    def settable(self) -> tuple[str, ...]:
        """The hyperparameters that can be fixed for all rows: those of the recipe that no axis and no row varies."""
        return tuple(sorted(vocabulary(self.recipe).keys() - self.varied()))

    def _grid(self) -> tuple[Row, ...]:
        rows = []
        for point in itertools.product(*(axis.points() for axis in self.axes.values())):
            parameters = dict(zip(self.axes, (value for value, _ in point), strict=True))
            name = ",".join(str(v) if len(parameters) == 1 else f"{axis}={v}" for axis, v in parameters.items())
            rows.append(Row(name=name, title=", ".join(title for _, title in point), parameters=parameters))
        return tuple(rows) if self.axes else ()

    def _chosen(self, only: tuple[str, ...]) -> tuple[Row, ...]:
        rows = self.all_rows()
        names = [row.name for row in rows]
        for name in only:
            if name not in names:
                raise InputError(f"study {self.name} has no row {name!r}{nearest(name, names)}")
        return tuple(row for row in rows if not only or row.name in only)

    def _check_settings(self, settings: Mapping[str, object]) -> None:
        for name in settings:
            if name in self.varied():
                raise InputError(f"{name} is what study {self.name} varies: choose its rows with --row instead.")
            annotation_of(self.recipe, name)

    def varied(self) -> set[str]:
        """The hyperparameters that axes or named rows vary."""
        return {*self.axes, *(name for row in self.rows for name in row.parameters)}

    def _trial(self, number: int, row: Row, seed: int, conditions: object, settings: Mapping[str, object]) -> "Trial":
        recipe = row.recipe or self.recipe
        taken = {name: value for name, value in settings.items() if recipe is self.recipe or name in vocabulary(recipe)}
        parameters, stage = bind(recipe, conditions, seed, {**taken, **row.parameters})
        return Trial(number=number, row=row, seed=seed, parameters=parameters, stage=stage)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One point of a study at one seed; its last stage holds its result.

    Example:
        >>> from study import Choice, Study
        >>> from trainers.data.synthetic.generic_images import GenericImages
        >>> def images(conditions: object, *, seed: int, num_images: int) -> GenericImages:
        ...     return GenericImages(num_images=num_images, size_px=32)
        >>> study = Study(name="s", title="?", question="?", recipe=images, axes={"num_images": Choice((8, 16))})
        >>> [(trial.label, trial.stage.num_images) for trial in study.trials(conditions=None)]
        [('8, seed 0', 8), ('16, seed 0', 16)]
    """

    number: int
    row: Row
    seed: int
    parameters: Mapping[str, object]
    stage: Stage

    @property
    def label(self) -> str:
        """Row and seed, as messages and reports name the trial."""
        return f"{self.row.name}, seed {self.seed}"


def setting_notes(trials: Sequence[Trial], settings: Iterable[str]) -> tuple[str, ...]:
    """A sentence for every setting that does not change some rows, as their recipes have no such hyperparameter."""
    left = {name: dict.fromkeys(t.row.name for t in trials if name not in t.parameters) for name in settings}
    return tuple(
        f"{name} is no hyperparameter of {', '.join(rows)}: --set leaves them as they are."
        for name, rows in left.items()
        if rows
    )


def equal_row_notes(trials: Sequence[Trial]) -> tuple[str, ...]:
    """A sentence for every group of rows of a study whose trials are one trial at every seed."""
    keys: dict[str, list[str]] = {}
    for trial in trials:
        keys.setdefault(trial.row.name, []).append(key(trial.stage))
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, found in keys.items():
        groups.setdefault(tuple(found), []).append(name)
    return tuple(
        f"Rows {', '.join(names[:-1])} and {names[-1]} are one and the same here: nothing tells their trials apart."
        for names in groups.values()
        if len(names) > 1
    )


def standalone(stages: Iterable[Stage]) -> tuple[Trial, ...]:
    """Stages that no recipe returns, such as the videos of an ingest, as trials of their own."""
    return tuple(
        Trial(number=number, row=Row(name=stage.title, title=stage.title), seed=0, parameters={}, stage=stage)
        for number, stage in enumerate(stages)
    )
