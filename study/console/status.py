"""Progress of a study and of its unfinished stages, also while another process runs it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.markup import escape

from study.analysis.remarks import stage_remarks
from study.console.lines import progress_note
from study.console.terminal import new_table
from study.core.graph import key, walk
from study.core.plan import Plan
from study.core.progress import read_progress
from study.core.store import Store
from study.home.commands import expand_commands, program
from study.home.runs import RunningProcess
from study.home.text import duration


def status_record(
    plan: Plan, store: Store, problems: Mapping[str, str], running: Sequence[RunningProcess] = ()
) -> dict[str, Any]:
    """Record of a study's progress: its trials, its unfinished stages, and the processes that run it now."""
    stages = [_stage_status(plan, store, stage_key, problems) for stage_key in plan.missing]
    by_key = {stage["key"]: stage for stage in stages}
    trials = []
    for trial in plan.trials:
        own = [by_key[k] for k in walk(trial.stage) if k in by_key]
        state = "done" if store.find(key(trial.stage)) else _worst([stage["state"] for stage in own])
        trials.append({"row": trial.row.name, "seed": trial.seed, "state": state, "stages_left": len(own)})
    return {
        "stages": len(plan.stages),
        "finished": len(plan.cached),
        "expected_seconds": round(plan.expected_seconds, 1),
        "trials": trials,
        "unfinished": stages,
        "remarks": [asdict(remark) for remark in stage_remarks(plan.stages, store)],
        "drivers": [asdict(driver) for driver in running],
        "resumable": bool(stages) and not running and all(stage["state"] != "running" for stage in stages),
    }


def status_tables(name: str, record: Mapping[str, Any], home: Path) -> list[RenderableType]:
    """The same for people."""
    trials = new_table("row", "seed", "state", "stages left")
    for trial in record["trials"]:
        trials.add_row(trial["row"], str(trial["seed"]), trial["state"], str(trial["stages_left"]))
    left = f", about {duration(record['expected_seconds'])} left" if record["unfinished"] else ""
    lines: list[RenderableType] = [f"[bold]{name}[/]: {record['finished']} of {record['stages']} stages{left}", trials]
    lines += running_lines(name, record["drivers"], home)
    active = [stage for stage in record["unfinished"] if stage["state"] != "waiting"]
    if active:
        stages = new_table("stage", "key", "state", "progress")
        for stage in active:
            stages.add_row(
                escape(stage["title"]), stage["key"][:8], stage["state"], escape(expand_commands(stage["note"], home))
            )
        lines.append(stages)
    lines += [
        f"[yellow]note[/] {escape(remark['title'])} {remark['key'][:8]}: {escape(remark['sentence'])}"
        for remark in record["remarks"]
    ]
    return lines


def running_lines(name: str, drivers: Sequence[Mapping[str, Any]], home: Path) -> list[str]:
    """The processes that run it now, with the command that stops them."""
    return [
        f"running since {driver['started']} as process {driver['pid']} on {driver['host']}: "
        f"{escape(program(home))} stop {name}"
        for driver in drivers
    ]


def _stage_status(plan: Plan, store: Store, stage_key: str, problems: Mapping[str, str]) -> dict[str, Any]:
    stage = plan.stages[stage_key]
    folder = store.unfinished(stage_key)
    if folder is not None and store.is_claimed(stage_key):
        state, note = "running", _progress_note(store, stage_key)
    elif stage_key in problems:
        state, note = "failed", problems[stage_key]
    elif folder is not None:
        state, note = "interrupted", _progress_note(store, stage_key)
    else:
        state, note = "waiting", ""
    return {"key": stage_key, "title": stage.title, "state": state, "note": note}


def _progress_note(store: Store, stage_key: str) -> str:
    folder = store.unfinished(stage_key)
    progress = read_progress(folder) if folder else None
    if progress is None:
        return ""
    metrics = progress.metrics
    parts = [f"{100 * metrics['fraction']:.0f} %"] if "fraction" in metrics else []
    parts += [note] if (note := progress_note(metrics, progress.epoch)) else []
    return f"{', '.join(parts)} ({duration(time.time() - progress.time)} ago)"


def _worst(states: Sequence[str]) -> str:
    for state in ("running", "failed", "interrupted"):
        if state in states:
            return state
    return "waiting"
