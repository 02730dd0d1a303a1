"""Planning of searches: a request becomes a space of trials on a dataset, and the storage of its Optuna study."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from search_spaces.protocol.forgotten_weights import forgotten_weights_notes
from search_spaces.protocol.weights_notes import check_weights_used
from search_spaces.searches.distilled import SEARCHES
from search_spaces.studies.catalogue import STUDIES, SUITES
from study.cli.planning import TRIAL_NOTES
from study.cli.requested_conditions import conditions_of
from study.core.outlook import PlannedMachine
from study.core.plan import Plan, make_plan
from study.core.store import Store
from study.core.tapes import NO_TAPES, TapeChoice
from study.home.files import locked, note_ignored, write_text
from study.home.request import Request
from study.home.sharing import check_shared
from study.home.text import nearest
from study.search.expected import expected_trials
from study.search.home_storage import move_to_journal
from study.search.optuna_study import OptunaStudy
from study.search.pruner import SuccessiveHalving
from study.search.request import SearchRequest
from study.search.space import Parameters, Search, Space
from trainers.stage import InputError


class PlannedSearch:
    """A search request, with everything that it names looked up; its Optuna study is not opened yet.

    Attributes:
        search_request: the request.
        search: the search that it names, with the objective of these conditions.
        home: the home folder.
        store: the artifacts of the home folder.
        conditions: preset, scale, dataset and weights.
        space: the space of trials under these conditions.
        halving: the rule that stops trials early; None where no stage of a trial reports while it trains.
        folder: the folder of the report.

    Args:
        home: the home folder.
        search_request: the request.
        writing: whether the home is made where it is missing.

    Raises:
        InputError: there is no such search, a value does not fit, or there is nothing to search.
        MachineError: the home folder cannot be used.
    """

    def __init__(self, home: Path, search_request: SearchRequest, *, writing: bool = True) -> None:
        self.search_request = search_request
        search = find_search(search_request.request.study)
        self.home = home
        check_shared(home, writing=False)
        self.store = Store(home, create=writing)
        self.conditions = conditions_of(self.store, search_request.request)
        self.space: Space = search.bind(self.conditions, search_request.request.settings)
        self.search: Search = self.space.search
        check_weights_used(self.conditions, self.space.extreme_trials(), f"search {self.search.name}")
        self.halving = _halving(self.space)
        self.folder = search_request.folder(home)

    def open_study(self) -> OptunaStudy:
        """The Optuna study of this search, created where it does not exist; a context that closes its storage.

        Raises:
            InputError: the storage holds another search of this name.
            MachineError: the storage cannot be used, now or later in the block.
        """
        if self.search_request.storage is None:
            move_to_journal(self.home)
        return OptunaStudy(
            name=self.search_request.optuna_name,
            space=self.space,
            seed=self.search_request.seed,
            url=self.search_request.url(self.home),
            driver=_driver_id(self.home),
            halving=self.halving,
        )

    def expected_plan(self, machine: PlannedMachine, num_known: int = 0, tapes: TapeChoice = NO_TAPES) -> Plan:
        """The plan of the trials that are left, as if their points were drawn at random and none were stopped early.

        Args:
            machine: that it is made for.
            num_known: trials that were begun earlier.
            tapes: which recordings of frozen networks trials replay.
        """
        left = max(self.search_request.num_trials - num_known, 0)
        trials = expected_trials(self.space, left, self.search_request.seed)
        return make_plan(trials, self.store, machine, tapes)

    def check_weights(self) -> None:
        """Refuses a search whose trials start from public weights, where none are named and no stand-in is asked for.

        Raises:
            InputError: weights are missing.
        """
        for note in forgotten_weights_notes(self.conditions, self.space.extreme_trials()):
            raise InputError(note)

    def trial_notes(self) -> tuple[str, ...]:
        """Notes on trials; the extreme ones contain all fixed values, and the longest queue."""
        trials = self.space.extreme_trials()
        return tuple(note for notes in TRIAL_NOTES for note in notes(self.conditions, trials))

    def evaluation_request(self, parameters: Parameters) -> Request:
        """The request that evaluates a point on test videos: a row of a study, and settings."""
        study = STUDIES[self.search.evaluated_in]
        values = {name: value for name, value in {**self.space.fixed, **parameters}.items() if value is not None}
        varied: Mapping[str, object] = {name: value for name, value in values.items() if name in study.axes}
        rows = [row.name for row in study.all_rows() if not row.baseline and varied and row.parameters == varied]
        settings = {name: str(value) for name, value in values.items() if name not in varied}
        return replace(self.search_request.request, study=study.name, settings=settings, rows=tuple(rows))


def find_search(name: str) -> Search:
    """A search by its name.

    Raises:
        InputError: there is none.
    """
    if name in STUDIES or name in SUITES:
        raise InputError(f"{name!r} is a study, not a search: `freelunch run {name}` runs it.")
    if name not in SEARCHES:
        raise InputError(f"no search named {name!r}{nearest(name, SEARCHES)}")
    return SEARCHES[name]


def _halving(space: Space) -> SuccessiveHalving | None:
    """The rule of early stopping, by the number of epochs of the watched stage."""
    watched = space.search.objective.pruning_signal(space.extreme_trials()[0].stage)
    return SuccessiveHalving(watched.epochs, first_epoch=watched.first_epoch) if watched else None


def _driver_id(home: Path) -> str:
    """Name of this home's trials in a database that several homes share."""
    path = home / "searches" / "driver"
    with locked(path.with_name("lock")):  # two first searches of a home get the same name
        if path.exists():
            known = path.read_bytes()
            if len(known) == len(uuid.uuid4().hex) and known.isalnum():
                return known.decode()
            note_ignored(path)
        driver = uuid.uuid4().hex
        write_text(path, driver)
    return driver
