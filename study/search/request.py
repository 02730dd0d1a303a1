"""What was asked of a search, kept in the home folder so that `status` and `report` answer for the last one."""

import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from study.home.commands import NAME
from study.home.request import Request, damaged_file, read_json, request_from_record, write_json
from study.search.optuna_study import absolute, storage_url, without_password
from trainers.stage import InputError, MachineError

ASKING = "asking.json"
HIDDEN = "***"
"""Stands where a storage's password was."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What was asked of a search.

    Attributes:
        request: the search by name, and everything that decides its trials but for their points.
        num_trials: trials in all.
        hours: after so many no trial begins.
        at_once: trials at a time.
        seed: of the choice of points.
        storage: Optuna's database, a relative path of SQLite's made absolute; the home's where None.
        options: further ones that were typed, which decide where it is computed.

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
            object.__setattr__(self, "storage", absolute(self.storage))

    @property
    def optuna_name(self) -> str:
        """What Optuna calls the study of this search."""
        request = self.request
        settings = [f"{name}={value}" for name, value in sorted(request.settings.items())]
        dataset = [request.dataset] if request.dataset else []
        return " ".join([request.study, request.scale, request.preset, *dataset, *request.weights, *settings])

    def command(self, program: str = NAME) -> str:
        """The command line that asks for this; it is shown and kept, so it has the storage without its password."""
        options = [f"--trials {self.num_trials}"]
        options += [f"--hours {self.hours:g}"] if self.hours is not None else []
        options += [f"--at-once {self.at_once}"] if self.at_once is not None else []
        options += [f"--seed {self.seed}"] if self.seed else []
        options += [f"--storage {shlex.quote(without_password(self.storage))}"] if self.storage else []
        return self.request.command("search", *options, *self.options, program=program)

    def folder(self, home: Path) -> Path:
        """Where the report of this search lies, apart from those of studies; other settings are another report."""
        return replace(self.request, study=folder_name(self.request.study)).folder(home)

    def url(self, home: Path) -> str:
        """Where Optuna keeps the search.

        Raises:
            MachineError: its password, which no home keeps, is not known.
        """
        if self.storage and HIDDEN in self.storage:
            raise MachineError(
                f"the trials of search {self.request.study} are in {self.storage}, whose password is not kept: type "
                f"`{self.command()}` again, with the password in it; that reports, too."
            )
        return self.storage or storage_url(home)


def folder_name(search: str) -> str:
    """What a search's folder in the home and its experiment in MLflow are called, apart from those of studies."""
    return f"search-{search}"


def remember_search(asking: Asking, home: Path) -> None:
    """Keeps what was asked, without the storage's password, as the latest of that search."""
    storage = without_password(asking.storage) if asking.storage else None
    path = _path(asking.request.study, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(replace(asking, storage=storage)))


def latest_search(search: str, home: Path) -> Asking:
    """What was last asked of a search.

    Raises:
        InputError: it has not been run in this home.
        MachineError: what was kept of it cannot be read.
    """
    path = _path(search, home)
    if not path.exists():
        raise InputError(f"search {search!r} has not been run in {home}: `freelunch search {search}` runs it.")
    content = read_json(path)
    try:
        parts = {"request": request_from_record(content["request"]), "options": tuple(content["options"])}
        return Asking(**{**content, **parts})
    except (TypeError, KeyError):
        raise damaged_file(path) from None


def searches_run(home: Path) -> list[str]:
    """The searches that have been run in a home."""
    prefix = folder_name("")
    return sorted(path.parent.name.removeprefix(prefix) for path in (home / "studies").glob(f"{prefix}*/{ASKING}"))


def _path(search: str, home: Path) -> Path:
    return home / "studies" / folder_name(search) / ASKING
