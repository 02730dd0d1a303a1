"""Status of a search, read from Optuna's storage, also while another process searches."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial
from rich.console import RenderableType
from rich.markup import escape

from study.console.status import running_lines
from study.home.runs import RunningProcess
from study.search.optuna_study import parameters_of, without_duplicates
from study.search.request import SearchRequest
from study.search.results import STATES, best_of
from study.search.storage import read_study, read_trials


def search_record(request: SearchRequest, home: Path, running: Sequence[RunningProcess]) -> dict[str, Any]:
    """Numbers of trials by state, the best trial, and the processes that search now.

    Raises:
        MachineError: the storage cannot be used, or its password is not known.
    """
    stored = read_study(request.optuna_name, request.url(home))
    trials = without_duplicates(stored.trials)
    states = {said: count for state, said in STATES.items() if (count := sum(t.state == state for t in trials))}
    best = best_of(trials, maximised=stored.maximised)
    is_done = len(trials) >= request.num_trials and all(trial.state.is_finished() for trial in trials)
    return {
        "asked": request.num_trials,
        "states": states,
        "best": _best_record(best) if best else None,
        "drivers": [asdict(driver) for driver in running],
        "resumable": not running and not is_done,
    }


def search_lines(name: str, record: Mapping[str, Any], home: Path) -> list[RenderableType]:
    """The record as printed lines."""
    states = record["states"]
    said = ", ".join(f"{count} {state}" for state, count in states.items()) or "none yet"
    begun = sum(states.values())
    lines: list[RenderableType] = [f"[bold]{name}[/] (search): {begun} of {record['asked']} trials: {said}"]
    if best := record["best"]:
        settings = ", ".join(f"{key} {value}" for key, value in best["parameters"].items())
        lines.append(escape(f"best so far: {best['value']:.2f}, trial {best['number']}: {settings}"))
    return [*lines, *running_lines(name, record["drivers"], home)]


def stored_trials(request: SearchRequest, home: Path) -> list[FrozenTrial]:
    """The trials of a search in Optuna's storage, by number.

    Raises:
        MachineError: the storage cannot be used, or does not have the study.
    """
    return read_trials(request.optuna_name, request.url(home))


def _best_record(best: FrozenTrial) -> dict[str, Any]:
    return {"number": best.number, "value": best.values[0], "parameters": parameters_of(best)}
