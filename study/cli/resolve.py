"""Resolution of STUDY in a command line: a study of the catalogue, a suite, or a study in a user's own file."""

import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from types import ModuleType

from search_spaces.searches.distilled import SEARCHES
from search_spaces.studies.catalogue import STUDIES, SUITES
from study.core.study import Study, Trial
from study.core.suite import Suite
from study.execution.events import error_line
from study.home.request import has_been_run
from study.home.text import nearest
from trainers.evaluation.evaluate import Evaluate
from trainers.stage import FreelunchError, InputError, MachineError

OWN_MODULE = "own_study"
"""Prefix of the names of users' modules: a file may have the name of an installed module."""


def find_study(name: str) -> Study | Suite:
    """A study by its name, or FILE.py:NAME for one of a user's own.

    Raises:
        InputError: there is none.
    """
    file, colon, variable = name.rpartition(":")
    if colon:
        return _own_study(Path(file), variable)
    if name in SEARCHES:
        raise InputError(f"{name!r} is a search, not a study: `freelunch search {name}` asks it.")
    known: dict[str, Study | Suite] = {**STUDIES, **SUITES}
    if name not in known:
        raise InputError(f"no study named {name!r}{nearest(name, known)}")
    return known[name]


@contextmanager
def translate_own_study_errors(study: str) -> Iterator[None]:
    """Turns whatever a user's own study raises into a sentence that names the line of its file.

    Raises:
        InputError: an exception was raised; a study of the catalogue keeps its traceback, since that is our own fault.
    """
    file, colon, variable = study.rpartition(":")
    try:
        with nullcontext() if not colon else redirect_stdout(sys.stderr):
            yield
    except (FreelunchError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if not colon:
            raise
        raise InputError(f"{_place(Path(file), error)}: study {variable}: {_reason(error)}") from error


def check_last_stages(trials: Iterable[Trial]) -> None:
    """Refuses trials that do not end in scores.

    Raises:
        InputError: reports cannot read the last stage of a trial.
    """
    for trial in trials:
        if not isinstance(trial.stage, Evaluate):
            raise InputError(
                f"the recipe of row {trial.row.name!r} returns a {type(trial.stage).__name__}: its last stage must be "
                "an Evaluate, such as `recognition` of search_spaces.recipes returns."
            )


def run_name(home: Path, study: str) -> str:
    """The name under which a home folder keeps the runs of a study or a search.

    Raises:
        InputError: there is none, and none of that name was run in this home.
    """
    return study if study in SEARCHES or has_been_run(study, home) else find_study(study).name


def _own_study(file: Path, variable: str) -> Study:
    module = _loaded(file)
    with translate_own_study_errors(f"{file}:{variable}"):
        study = getattr(module, variable, None)
    if not isinstance(study, Study):
        raise InputError(f"{file} defines no study {variable!r}: assign one, {variable} = Study(name={variable!r}, …).")
    if study.name != variable:
        raise InputError(f"{file}: study {variable} is named {study.name!r}; give it name={variable!r}.")
    for what, names in (("study", {*STUDIES, *SUITES}), ("search", SEARCHES)):
        if variable.casefold() in {each.casefold() for each in names}:
            raise InputError(f"{file}: {variable!r} is a {what} of freelunch itself; give yours another name.")
    return study


def _loaded(file: Path) -> ModuleType:
    """A user's file as a module, which can import the files beside it."""
    path = Path(os.path.realpath(file))
    name = f"{OWN_MODULE}_{path.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path):
        return known
    if not path.is_file() or path.suffix != ".py":
        raise InputError(f"{file} is no Python file: a study of your own is named FILE.py:STUDY.")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a Python file has a loader"
    assert spec.loader is not None, "a Python file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        with _importing_from(path.parent), redirect_stdout(sys.stderr):  # what it prints is not the command's result
            spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name, None)
        if isinstance(error, KeyboardInterrupt | MachineError):
            raise
        reason = str(error) if isinstance(error, FreelunchError) else _reason(error)
        raise InputError(f"{_place(file, error)}: {reason}") from error
    return module


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Finds the modules of a folder while the block lasts."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with suppress(ValueError):  # the block has removed it
            sys.path.remove(str(folder))


def _reason(error: BaseException) -> str:
    """The error that a user's file raised, in one line."""
    if isinstance(error, SystemExit):
        return (
            f"SystemExit: the file ends the command (sys.exit({error.code!r})); call that only below "
            'if __name__ == "__main__".'
        )
    module = type(error).__module__
    return error_line(error).removeprefix(f"{module}." if module.startswith(OWN_MODULE) else "")


def _place(file: Path, error: BaseException) -> str:
    """The line of the file, or of one beside it, at which an exception was raised."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown(Path(error.filename), file)}:{error.lineno}"
    folder = Path(os.path.realpath(file)).parent
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent == folder]
    return f"{_shown(Path(frames[-1].filename), file)}:{frames[-1].lineno}" if frames else str(file)


def _shown(path: Path, file: Path) -> Path:
    """A path as the user names the file that is at it, or the files beside that."""
    return file if path == Path(os.path.realpath(file)) else path
