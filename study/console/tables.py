"""What the commands print: tables for people, and the records behind them for scripts."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from study.core.graph import key, walk
from study.core.plan import Plan
from study.core.savings import shares
from study.core.store import Store
from study.core.study import Study, Trial
from study.core.suite import Part, Suite
from study.home.text import duration

if TYPE_CHECKING:
    from study.report.study_report import Report

FILE_WIDTH = 140
"""Columns of a table that goes into a file or a pipe."""
POWER_GAIN, POWER_SD = 1.0, 3.0
"""The plan's example: a gain of one point where paired differences between videos have this standard deviation."""


def new_console(*, stderr: bool = False) -> Console:
    """A console on standard output or error, wide enough for the tables where it is no terminal.

    The stream is named, so that a stage's output, redirected to its log, does not take the display with it.
    """
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() or "COLUMNS" in os.environ else FILE_WIDTH)


def new_table(*headers: str) -> Table:
    """A table without lines."""
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def studies_table(studies: Iterable[Study]) -> Table:
    """Every study with its question and rows."""
    table = new_table("study", "question", "rows", "held against", "takes")
    for study in studies:
        source = study.published.source.rpartition(", ")[2] if study.published else ""
        table.add_row(study.name, escape(study.question), _rows_line(study), escape(source), _cost_line(study.cost))
    return table


def searches_table(searches: Iterable[Mapping[str, Any]]) -> Table:
    """Every search with what it goes over."""
    table = new_table("search", "question", "over", "objective", "evaluated in")
    for each in searches:
        over = "; ".join(f"[bold]{name}[/] {escape(words)}" for name, words in each["space"].items())
        table.add_row(each["name"], escape(each["question"]), over, escape(each["objective"]), each["evaluated_in"])
    return table


def suites_table(suites: Iterable[Suite]) -> Table:
    """Every suite of studies."""
    table = new_table("together", "question", "studies", "takes")
    for each in suites:
        names = ", ".join(study.name for study in each.studies)
        table.add_row(each.name, escape(each.question), names, _cost_line(each.cost))
    return table


def plan_line(plan: Plan) -> str:
    """A plan in a sentence."""
    num_stages, missing = len(plan.stages), len(plan.missing)
    line = (
        f"{len(plan.trials)} trials need {num_stages} stages ({len(plan.shared)} shared; "
        f"{plan.num_unshared} if each trial computed its own), {len(plan.cached)} of them are finished"
    )
    return (
        f"{line}; {missing} to compute, about {duration(plan.expected_seconds)}"
        if missing
        else f"{line}: nothing to do"
    )


def saving_line(plan: Plan) -> str:
    """What it saves that equal stages are one."""
    saved = plan.unshared_seconds - sum(plan.seconds.values())
    return f"sharing saves about {duration(saved)} of {duration(plan.unshared_seconds)}"


def plan_tables(
    study: Study | Suite,
    plan: Plan,
    sides: Mapping[str, int],
    notes: Sequence[str] = (),
    parts: Sequence[Part] = (),
) -> list[RenderableType]:
    """A plan, type by type and, of several studies, study by study; and what it can and cannot tell."""
    table = new_table("stage", "number", "shared", "cached", "to compute", "expected")
    for record in plan.by_type():
        cells = (record["type"], record["stages"], record["shared"], record["cached"], record["missing"])
        table.add_row(*map(str, cells), duration(record["seconds"]) if record["missing"] else "")
    unmeasured = sorted({plan.stages[k].kind for k in plan.missing if k not in plan.measured})
    basis = (
        f"no {', '.join(unmeasured)} of this size was measured here yet: a guess for two CPU cores"
        if unmeasured
        else "as measured"
    )
    lines = [
        f"[bold]{study.name}[/]: {escape(study.title)}",
        plan_line(plan) + (f" ({basis})" if plan.missing else ""),
        saving_line(plan),
        _power_line(sides),
        *_equal_trials(plan),
        *(f"[yellow]note[/] {escape(note)}" for note in notes),
        *(f"[yellow]note[/] {escape(warning)}" for warning in plan.warnings),
    ]
    return [table, *([parts_table(plan, parts)] if len(parts) > 1 else []), *lines]


def parts_table(plan: Plan, parts: Sequence[Part]) -> Table:
    """What every study would compute alone, and what it adds to those above it."""
    table = new_table(
        "study", "trials", "stages if none is shared", "stages alone", "of them new here", "alone", "new here"
    )
    for share in shares(plan, parts):
        counts = (share.num_trials, share.num_naive, share.num_alone, share.num_new)
        table.add_row(share.study, *map(str, counts), duration(share.alone_seconds), duration(share.new_seconds))
    total = (len(plan.trials), plan.num_unshared, "", len(plan.stages), "", duration(sum(plan.seconds.values())))
    table.add_row("together", *map(str, total), style="bold")
    return table


