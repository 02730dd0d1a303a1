"""The report of a study: everything that its finished trials show, as a page, a Markdown file, data and a picture."""

import csv
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Any

from study.analysis.comparisons import (
    compare_rows,
    conclusion_sentences,
    exchanged,
    order_sentences,
    protocol_sentences,
    references,
)
from study.analysis.line_margins import compare_margins, margin_sentences
from study.analysis.paired_tests import Comparison
from study.analysis.results import (
    FRAMEWISE,
    PROTOCOLS,
    Results,
    RowResult,
    RowScore,
    read_all_predictions,
    read_results,
)
from study.core.graph import key
from study.core.store import Store
from study.core.study import Study, Trial
from study.core.suite import Collection
from study.report import tables
from study.report.curve_points import curve_sentences
from study.report.document import Block, Picture, pictures, to_html, to_markdown
from study.report.figures import style
from study.report.figures.overview import overview_figure
from study.report.study_sections import sections
from study.report.tables import METRIC_TITLES, Table

HTML, MARKDOWN = "report.html", "report.md"
NO_PROBLEMS: Mapping[int, str] = MappingProxyType({})
NOTHING_BESIDE: Mapping[str, Sequence[Trial]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was written, and what a terminal shows of it."""

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
    """What all of it was made of."""


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
        store: where their artifacts lie.
        folder: where the report goes; created where it is missing.
        context: what is shown at the top: preset, `scale`, dataset, versions, the command that reproduces it.
        problems: why a trial has no result, by its number.
        beside: the study's trials on other datasets, by dataset, for its curve.

    Raises:
        InputError: an artifact is damaged.
    """
    results = read_results(study, trials, store, problems)
    elsewhere = {dataset: read_results(study, others, store, NO_PROBLEMS) for dataset, others in beside.items()}
    comparisons, margins = compare_rows(results), compare_margins(results)
    curve, leads = curve_sentences(results), margin_sentences(results, comparisons, margins)
    blocks = sections(results, comparisons, trials, store, context, elsewhere, margins)
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
    write_page(study, f"Study {study.name}", blocks, folder)
    data = _data(results, comparisons, margins, context, report.findings)
    _write(report.results, json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    _write(report.csv, _csv(results))
    return report


def write_picture(
    study: Study, trials: Sequence[Trial], store: Store, path: Path, *, context: Mapping[str, str]
) -> None:
    """Writes one PNG of 1400×800 pixels: accuracies beside the published ones, one test video, the probe's curves.

    `context` is printed below, so that nobody takes a demo for a result.
    """
    results = read_results(study, trials, store, NO_PROBLEMS)
    footnote = " · ".join(f"{name} {text}" for name, text in context.items()).replace("`", "")
    style.png(overview_figure(results, read_all_predictions(results, store), footnote), path, scale=1)


def write_page(asked: Study | Collection, label: str, blocks: Sequence[Block], folder: Path) -> None:
    """Writes `report.html`, and `report.md` with `figures/`, under the title and the question of what was asked."""
    _write_figures(folder / "figures", pictures(blocks))
    _write(folder / HTML, _page(asked, label, to_html(blocks)))
    _write(folder / MARKDOWN, to_markdown(asked.title, asked.question, blocks))


def _write_figures(folder: Path, shown: Sequence[Picture]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for picture in shown:
        _write(folder / f"{picture.name}.svg", picture.svg + "\n")
        style.png(picture.figure, folder / f"{picture.name}.png")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _page(asked: Study | Collection, label: str, body: str) -> str:
    template = Template(resources.files("study.report").joinpath("templates/report.html").read_text(encoding="utf-8"))
    words = {"title": asked.title, "question": asked.question, "study": label}
    return template.substitute({name: html.escape(text) for name, text in words.items()} | {"body": body})


def _data(
    results: Results,
    comparisons: Mapping[str, Comparison],
    margins: Mapping[str, Comparison],
    context: Mapping[str, str],
    findings: Sequence[str],
) -> dict[str, Any]:
    study, scores = results.study, results.any_scores
    published = {"source": study.published.source, "note": study.published.note} if study.published else None
    return {
        "study": study.name,
        "title": study.title,
        "question": study.question,
        "context": dict(context),
        "reference": study.reference,
        "reference_line": (study.curve.reference or None) if study.curve else None,
        "published": published,
        "phases": list(scores.phases) if scores else [],
        "num_test_videos": scores.num_videos if scores else None,
        "findings": list(findings),
        "rows": [_row_data(results, result) for result in results.rows],
        "comparisons": {
            name: {"with": references(study)[name], **_comparison_data(c)} for name, c in comparisons.items()
        },
        "margin_changes": {line: _comparison_data(c) for line, c in margins.items()},
    }


def _comparison_data(comparison: Comparison) -> dict[str, Any]:
    return {**asdict(comparison), "verdict": comparison.verdict}


def _row_data(results: Results, result: RowResult) -> dict[str, Any]:
    published = results.study.published
    return {
        "name": result.row.name,
        "title": result.row.title,
        "baseline": result.row.baseline,
        "problems": list(result.problems),
        "trials": [{"number": r.trial.number, "seed": r.trial.seed, "key": key(r.trial.stage)} for r in result.trials],
        "parameters": {name: str(value) for name, value in result.trials[0].trial.parameters.items()},
        "protocols": {protocol: _protocol_data(result, protocol) for protocol in (*PROTOCOLS, FRAMEWISE)},
        "per_video_accuracy": result.values("accuracy"),
        "knn_accuracy": result.probe_accuracy,
        "published": dict(published.rows.get(result.row.name, {})) if published else {},
        "published_exchanged": exchanged(published, result.row.name) if published else {},
    }


def _protocol_data(result: RowResult, protocol: str) -> dict[str, Any]:
    metrics = {metric for scores in result.scored.values() for metric in scores.summary.get(protocol, {})}
    found = {metric: result.score(protocol, metric) for metric in sorted(metrics)}
    return {metric: asdict(score) if score else None for metric, score in found.items()}


def _csv(results: Results) -> str:
    """The main table, a column per number."""
    buffer = io.StringIO()
    metrics = [metric for metric in METRIC_TITLES for metric in (metric, f"{metric}_std", f"{metric}_seed_std")]
    printed = [f"published_{metric}{part}" for metric in tables.PRINTED for part in ("", "_std")]
    fields = ["row", "title", "baseline", "seeds", *metrics, "framewise_accuracy", "knn_accuracy", *printed]
    writer = csv.DictWriter(buffer, fields, lineterminator="\n")
    writer.writeheader()
    for result in results.rows:
        writer.writerow(_csv_row(results, result))
    return buffer.getvalue()


def _csv_row(results: Results, result: RowResult) -> dict[str, object]:
    row: dict[str, object] = {"row": result.row.name, "title": result.row.title, "baseline": result.row.baseline}
    row |= {"seeds": len(result.scored), "knn_accuracy": result.probe_accuracy}
    row["framewise_accuracy"] = _mean(result.score(FRAMEWISE, "accuracy"))
    for metric in METRIC_TITLES:
        score = result.score("strict", metric)
        if score is not None:
            row |= {metric: score.mean, f"{metric}_std": score.std, f"{metric}_seed_std": score.seed_std}
    printed = results.study.published.rows.get(result.row.name, {}) if results.study.published else {}
    for metric, (mean, std) in printed.items():
        row |= {f"published_{metric}": mean, f"published_{metric}_std": std}
    return row


def _mean(score: RowScore | None) -> float | None:
    return score.mean if score else None
