"""Report of a study: all results of its finished trials, as a page, a Markdown file, data and a picture."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from study.analysis.comparisons import compare_rows, conclusion_sentences, order_sentences, protocol_sentences
from study.analysis.line_margins import compare_margins, margin_sentences
from study.analysis.results import Results, read_results
from study.analysis.row_predictions import read_all_predictions
from study.core.store import Store
from study.core.study import Study, Trial
from study.home.files import write_text
from study.report import tables
from study.report.curve_points import curve_sentences
from study.report.document import Document, Table
from study.report.figures import style
from study.report.figures.overview import overview_figure
from study.report.study_data import results_record, table_csv
from study.report.study_sections import sections
from study.report.teacher_points import teacher_sentences
from study.report.write import HTML, MARKDOWN, write_document

NO_PROBLEMS: Mapping[int, str] = MappingProxyType({})
NOTHING_BESIDE: Mapping[str, Sequence[Trial]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Report:
    """Paths of the files of a report, and its contents in short form."""

    html: Path
    markdown: Path
    results: Path
    csv: Path
    table: Table
    findings: tuple[str, ...]
    """Sentences computed from the numbers."""
    verdict: str
    """Those of them that answer the study's question."""
    numbers: Results
    """The results that the report shows."""


def write_report(
    study: Study,
    trials: Sequence[Trial],
    store: Store,
    folder: Path,
    *,
    context: Mapping[str, str],
    problems: Mapping[int, str] = NO_PROBLEMS,
    beside: Mapping[str, Sequence[Trial]] = NOTHING_BESIDE,
) -> Report:
    """Writes `report.html`, `report.md` with `figures/`, `results.json` and `table.csv` from whatever is finished.

    Args:
        study: the question.
        trials: its trials, in table order.
        store: the store of their artifacts.
        folder: folder of the report; created where it is missing.
        context: facts at the top: preset, `scale`, dataset, versions, the command that reproduces it.
        problems: reason why a trial has no result, by its number.
        beside: trials of the study by dataset, for the panels of its curve from left to right; where `trials` are not
            among them, they come first.

    Raises:
        InputError: an artifact is damaged.
    """
    results = read_results(study, trials, store, problems)
    here = (
        {}
        if any(shown is trials for shown in beside.values())
        else {context.get("dataset", "").partition(",")[0]: trials}
    )
    panels = {
        title: results if shown is trials else read_results(study, shown, store, NO_PROBLEMS)
        for title, shown in {**here, **beside}.items()
    }
    comparisons, margins = compare_rows(results), compare_margins(results)
    curve = [*curve_sentences(results), *teacher_sentences(results)]
    leads = margin_sentences(results, comparisons, margins)
    blocks = sections(results, comparisons, trials, store, context, panels, margins)
    report = Report(
        html=folder / HTML,
        markdown=folder / MARKDOWN,
        results=folder / "results.json",
        csv=folder / "table.csv",
        table=tables.terminal_table(results),
        findings=(*order_sentences(results, comparisons), *curve, *leads, *protocol_sentences(results)),
        verdict=" ".join((*(leads or curve), *conclusion_sentences(results, comparisons))),
        numbers=results,
    )
    document = Document(title=study.title, question=study.introduction, label=f"Study {study.name}", blocks=blocks)
    write_document(document, folder)
    data = results_record(results, comparisons, margins, context, report.findings)
    write_text(report.results, json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    write_text(report.csv, table_csv(results))
    return report


def write_picture(
    study: Study, trials: Sequence[Trial], store: Store, path: Path, *, context: Mapping[str, str]
) -> None:
    """Writes one PNG of 1400×800 pixels: accuracies beside the published ones, one test video, the probe's curves.

    `context` is printed below, so that nobody takes a demo for a result.
    """
    results = read_results(study, trials, store, NO_PROBLEMS)
    footnote = " · ".join(f"{name} {text}" for name, text in context.items()).replace("`", "")
    style.write_png(overview_figure(results, read_all_predictions(results, store), footnote), path, scale=1)
