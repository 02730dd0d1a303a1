"""Evaluation of the best trial of a search on test videos: the row of a study that has that trial."""

from dataclasses import replace

from study.cli.resolve import find_evaluating_study
from study.core.graph import key
from study.core.recipe import title_of
from study.core.rows import Row
from study.core.study import Study
from study.home.request import Request
from study.search.domains import choices_of
from study.search.space import FIRST_SEED, Parameters, Space
from trainers.stage import InputError


class SearchEvaluation:
    """Evaluation of points of a search.

    Args:
        request: the request of the search.
        space: the space that is searched.

    Raises:
        InputError: there is no such study, or it is of another recipe.
    """

    def __init__(self, request: Request, space: Space) -> None:
        self._request, self._space = request, space
        self._asked, study = find_evaluating_study(request.study, space.search)
        if study.recipe is not space.search.recipe:
            raise InputError(
                f"search {space.search.name} is evaluated in study {study.name}, whose recipe is "
                f"{title_of(study.recipe)} and not {title_of(space.search.recipe)}: it would evaluate other trials."
            )
        with space.guard():
            self._study: Study = study.under(space.conditions)

    def request_of(self, parameters: Parameters) -> Request:
        """The request that evaluates a point: a row of the study, and settings.

        Raises:
            InputError: no row of the study has the trial of that point.
        """
        known = {**self._space.fixed, **parameters}
        values = {name: value for name, value in known.items() if value is not None}
        settings = {name: str(value) for name, value in values.items() if name not in self._study.varied()}
        wanted, reason = key(self._space.trial(0, parameters).stage), ""
        for row in sorted(self._study.all_rows(), key=lambda row: row.baseline):
            if any(values.get(name, value) != value for name, value in row.parameters.items()):
                continue
            try:
                if self._key_of(row, settings) == wanted:
                    return replace(self._request, study=self._asked, settings=settings, rows=(row.name,))
            except InputError as error:
                reason = f": {error}"
        point = ", ".join(f"{name} {value}" for name, value in values.items())
        raise InputError(
            f"no row of study {self._study.name}, which evaluates search {self._space.search.name}, has the trial of "
            f"{point}{reason or ': give it a row that --set can bring there.'}"
        )

    def check(self) -> None:
        """Refuses a study that cannot evaluate the extreme points of the search, at every value that it varies itself.

        Raises:
            InputError: as `request_of`.
        """
        for index in (0, 1):
            self.request_of(self._space.corner(index))
            for name in self._study.varied() & self._space.axes.keys():
                for value in choices_of(self._space.axes[name]):
                    self.request_of(self._space.corner(index, {name: value}))

    def _key_of(self, row: Row, settings: dict[str, str]) -> str:
        """The key of what the search would value of a row's trial."""
        space = self._space
        with space.guard():
            (trial,) = self._study.trials(space.conditions, seeds=(FIRST_SEED,), settings=settings, only=(row.name,))
            return key(space.search.objective.last_stage(trial.stage))
