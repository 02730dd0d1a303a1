"""A user's own Python file with studies and searches: loaded, and what it raises told with its line."""

import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from types import ModuleType

from study.execution.events import error_line
from trainers.stage import FreelunchError, InputError, MachineError

OWN_MODULE = "own_study"
"""Prefix of the names of users' modules: a file may have the name of an installed module."""


@contextmanager
def translate_own_errors(asked: str, kind: str = "study") -> Iterator[None]:
    """Turns whatever a user's own study or search raises into a sentence that names the line of its file.

    Args:
        asked: the study or search, as FILE.py:NAME for one of a user's own.
        kind: `study` or `search`.

    Raises:
        InputError: an exception was raised; one of the catalogue keeps its traceback, since that is our own fault.
    """
    file, colon, variable = asked.rpartition(":")
    try:
        yield
    except (FreelunchError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if not colon:
            raise
        raise InputError(f"{_place(Path(file), error)}: {kind} {variable}: {_reason(error)}") from error


def own_output_aside(asked: str) -> AbstractContextManager[object]:
    """Sends what a user's own file prints to the standard error output: it is not the command's result."""
    return redirect_stdout(sys.stderr) if ":" in asked else nullcontext()


def load_own_file(file: Path) -> ModuleType:
    """A user's file as a module, which can import the files beside it."""
    path = Path(os.path.realpath(file))
    name = f"{OWN_MODULE}_{path.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path):
        return known
    if not path.is_file() or path.suffix != ".py":
        raise InputError(f"{file} is no Python file: a study or search of your own is named FILE.py:NAME.")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a Python file has a loader"
    assert spec.loader is not None, "a Python file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        with _importing_from(path.parent), redirect_stdout(sys.stderr):
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
