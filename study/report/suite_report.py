"""Report of a suite: its studies side by side, the verdict of each, and the savings from shared stages."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from study.analysis.comparisons import METRIC, ranked
from study.analysis.results import Results, RowResult
from study.core.plan import Plan
from study.core.savings import Recorded, recorded, shares
from study.core.store import Store
from study.core.suite import Part, Suite
from study.home.text import duration
from study.report.document import Block, Cell, Document, Facts, Notice, Paragraph, Picture, Section, Table
from study.report.figures.suite_figure import panels_figure
from study.report.study_report import Report
from study.report.study_sections import stamp
from study.report.tables import UNDEFINED, score_cell
from study.report.write import write_document


def write_overview(
    suite: Suite,
    parts: Sequence[Part],
    reports: Sequence[Report],
    plan: Plan,
    store: Store,
    folder: Path,
    *,
    context: Mapping[str, str],
) -> Path:
    """Writes `report.html` and `report.md` with `figures/`, from the reports of a suite's studies.

    Args:
        suite: what the studies have in common.
        parts: the studies, with the trials that their reports show.
        reports: that of every part.
        plan: of the trials of all parts together.
        store: the store of their artifacts.
        folder: folder of the page; created where it is missing.
        context: facts at the top.

    Returns:
        The HTML page.
    """
    everything = [report.numbers for report in reports]
    blocks: list[Block] = [Facts(context), *stamp(everything, context), *_missing(everything)]
    blocks += [_studies_section(reports, folder), _sharing_section(plan, parts, store)]
    label = f"Suite {suite.name}"
    document = Document(title=suite.title, question=suite.question, label=label, blocks=blocks)
    return write_document(document, folder)


def overview_table(reports: Sequence[Report], folder: Path) -> Table:
    """A row per study: its progress, best row, reference and verdict; titles link to the reports."""
    headers = ("Study", "Trials", "Best row", "Accuracy", "Reference", "Accuracy", "What it says")
    rows = tuple(_study_row(report, folder) for report in reports)
    return Table(headers=tuple(map(Cell, headers)), rows=rows, text_columns=frozenset({0, 2, 4, 6}))


def sharing_table(plan: Plan, parts: Sequence[Part]) -> Table:
    """Stages and expected seconds of every study: if its trials shared none, alone, and beside the studies above it."""
    headers = ("Study", "Trials", *("no stage shared", "alone", "new here") * 2)
    rows = [
        _cells(
            share.study,
            (share.num_trials, share.num_naive, share.num_alone, share.num_new),
            (share.naive_seconds, share.alone_seconds, share.new_seconds),
        )
        for share in shares(plan, parts)
    ]
    counts = (len(plan.trials), plan.num_unshared, UNDEFINED, len(plan.stages))
    together = _cells("together", counts, (plan.unshared_seconds, None, sum(plan.seconds.values())), strong=True)
    groups = (("", 2), ("stages", 3), ("expected time", 3))
    return Table(headers=tuple(map(Cell, headers)), rows=(*rows, together), groups=groups)


def _missing(everything: Sequence[Results]) -> list[Block]:
    found = {results.study.name: _counts(results) for results in everything}
    short = {name: counts for name, counts in found.items() if counts[0] < counts[1]}
    if not short:
        return []
    finished, total = (sum(counts[which] for counts in found.values()) for which in (0, 1))
    where = ", ".join(f"{name} {total - finished} of {total}" for name, (finished, total) in short.items())
    return [Notice(f"{total - finished} of {total} trials have no result: {where}. Their reports say why.")]


def _studies_section(reports: Sequence[Report], folder: Path) -> Section:
    intro = (
        "Strict accuracy on the test videos, percent; the mean over seeds. The best row is the best that is no "
        "baseline. What is conclusive is so against the reference, after Holm's correction within a study: over the "
        "studies together there is no correction."
    )
    caption = (
        "Strict accuracy of every row of every study, on one axis. Blue: the reference, row or line. Light: baselines. "
        "Diamonds: published means. A thin line is the range over seeds, where there are several."
    )
    blocks: list[Block] = [Paragraph(intro), overview_table(reports, folder)]
    everything = [report.numbers for report in reports]
    if any(results.any_scores for results in everything):
        blocks.append(Picture("studies", panels_figure(everything), caption))
    return Section("The studies side by side", blocks)


def _study_row(report: Report, folder: Path) -> tuple[Cell, ...]:
    results = report.numbers
    study, finished = results.study, _counts(results)
    best = next(iter(ranked(results)), None)
    link = quote(os.path.relpath(report.html, folder).replace(os.sep, "/"))
    return (
        Cell(study.title, (study.name,), link=link),
        Cell(f"{finished[0]} of {finished[1]}"),
        Cell(best.row.title if best else UNDEFINED),
        _accuracy_cell(best),
        *_reference_cells(results),
        Cell(report.verdict or "Too little is computed to say anything."),
    )


def _reference_cells(results: Results) -> tuple[Cell, Cell]:
    study = results.study
    if study.curve is not None and study.curve.reference:
        return Cell(f"{study.curve.reference}, value by value"), Cell(UNDEFINED)
    declared = next((row.title for row in study.all_rows() if row.name == study.reference), UNDEFINED)
    return Cell(declared), _accuracy_cell(results.reference)


def _accuracy_cell(result: RowResult | None) -> Cell:
    return score_cell(result.score("strict", METRIC) if result else None)


def _counts(results: Results) -> tuple[int, int]:
    """Numbers of a study's trials: those with a result, and all."""
    trials = [trial for row in results.rows for trial in row.trials]
    return sum(trial.scores is not None for trial in trials), len(trials)


def _sharing_section(plan: Plan, parts: Sequence[Part], store: Store) -> Section:
    intro = (
        "Equal stages are one stage, within a study and between studies. “No stage shared” is what it would take if "
        "every trial computed all of its stages; “alone”, if this study had been asked alone; “new here”, what it "
        "adds to the studies above it. Expected times are for this machine, one stage after the other."
    )
    took = recorded(plan, store)
    blocks: list[Block] = [Paragraph(intro), sharing_table(plan, parts)]
    if took.num_finished:
        blocks.append(Paragraph(_took_text(took)))
    return Section("What sharing saved", blocks)


def _took_text(took: Recorded) -> str:
    saved = took.naive_seconds - took.seconds
    share = f", or {100 * saved / took.naive_seconds:.0f} %" if took.naive_seconds else ""
    finished = "all" if took.num_finished == took.num_stages else f"{took.num_finished} of"
    return (
        f"What it really took, by the manifests of {finished} {took.num_stages} stages: {duration(took.seconds)}, one "
        "stage after the other. Had every trial computed all of its stages, each at the seconds recorded, these would "
        f"have taken {duration(took.naive_seconds)}: sharing saved {duration(saved)}{share}."
    )


def _cells(
    title: str, counts: Sequence[object], seconds: Sequence[float | None], *, strong: bool = False
) -> tuple[Cell, ...]:
    texts = [*map(str, counts), *(UNDEFINED if each is None else duration(each) for each in seconds)]
    return Cell(title, strong=strong), *(Cell(text, strong=strong) for text in texts)
