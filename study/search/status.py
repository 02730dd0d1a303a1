"""How far a search is, read from Optuna's storage: also while another process searches."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial
from rich.console import RenderableType
from rich.markup import escape
from sqlalchemy.engine import make_url

from study.console.status import running_lines
from study.home.runs import RunningProcess
from study.search.optuna_study import parameters_of, storage_at, storage_explained, without_duplicates
from study.search.report import STATES, best_of
from study.search.request import Asking
from trainers.stage import MachineError


def search_record(asking: Asking, home: Path, running: Sequence[RunningProcess], *, maximised: bool) -> dict[str, Any]:
    """A search's trials by their state, the best of them, and who is at it now.

    Raises:
        MachineError: the storage cannot be used, or its password is not known.
    """
    trials = without_duplicates(kept_trials(asking, home))
    states = {said: count for state, said in STATES.items() if (count := sum(t.state == state for t in trials))}
    best = best_of(trials, maximised=maximised)
    is_done = len(trials) >= asking.num_trials and all(trial.state.is_finished() for trial in trials)
    return {
        "asked": asking.num_trials,
        "states": states,
        "best": _best_record(best) if best else None,
        "drivers": [asdict(driver) for driver in running],
        "resumable": not running and not is_done,
    }


def search_lines(name: str, record: Mapping[str, Any], home: Path) -> list[RenderableType]:
    """The same for people."""
    states = record["states"]
    said = ", ".join(f"{count} {state}" for state, count in states.items()) or "none yet"
    begun = sum(states.values())
    lines: list[RenderableType] = [f"[bold]{name}[/] (search): {begun} of {record['asked']} trials: {said}"]
    if best := record["best"]:
        settings = ", ".join(f"{key} {value}" for key, value in best["parameters"].items())
        lines.append(escape(f"best so far: {best['value']:.2f}, trial {best['number']}: {settings}"))
    return [*lines, *running_lines(name, record["drivers"], home)]


def kept_trials(asking: Asking, home: Path) -> list[FrozenTrial]:
    """What Optuna keeps of a search's trials, by number; nothing is made where there is nothing.

    Raises:
        MachineError: the storage cannot be used, or does not have the study.
    """
    name, url = asking.optuna_name, asking.url(home)
    with storage_explained(url):
        location = make_url(url)
        if location.get_backend_name() == "sqlite" and not Path(location.database or "").is_file():
            raise MachineError(f"{location.database} is not there, which held the trials of {name!r}.")
        storage = storage_at(url)
        try:
            return storage.get_all_trials(storage.get_study_id_from_name(name), deepcopy=False)
        except KeyError:
            raise MachineError(f"the Optuna study {name!r} is not in its storage any more.") from None
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _best_record(best: FrozenTrial) -> dict[str, Any]:
    return {"number": best.number, "value": best.values[0], "parameters": parameters_of(best)}
