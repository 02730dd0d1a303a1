"""Request of a search, stored in the home folder for `status` and `report`."""

import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from study.home.commands import NAME
from study.home.files import damaged_file, read_json, write_json
from study.home.request import Request, never_run, request_from_record
from study.home.searches import folder_name, request_path
from study.search.home_storage import storage_url
from study.search.storage import absolute_url, without_password
from trainers.records import checked
from trainers.stage import InputError, MachineError

HIDDEN = "***"
"""Masks the password of a storage."""


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """A search with everything that decides its trials.

    Attributes:
        request: the search, by its name or as FILE.py:NAME, and everything else that decides the stages of its trials.
        num_trials: number of trials in all.
        hours: no trial begins later than this.
        at_once: number of trials at a time.
        seed: of the sampler.
        storage: URL of Optuna's database, with absolute paths; None for the one in the home folder.
        options: further options of the command line, which decide where trials are computed.

    Raises:
        InputError: the storage would not outlive the process.
    """

    request: Request
    num_trials: int
    hours: float | None = None
    at_once: int | None = None
    seed: int = 0
    storage: str | None = None
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.storage:
            object.__setattr__(self, "storage", absolute_url(self.storage))

    @property
    def optuna_name(self) -> str:
        """Name of the Optuna study."""
        request = self.request
        settings = [f"{name}={value}" for name, value in sorted(request.settings.items())]
        dataset = [request.dataset] if request.dataset else []
        dataset += [f"pretrain_on={request.pretrain_on}"] if request.pretrain_on else []
        weights = [*request.weights, *(["stand-in"] if request.stand_in else [])]
        return " ".join([request.name, request.scale, request.preset, *dataset, *weights, *settings])

    def command(self, program: str = NAME) -> str:
        """The command line of this request, with the password of the storage masked."""
        options = [f"--trials {self.num_trials}"]
        options += [f"--hours {self.hours:g}"] if self.hours is not None else []
        options += [f"--at-once {self.at_once}"] if self.at_once is not None else []
        options += [f"--seed {self.seed}"] if self.seed else []
        options += [f"--storage {shlex.quote(without_password(self.storage))}"] if self.storage else []
        return self.request.command("search", *options, *self.options, program=program)

    def folder(self, home: Path) -> Path:
        """Folder of the report; other settings have another folder."""
        return replace(self.request, study=folder_name(self.request.name)).folder(home)

    def url(self, home: Path) -> str:
        """URL of Optuna's storage.

        Raises:
            MachineError: its password is not known, as no home stores it.
        """
        if self.storage and HIDDEN in self.storage:
            raise MachineError(
                f"the trials of search {self.request.name} are in {self.storage}, whose password is not kept: type "
                f"`{self.command()}` again, with the password in it; that reports, too."
            )
        return self.storage or storage_url(home)


def remember_search(search_request: SearchRequest, home: Path) -> None:
    """Stores a request as the latest of its search, with the password of the storage masked."""
    storage = without_password(search_request.storage) if search_request.storage else None
    path = request_path(search_request.request.name, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(replace(search_request, storage=storage)))


def latest_search(search: str, home: Path) -> SearchRequest:
    """The latest request of a search.

    Raises:
        InputError: it has not been run in this home.
        MachineError: the stored request cannot be read.
    """
    path = request_path(search, home)
    if not path.exists():
        raise never_run(f"search {search!r}", home, "search", search)
    content = read_json(path)
    try:
        parts = {"request": request_from_record(content["request"]), "options": tuple(content["options"])}
        return checked(SearchRequest(**{**content, **parts}))
    except (TypeError, KeyError, AttributeError, InputError):
        raise damaged_file(path) from None
