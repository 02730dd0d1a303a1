"""Names of what was run in a home folder: of the catalogue, or of a user's own file, by it or by the name alone."""

from pathlib import Path
from typing import Literal

from search_spaces.searches.distilled import SEARCHES
from study.cli.resolve import find_asked
from study.home.request import has_been_run, never_run
from study.home.runs import active_runs
from study.home.searches import has_been_searched
from study.search.space import Search
from trainers.stage import InputError

OWN_FILE = ".py:"


def run_name(home: Path, asked: str) -> str:
    """The name under which a home folder keeps the runs of a study or a search.

    Raises:
        InputError: there is none, and none of that name was or is run in this home.
    """
    is_known = asked in SEARCHES or has_been_run(asked, home) or has_been_searched(asked, home)
    return asked if is_known or active_runs(home, asked) else find_asked(asked).name


def recorded_name(home: Path, asked: str) -> str:
    """The same, for what reads a run: one of a user's own file must have been run, as its name alone names no file.

    Raises:
        InputError: as `run_name`, or it has not been run in this home; the sentence has the command that runs it.
    """
    name = run_name(home, asked)
    if name == asked or has_been_run(name, home) or has_been_searched(name, home):
        return name
    kind, verb = ("search", "search") if isinstance(find_asked(asked), Search) else ("study", "run")
    raise never_run(f"{kind} {name!r}", home, verb, asked)


def is_search(name: str, home: Path) -> bool:
    """Whether a name is that of a search: of the catalogue, or of a user's own that was run in this home."""
    return name in SEARCHES or has_been_searched(name, home)


def split_trial(target: str) -> tuple[str, str | None]:
    """The study or search of STUDY/ROW or FILE.py:NAME/ROW, and the row; None where there is only the name."""
    file, colon, rest = target.rpartition(OWN_FILE)
    name, slash, row = rest.partition("/")
    return f"{file}{colon}{name}", row if slash else None


def check_name_is_free(asked: str, home: Path, kind: Literal["study", "search"]) -> None:
    """Refuses a user's own study of the name of a search that was run in a home, and the other way round.

    By its name alone, which `status` and `report` take, only one of them could be meant.

    Raises:
        InputError: the name is taken.
    """
    file, colon, name = asked.rpartition(":")
    if not colon:
        return
    is_taken, other = (has_been_searched, "search") if kind == "study" else (has_been_run, "study")
    if is_taken(name, home):
        raise InputError(f"{file}: a {other} named {name!r} has been run in {home}; give the {kind} another name.")
