"""Resolution of a name in a command line: of the catalogue, or of a user's own file as FILE.py:NAME."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Literal

from search_spaces.searches.distilled import SEARCHES
from search_spaces.studies.catalogue import STUDIES, SUITES
from study.cli.own_file import load_own_file, own_output_aside, translate_own_errors
from study.core.study import Study, Trial
from study.core.suite import Suite
from study.home.text import nearest
from study.search.space import Search
from trainers.evaluation.evaluate import Evaluate
from trainers.names import alike
from trainers.stage import InputError

Wanted = Literal["study", "search", "study or search"]
CLASSES = {"study": "Study(…)", "search": "Search(…)", "study or search": "Study(…) or Search(…)"}
CATALOGUE: Mapping[str, Study | Suite | Search] = {**STUDIES, **SUITES, **SEARCHES}


def find_study(name: str) -> Study | Suite:
    """A study or a suite by its name, or a study as FILE.py:NAME.

    Raises:
        InputError: there is none.
    """
    found = find_asked(name, "study")
    if isinstance(found, Search):
        raise InputError(f"{name!r} is a search, not a study: `freelunch search {shlex.quote(name)}` asks it.")
    return found


def find_search(name: str) -> Search:
    """A search by its name, or as FILE.py:NAME.

    Raises:
        InputError: there is none.
    """
    found = find_asked(name, "search")
    if not isinstance(found, Search):
        raise InputError(f"{name!r} is a study, not a search: `freelunch run {shlex.quote(name)}` runs it.")
    return found


def find_asked(name: str, wanted: Wanted = "study or search") -> Study | Suite | Search:
    """Whatever has a name; `wanted` is what the sentence of an unknown name lists.

    Raises:
        InputError: nothing has it.
    """
    file, colon, variable = name.rpartition(":")
    if colon:
        return _own(Path(file), variable, wanted)
    if name not in CATALOGUE:
        valid = {"study": [*STUDIES, *SUITES], "search": [*SEARCHES], "study or search": [*CATALOGUE]}[wanted]
        raise InputError(f"no {wanted} named {name!r}{nearest(name, valid)}")
    return CATALOGUE[name]


def find_evaluating_study(asked: str, search: Search) -> tuple[str, Study]:
    """The study that evaluates the best trial of a search, after its name in a command.

    Args:
        asked: the search, by its name or as FILE.py:NAME.
        search: the same.

    Raises:
        InputError: neither this repository nor the search's own file has it.
    """
    name = search.evaluated_in
    file, colon, _ = asked.rpartition(":")
    own = vars(load_own_file(Path(file))) if colon else {}
    if isinstance(own.get(name), Study) and name not in CATALOGUE:
        return f"{file}:{name}", find_own_study(file, name)
    if name in STUDIES:
        return name, STUDIES[name]
    where = f"no study of this repository or of {file}" if colon else "no study"
    valid = dict.fromkeys((*(each for each, value in own.items() if isinstance(value, Study)), *STUDIES))
    raise InputError(f"search {search.name} is evaluated in {name!r}, which is {where}{nearest(name, valid)}")


def find_own_study(file: str, variable: str) -> Study:
    """A study of a user's own file."""
    study = find_study(f"{file}:{variable}")
    assert isinstance(study, Study), "files have no suites"
    return study


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


def _own(file: Path, variable: str, wanted: Wanted) -> Study | Search:
    module, asked = load_own_file(file), f"{file}:{variable}"
    with own_output_aside(asked), translate_own_errors(asked, "search" if wanted == "search" else "study"):
        found = getattr(module, variable, None)
    if not isinstance(found, Study | Search):
        close = alike(variable, _asked_in(module, wanted))
        example = CLASSES[wanted].replace("…", f"name={variable!r}, …")
        hint = f"; did you mean {close[0]!r}?" if close else f": assign one, {variable} = {example}."
        raise InputError(f"{file} defines no {wanted} {variable!r}{hint}")
    kind = "search" if isinstance(found, Search) else "study"
    if found.name != variable:
        raise InputError(f"{file}: {kind} {variable} is named {found.name!r}; give it name={variable!r}.")
    for what, names in (("study", {*STUDIES, *SUITES}), ("search", SEARCHES)):
        if variable.casefold() in {each.casefold() for each in names}:
            raise InputError(f"{file}: {variable!r} is a {what} of freelunch itself; give yours another name.")
    return found


def _asked_in(module: ModuleType, wanted: Wanted) -> list[str]:
    """Names of a user's own studies or searches in a file, without those of the catalogue that it imports."""
    kinds = tuple(kind for word, kind in (("study", Study), ("search", Search)) if word in wanted.split(" or "))
    return [
        name for name, value in vars(module).items() if isinstance(value, kinds) and value is not CATALOGUE.get(name)
    ]
