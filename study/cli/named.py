"""What a command line's STUDY names: a study of the house, a collection of them, or a study in a user's own file."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from search_spaces.catalogue import COLLECTIONS, STUDIES
from study.collection import Collection
from study.request import has_been_run
from study.spec import Study, nearest
from trainers.stage import InputError

OWN_MODULE = "own_study"
"""Modules of users' files are named after it: a file may be called like one that is installed."""


def named_study(name: str) -> Study | Collection:
    """A study by its name, or FILE.py:NAME for one of a user's own.

    Raises:
        InputError: there is none.
    """
    file, colon, variable = name.rpartition(":")
    if colon:
        return _own_study(Path(file), variable)
    known: dict[str, Study | Collection] = {**STUDIES, **COLLECTIONS}
    if name not in known:
        raise InputError(f"no study named {name!r}{nearest(name, known)}")
    return known[name]


def name_in(home: Path, study: str) -> str:
    """What the runs of a study are found by in a home folder.

    Raises:
        InputError: there is no such study, and none of that name was run in this home.
    """
    return study if has_been_run(study, home) else named_study(study).name


def _own_study(file: Path, variable: str) -> Study:
    study = getattr(_loaded(file), variable, None)
    if not isinstance(study, Study):
        raise InputError(f"{file} defines no study {variable!r}: assign one, {variable} = Study(name={variable!r}, …).")
    if study.name != variable:
        raise InputError(f"{file}: study {variable} is named {study.name!r}; give it name={variable!r}.")
    if variable in STUDIES or variable in COLLECTIONS:
        raise InputError(f"{file}: {variable!r} is a study of freelunch itself; give yours another name.")
    return study


def _loaded(file: Path) -> ModuleType:
    """A user's file as a module, which can import what lies beside it."""
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
    except InputError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"{_place(file, error)}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def _place(file: Path, error: Exception) -> str:
    """The file, and the line of it at which something went wrong."""
    if isinstance(error, SyntaxError):
        return f"{file}:{error.lineno}"
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file.resolve()):
            line = trace.tb_lineno
        trace = trace.tb_next
    return str(file) if line is None else f"{file}:{line}"
