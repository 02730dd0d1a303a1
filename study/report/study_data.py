"""The numbers of a study's report for programs: `results.json` and `table.csv`."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from study.analysis.comparisons import compare_rows, exchanged, references
from study.analysis.paired_tests import Comparison
from study.analysis.results import Results, RowResult, RowScore
from study.core.graph import key
from study.report import tables
from study.report.tables import METRIC_TITLES
from trainers.artifacts.evaluation import FRAMEWISE, PROTOCOLS


def results_record(
    results: Results,
    comparisons: Mapping[str, Comparison],
    margins: Mapping[str, Comparison],
    context: Mapping[str, str],
    findings: Sequence[str],
) -> dict[str, Any]:
    """Every number of a study's results, with the comparisons and sentences that follow from them."""
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
        **_second_comparisons(results),
        "margin_changes": {line: _comparison_data(c) for line, c in margins.items()},
    }


def _second_comparisons(results: Results) -> dict[str, Any]:
    """The comparisons by a study's second protocol, where it declares one."""
    protocol = results.study.second_protocol
    if protocol is None:
        return {}
    found = {name: _comparison_data(c) for name, c in compare_rows(results, protocol).items()}
    return {"comparisons_by": {protocol: found}}


def _comparison_data(comparison: Comparison) -> dict[str, Any]:
    return {**asdict(comparison), "verdict": comparison.verdict}


def _row_data(results: Results, result: RowResult) -> dict[str, Any]:
    published = results.study.published
    return {
        "name": result.row.name,
        "title": result.row.title,
        "baseline": result.row.baseline,
        **({"teacher": asdict(result.row.teacher)} if result.row.teacher else {}),
        "problems": list(result.problems),
        "trials": [{"number": r.trial.number, "seed": r.trial.seed, "key": key(r.trial.stage)} for r in result.trials],
        "parameters": {name: str(value) for name, value in result.trials[0].trial.parameters.items()},
        "protocols": {protocol: _protocol_data(result, protocol) for protocol in (*PROTOCOLS, FRAMEWISE)},
        "per_video_accuracy": result.values("accuracy"),
        **({"fold_accuracy": _fold_data(result)} if result.folds else {}),
        "knn_accuracy": result.probe_accuracy,
        "published": dict(published.rows.get(result.row.name, {})) if published else {},
        "published_exchanged": exchanged(published, result.row.name) if published else {},
    }


def _fold_data(result: RowResult) -> dict[str, float]:
    return {str(fold): accuracy for fold, accuracy in result.fold_accuracies().items()}


def _protocol_data(result: RowResult, protocol: str) -> dict[str, Any]:
    metrics = {metric for scores in result.scored.values() for metric in scores.summary.get(protocol, {})}
    found = {metric: result.score(protocol, metric) for metric in sorted(metrics)}
    return {metric: asdict(score) if score else None for metric, score in found.items()}


def table_csv(results: Results) -> str:
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
