"""Outlook of a plan on a machine, for people as a table, and for scripts as a record."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.table import Table

from study.console.terminal import new_table
from study.core.graph import walk
from study.core.outlook import Outlook, PlannedMachine, outlook
from study.core.plan import Plan
from study.core.suite import Part, names_of
from study.home.text import duration, size

WORTH_DROPPING_BYTES = 10e9


def wall_time(plan: Plan, machine: PlannedMachine) -> str:
    """Wall time of what is missing, in words; a range where nothing is known of the machine's GPU."""
    *_, (_, (most, least)) = _outlooks(plan, (), machine)
    return _between(least.wall_seconds, most.wall_seconds, duration)


def outlook_table(plan: Plan, parts: Sequence[Part], machine: PlannedMachine, *, energy: bool) -> Table:
    """Wall time, GPU-hours and disk, of every study alone and of all together; energy where it is asked for."""
    table = new_table(
        f"on {machine.title}", "wall time", "GPU-hours", "disk kept", "at most", *(["energy"] if energy else [])
    )
    for name, (most, least) in _outlooks(plan, parts, machine):
        cells = [
            _between(least.wall_seconds, most.wall_seconds, duration),
            _between(least.gpu_hours, most.gpu_hours, lambda hours: f"{hours:.3g}"),
            size(most.kept_bytes),
            size(most.peak_bytes),
            _between(least.kwh, most.kwh, lambda kwh: f"{kwh:.3g} kWh"),
        ]
        table.add_row(name, *cells[: 5 if energy else 4])
    return table


def features_line(plan: Plan) -> str:
    """How much of the disk features take, which a run can remove again; empty where it is little."""
    of_features = sum(plan.kept_bytes[k] for k in plan.missing if plan.stages[k].is_removable)
    if plan.dropped or of_features < WORTH_DROPPING_BYTES:
        return ""
    return f"{size(of_features)} of it are features: --drop-features removes them once all that reads them is finished"


def outlook_record(plan: Plan, parts: Sequence[Part], machine: PlannedMachine) -> dict[str, Any]:
    """The same as JSON; of a GPU that the table does not hold, what the slowest of the table takes, and the fastest."""
    found = {name: {**vars(most), "at_least": vars(least)} for name, (most, least) in _outlooks(plan, parts, machine)}
    device = machine.device.name if machine.device else None
    about = {"title": machine.title, "device": device, "gpus": machine.gpus, "cores": machine.room.cpus}
    return {"machine": {**about, "source": machine.source}, "outlook": found}


def _outlooks(
    plan: Plan, parts: Sequence[Part], machine: PlannedMachine
) -> Iterator[tuple[str, tuple[Outlook, Outlook]]]:
    """The highest and the lowest outlook of every study alone, and of all together."""
    fewest = {k: s if k in plan.measured else machine.fewest_seconds(plan.stages[k]) for k, s in plan.seconds.items()}
    if len(parts) > 1:
        for name, part in zip(names_of(parts), parts, strict=True):
            own = walk(*(trial.stage for trial in part.trials)).keys()
            yield name, (outlook(plan, machine, plan.seconds, own), outlook(plan, machine, fewest, own))
    yield "together", (outlook(plan, machine, plan.seconds), outlook(plan, machine, fewest))


def _between(least: float, most: float, words: Callable[[float], str]) -> str:
    return words(most) if words(most) == words(least) else f"{words(least)} to {words(most)}"
