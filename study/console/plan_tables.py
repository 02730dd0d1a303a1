"""A plan for people, as tables and sentences, and for scripts, as a record."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from study.analysis.paired_tests import ALPHA, verdict_power, wilcoxon_power
from study.console.outlook_tables import wall_time
from study.console.terminal import new_table
from study.core.graph import key
from study.core.outlook import PlannedMachine
from study.core.plan import Plan
from study.core.savings import shares
from study.core.study import Study
from study.core.suite import Part, Suite
from study.home.text import duration, size

POWER_GAIN, POWER_SD = 1.0, 3.0
"""The plan's example: a gain of one point where paired differences between videos have this standard deviation."""


def plan_line(plan: Plan, machine: PlannedMachine | None = None) -> str:
    """A plan in a sentence, with its wall time on a machine, or else the time of its stages one after the other."""
    num_stages, missing = len(plan.stages), len(plan.missing)
    line = (
        f"{'1 trial needs' if len(plan.trials) == 1 else f'{len(plan.trials)} trials need'} {num_stages} stages "
        f"({len(plan.shared)} shared; "
        f"{plan.num_unshared} if each trial computed its own), {len(plan.cached)} of them are finished"
    )
    if not missing:
        return f"{line}: nothing to do"
    time = wall_time(plan, machine) if machine else duration(plan.expected_seconds)
    return f"{line}; {missing} to compute, about {time}"


def saving_line(plan: Plan) -> str:
    """Expected savings from shared stages, in a sentence."""
    saved = plan.unshared_seconds - sum(plan.seconds.values())
    return f"sharing saves about {duration(saved)} of {duration(plan.unshared_seconds)}"


def tape_lines(plan: Plan) -> list[str]:
    """A sentence on the tapes of a plan and what they save; none where there are none."""
    if not plan.tapes:
        return []
    num_bytes = sum(plan.kept_bytes[stage_key] for stage_key in plan.tapes)
    replaying = sum(bool(stage.aids()) for stage in plan.stages.values())
    tapes = "1 tape" if len(plan.tapes) == 1 else f"{len(plan.tapes)} tapes"
    stages = "1 stage" if replaying == 1 else f"{replaying} stages"
    saved = plan.saved_seconds
    gain = (
        f"about {duration(saved)} less" if saved >= 0 else f"about {duration(-saved)} more, as recording takes longer"
    )
    return [
        f"{tapes} of what frozen networks say, for {stages}: {gain}, and {size(num_bytes)} of disk until they are "
        "finished (--tape off: none)"
    ]


def plan_tables(
    study: Study | Suite,
    plan: Plan,
    sides: Mapping[str, Mapping[str, int]],
    notes: Sequence[str] = (),
    parts: Sequence[Part] = (),
    machine: PlannedMachine | None = None,
) -> list[RenderableType]:
    """A plan by type of stage and, of several studies, by study; then sentences on its time, power and notes.

    Args:
        study: what is planned.
        plan: its stages.
        sides: number of videos by side of the split, for every dataset.
        notes: sentences to end with.
        parts: the studies of the plan.
        machine: that it is made for; two CPU cores where not given.
    """
    table = new_table("stage", "number", "shared", "cached", "to compute", "expected")
    for record in plan.by_type():
        cells = (record["type"], record["stages"], record["shared"], record["cached"], record["missing"])
        table.add_row(*map(str, cells), duration(record["seconds"]) if record["missing"] else "")
    lines = [
        f"[bold]{study.name}[/]: {escape(study.title)}",
        plan_line(plan, machine) + (f" ({_basis(plan, machine)})" if plan.missing else ""),
        saving_line(plan),
        *tape_lines(plan),
        *(_power_line(f"videos of {name}" if len(sides) > 1 else "videos", each) for name, each in sides.items()),
        *_equal_trials(plan),
        *(f"[yellow]note[/] {escape(note)}" for note in notes),
    ]
    return [table, *([parts_table(plan, parts)] if len(parts) > 1 else []), *lines]


def _basis(plan: Plan, machine: PlannedMachine | None) -> str:
    """What the time of a plan rests on: what was measured, and of which types of stage nothing was."""
    kinds = {plan.stages[k].kind for k in plan.missing}
    unmeasured = sorted({plan.stages[k].kind for k in plan.missing if k not in plan.measured})
    if not unmeasured:
        return "as measured"
    what = "nothing" if len(unmeasured) == len(kinds) > 1 else f"no {', '.join(unmeasured)}"
    where = "here" if machine is None or machine.is_here else "there"
    device = f"{machine.title}, {machine.source}" if machine else "two CPU cores"
    return f"{what} of this size was measured {where} yet: a guess for {device}"


def parts_table(plan: Plan, parts: Sequence[Part]) -> Table:
    """Stages and time of every study: alone, and in addition to the studies above it."""
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
        "tapes": [
            {"key": k, "title": plan.stages[k].title, "bytes": round(plan.kept_bytes[k])} for k in sorted(plan.tapes)
        ],
        "saved_by_tapes_seconds": round(plan.saved_seconds, 1),
        "by_type": plan.by_type(),
        "changed_sources": dict(plan.changed_sources),
    }


def _power_line(title: str, sides: Mapping[str, int]) -> str:
    test, verdict = (
        power(num_videos=sides["test"], sd=POWER_SD, gain=POWER_GAIN, alpha=ALPHA)
        for power in (wilcoxon_power, verdict_power)
    )
    videos = ", ".join(f"{count} {side}" for side, count in sides.items())
    if test == 0:
        return (
            f"{title}: {videos}. No gain can be significant with {sides['test']} test videos (Wilcoxon, α = {ALPHA:g})."
        )
    return (
        f"{title}: {videos}. With {sides['test']} test videos whose paired differences vary by {POWER_SD:g} points, a "
        f"gain of {POWER_GAIN:g} point is found significant with probability {test:.2f} (Wilcoxon, α = {ALPHA:g}), and "
        f"its verdict is better with probability {verdict:.2f}, for which the interval must be above zero too."
    )


def _equal_trials(plan: Plan) -> list[str]:
    labels: dict[str, list[str]] = {}
    for trial in plan.trials:
        labels.setdefault(key(trial.stage), []).append(trial.label)
    return [f"{' and '.join(map(escape, same))} are one trial" for same in labels.values() if len(same) > 1]