def plan_record(plan: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    return {
        "trials": [{"number": t.number, "row": t.row.name, "seed": t.seed, "key": key(t.stage)} for t in plan.trials],
        "stages": len(plan.stages),
        "shared": len(plan.shared),
        "unshared": plan.num_unshared,
        "cached": len(plan.cached),
        "missing": [
            {"key": k, "title": plan.stages[k].title, "expected_seconds": round(plan.seconds[k], 1)}
            for k in plan.missing
        ],
        "expected_seconds": round(plan.expected_seconds, 1),
        "by_type": plan.by_type(),
        "warnings": list(plan.warnings),
    }


def problems_of(plan: Plan, store: Store, failures: Mapping[str, str]) -> dict[int, str]:
    """Why trials have no result, a sentence by trial number."""
    problems = {}
    for trial in plan.trials:
        if store.find(key(trial.stage)):
            continue
        stages = walk(trial.stage)
        culprit = next((k for k in stages if k in failures and not store.find(k)), None)
        if culprit is None:
            problems[trial.number] = "not computed yet."
            continue
        blamed = f"blocked by {stages[culprit].title} {culprit[:8]}" if culprit != key(trial.stage) else "failed"
        problems[trial.number] = f"{blamed}: {failures[culprit]} (freelunch logs {culprit[:12]})"
    return problems


def audits_table(trials: Sequence[Trial], store: Store) -> Table:
    """What ingest found in every video."""
    table = new_table("video", "fps", "size", "length", "rows", "margins cut", "remarks")
    for trial in trials:
        folder = store.find(key(trial.stage))
        if folder is None:
            table.add_row(trial.row.name, "", "", "", "", "", "[red]failed[/]")
            continue
        audit = json.loads((folder / "audit.json").read_text())
        margins = "/".join(str(audit["margins"][side]) for side in ("left", "top", "right", "bottom"))
        table.add_row(
            audit["video"],
            f"{audit['source_fps']:g}",
            f"{audit['width_px']}×{audit['height_px']}",
            duration(audit["num_frames_video"] / audit["source_fps"]),
            str(audit["num_rows"]),
            margins,
            escape("; ".join(audit["warnings"])),
        )
    return table


def datasets_table(records: Iterable[Mapping[str, Any]]) -> Table:
    """The registered datasets."""
    table = new_table("dataset", "layout", "videos", "hours", "folder")
    for record in records:
        cells = (record["name"], record["layout"], str(record["videos"]), f"{record['hours']:.2f}", record["root"])
        table.add_row(*map(escape, cells))
    return table


def weights_table(records: Iterable[Mapping[str, Any]]) -> Table:
    """The public weights that have been added."""
    table = new_table("weights", "network", "what they are", "SHA-256", "file")
    for record in records:
        digest = record["digest"][:8]
        table.add_row(*map(escape, (record["name"], record["architecture"], record["title"], digest, record["file"])))
    return table


def logs_table(trial: Trial, store: Store) -> Table:
    """The stages of a trial, and where their logs lie."""
    table = new_table("stage", "key", "state", "log")
    for stage_key, stage in walk(trial.stage).items():
        state = "done" if store.find(stage_key) else "unfinished" if store.unfinished(stage_key) else "waiting"
        table.add_row(escape(stage.title), stage_key[:12], state, str(store.log(stage_key) or ""))
    return table


def report_table(report: "Report") -> Table:
    """The report's table for the terminal."""
    table = new_table(*map(str, report.table.headers))
    for row in report.table.rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    return table


def _cost_line(cost: Mapping[str, str]) -> str:
    return "; ".join(f"[bold]{scale}[/] {escape(text)}" for scale, text in cost.items())


def _rows_line(study: Study) -> str:
    """The names of a study's rows, baselines faint; of a curve with several lines, what it is made of."""
    rows = study.all_rows()
    series = dict.fromkeys(row.series for row in rows if row.series)
    if study.curve and series:
        points = len({row.parameters[study.curve.axis] for row in rows if row.series})
        return f"{', '.join(map(escape, series))}; each at {points} values of {study.curve.axis}"
    return ", ".join(f"[dim]{row.name}[/]" if row.baseline else row.name for row in rows)


def _power_line(sides: Mapping[str, int]) -> str:
    from study.analysis.paired_tests import wilcoxon_power

    power = wilcoxon_power(num_videos=sides["test"], sd=POWER_SD, gain=POWER_GAIN, alpha=0.05)
    videos = ", ".join(f"{count} {side}" for side, count in sides.items())
    if power == 0:
        return f"videos: {videos}. No gain can be significant with {sides['test']} test videos (Wilcoxon, α = 0.05)."
    return (
        f"videos: {videos}. With {sides['test']} test videos whose paired differences vary by {POWER_SD:g} points, a "
        f"gain of {POWER_GAIN:g} point is found significant with probability {power:.2f} (Wilcoxon, α = 0.05)."
    )


def _equal_trials(plan: Plan) -> list[str]:
    labels: dict[str, list[str]] = {}
    for trial in plan.trials:
        labels.setdefault(key(trial.stage), []).append(trial.label)
    return [f"{' and '.join(map(escape, same))} are one trial" for same in labels.values() if len(same) > 1]
