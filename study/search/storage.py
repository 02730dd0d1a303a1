"""Optuna's storage: its URL, its password, and its errors as sentences."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import sqlalchemy.exc
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy.engine import make_url

from trainers.stage import InputError, MachineError

DATABASE = "optuna.db"
LOCK_SECONDS = 60
STORAGE_ERRORS = (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError)


def storage_url(home: Path) -> str:
    """URL of the storage in a home folder."""
    return f"sqlite:///{home.absolute() / DATABASE}"


def absolute_url(url: str) -> str:
    """A database URL that means the same in every directory.

    Raises:
        InputError: it names an SQLite database that is no file.
    """
    try:
        location = make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # reported when it is opened
        return url
    if location.get_backend_name() != "sqlite":
        return url
    path = location.database or ":memory:"
    if path == ":memory:" or path.startswith("file:"):
        raise InputError(
            f"--storage {url} names no file by its path, and a search's trials outlive its process: give one, such as "
            "sqlite:////data/searches.db."
        )
    if Path(path).is_absolute():
        return url
    return location.set(database=str(Path(path).absolute())).render_as_string(hide_password=False)


def without_password(url: str) -> str:
    """A database URL with its password masked."""
    try:
        shown = make_url(url).render_as_string(hide_password=True)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # such as a port that is no number
        shown = re.sub(r":(?!//).*@", ":***@", url)
    return re.sub(r"(?i)(password|passwd|pwd)=[^&]*", r"\1=***", shown)


def open_storage(url: str) -> RDBStorage:
    """Opens Optuna's database."""
    arguments = {"connect_args": {"timeout": LOCK_SECONDS}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    return RDBStorage(url, engine_kwargs=arguments)


def read_trials(name: str, url: str) -> list[FrozenTrial]:
    """The trials of an Optuna study, by number; nothing is created where there is nothing.

    Raises:
        MachineError: the storage cannot be used, or does not have the study.
    """
    with translate_storage_errors(url):
        location = make_url(url)
        if location.get_backend_name() == "sqlite" and not Path(location.database or "").is_file():
            raise MachineError(f"{location.database} is not there, which held the trials of {name!r}.")
        storage = open_storage(url)
        try:
            return storage.get_all_trials(storage.get_study_id_from_name(name), deepcopy=False)
        except KeyError:
            raise MachineError(f"the Optuna study {name!r} is not in its storage any more.") from None
        finally:
            storage.remove_session()
            storage.engine.dispose()


@contextmanager
def translate_storage_errors(url: str) -> Iterator[None]:
    """Raises errors of an unusable storage as MachineError."""
    try:
        yield
    except (*STORAGE_ERRORS, ImportError, RuntimeError, ValueError) as error:
        raise storage_error(url, error) from error


def storage_error(url: str, error: BaseException) -> MachineError:
    """The MachineError for what an unusable storage raised."""
    reason = str(error.__cause__ or error).partition("\n")[0].rstrip(".").replace(url, without_password(url))
    return MachineError(
        f"the Optuna storage {without_password(url)} cannot be used ({reason}): check --storage, such as "
        "sqlite:////data/searches.db or postgresql://user@host/searches."
    )
