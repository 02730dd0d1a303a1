"""Planning of searches: a request becomes a space of trials on a dataset, and the storage of its Optuna study."""

import uuid
from functools import partial
from pathlib import Path

from search_spaces.protocol.forgotten_weights import forgotten_weights_notes
from search_spaces.protocol.tested_videos import untested_check
from search_spaces.protocol.weights_notes import check_weights_used
from study.cli.own_file import own_output_aside, translate_own_errors
from study.cli.planning import TRIAL_NOTES
from study.cli.recorded import check_name_is_free
from study.cli.requested_conditions import conditions_of
from study.cli.resolve import find_search
from study.cli.search_evaluation import SearchEvaluation
from study.core.outlook import PlannedMachine
from study.core.plan import Plan, make_plan
from study.core.store import Store
from study.core.tapes import NO_TAPES, TapeChoice
from study.home.files import locked, note_ignored, write_text
from study.home.request import Request
from study.home.sharing import check_shared
from study.search.expected import expected_trials
from study.search.home_storage import move_to_journal
from study.search.initial_point import check_initial_point
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
        self.search_request, request = search_request, search_request.request
        search = find_search(request.study)
        self.home = home
        check_name_is_free(request.study, home, "search")
        check_shared(home, writing=False)
        self.store = Store(home, create=writing)
        self.conditions = conditions_of(self.store, request)
        guard, check = partial(translate_own_errors, request.study, "search"), untested_check(self.conditions)
        with own_output_aside(request.study):
            self.space: Space = search.bind(self.conditions, request.settings, guard=guard, check=check)
            self.search: Search = self.space.search
            check_weights_used(self.conditions, self.space.extreme_trials(), f"search {self.search.name}")
            self.halving = _halving(self.space)
            self._evaluation = SearchEvaluation(request, self.space)
            if ":" in request.study:  # tests vouch for those of the catalogue
                check_initial_point(self.space)
                self._evaluation.check()
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
        with own_output_aside(self.search_request.request.study):
            trials = expected_trials(self.space, left, self.search_request.seed)
        return make_plan(trials, self.store, machine, tapes)

    def evaluation_request(self, parameters: Parameters) -> Request:
        """The request that evaluates a point on test videos: a row of a study, and settings.

        Raises:
            InputError: no row of the study has the trial of that point.
        """
        return self._evaluation.request_of(parameters)

    def check_weights(self) -> None:
        """Refuses a search whose trials start from public weights, where none are named and no stand-in is asked for.

        Raises:
            InputError: weights are missing.
        """
        with own_output_aside(self.search_request.request.study):
            trials = self.space.extreme_trials()
        for note in forgotten_weights_notes(self.conditions, trials):
            raise InputError(note)

    def trial_notes(self) -> tuple[str, ...]:
        """Notes on trials; the extreme ones contain all fixed values, and the longest queue."""
        with own_output_aside(self.search_request.request.study):
            trials = self.space.extreme_trials()
        return tuple(note for notes in TRIAL_NOTES for note in notes(self.conditions, trials))


def _halving(space: Space) -> SuccessiveHalving | None:
    """The rule of early stopping, by the number of epochs of the watched stage."""
    watched = space.signal(space.extreme_trials()[0].stage)
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
