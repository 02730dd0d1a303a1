"""Suites: studies that run as one plan, in which a stage that several of them need is computed once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from study.core.study import Study, Trial
from study.home.request import Request
from study.home.text import nearest
from trainers.stage import InputError


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Several studies under one name.

    Example:
        >>> from search_spaces.studies.catalogue import STUDIES
        >>> from study import Suite
        >>> two = Suite(name="two", title="Two tables", question="?", studies=(STUDIES["table1"], STUDIES["table2"]))
        >>> [study.name for study in two.studies]
        ['table1', 'table2']

    Attributes:
        name: their name on the command line.
        title: one line for lists and headings.
        question: what they have in common.
        studies: each has its own report; in the suite their rows are named STUDY/ROW.
        cost: their cost together in words, by scale.
    """

    name: str
    title: str
    question: str
    studies: tuple[Study, ...]
    cost: Mapping[str, str] = field(default_factory=dict)

    def rows_by_study(self, rows: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Rows named STUDY/ROW, by study; all rows of all studies, written as none, where none is named.

        Raises:
            InputError: a name has no slash, or names no study of the suite.
        """
        names = [study.name for study in self.studies]
        if not rows:
            return dict.fromkeys(names, ())
        chosen: dict[str, tuple[str, ...]] = {}
        for each in rows:
            study, slash, row = each.partition("/")
            if not slash:
                raise InputError(f"{each!r} is no row of {self.name}: its rows are named STUDY/ROW, as table3/head.")
            if study not in names:
                raise InputError(f"{self.name} has no study {study!r}{nearest(study, names)}")
            chosen[study] = (*chosen.get(study, ()), row)
        return chosen


@dataclass(frozen=True, kw_only=True)
class Part:
    """One study of a request, as if it had been requested alone."""

    study: Study
    request: Request
    trials: tuple[Trial, ...]

    @property
    def data(self) -> str:
        """The dataset that it is tested on, as the request names it."""
        return self.request.dataset or "default"


def names_of(parts: Sequence[Part]) -> list[str]:
    """What tells parts apart: the study's name, the dataset's, or STUDY/DATASET; of a single part, the study's name."""
    studies, datasets = {part.study.name for part in parts}, {part.data for part in parts}
    if len(datasets) < 2:
        return [part.study.name for part in parts]
    return [part.data if len(studies) < 2 else f"{part.study.name}/{part.data}" for part in parts]


def together(parts: Sequence[Part]) -> tuple[Trial, ...]:
    """The trials of all parts, numbered through; where there are several parts, rows are named PART/ROW."""
    if len(parts) == 1:
        return parts[0].trials
    named = [
        replace(trial, row=replace(trial.row, name=f"{name}/{trial.row.name}"))
        for name, part in zip(names_of(parts), parts, strict=True)
        for trial in part.trials
    ]
    return tuple(replace(trial, number=number) for number, trial in enumerate(named))
