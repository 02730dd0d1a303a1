"""Resolution of STUDY in a command line: a study of the catalogue, a suite, or a study in a user's own file."""

import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
from trainers.stage import FreelunchError, InputError

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
    """Turns every exception in a user's own study into a sentence that names the line of its file.

    Raises:
        InputError: an exception was raised; a study of the catalogue keeps its traceback, since that is our own fault.
    """
    file, colon, variable = study.rpartition(":")
    try:
        yield
    except FreelunchError:
        raise
    except Exception as error:
        if not colon:
            raise
        raise InputError(f"{_place(Path(file), error)}: study {variable}: {error_line(error)}") from error


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
    study = getattr(_loaded(file), variable, None)
    if not isinstance(study, Study):
        raise InputError(f"{file} defines no study {variable!r}: assign one, {variable} = Study(name={variable!r}, …).")
    if study.name != variable:
        raise InputError(f"{file}: study {variable} is named {study.name!r}; give it name={variable!r}.")
    for what, names in (("study", {*STUDIES, *SUITES}), ("search", SEARCHES)):
        if variable in names:
            raise InputError(f"{file}: {variable!r} is a {what} of freelunch itself; give yours another name.")
    return study


def _loaded(file: Path) -> ModuleType:
    """A user's file as a module, which can import the files beside it."""
    path = file.resolve()
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
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except FreelunchError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"{_place(file, error)}: {error_line(error)}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def _place(file: Path, error: Exception) -> str:
    """The line of the file, or of one beside it, at which an exception was raised."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown(Path(error.filename), file)}:{error.lineno}"
    folder = file.resolve().parent
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent == folder]
    return f"{_shown(Path(frames[-1].filename), file)}:{frames[-1].lineno}" if frames else str(file)


def _shown(path: Path, file: Path) -> Path:
    """A path as the user names the file that is at it, or the files beside that."""
    return file if path == file.resolve() else path
