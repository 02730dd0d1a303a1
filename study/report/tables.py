"""The tables of a report, as rows of text cells that HTML, Markdown, CSV and a terminal show alike."""

from collections.abc import Mapping, Sequence

from study.analysis.comparisons import exchanged, ranked, signed
from study.analysis.line_margins import CHANGES
from study.analysis.paired_tests import Comparison
from study.analysis.results import Results, RowResult, RowScore, phase_title
from study.core.graph import inputs, key, walk
from study.core.store import Store
from study.core.study import Trial
from study.home.text import duration
from study.report.document import Cell, Table
from trainers.artifacts.evaluation import FRAMEWISE, PROTOCOL_TITLES, PROTOCOLS
from trainers.stage import Stage

UNDEFINED = "–"
METRIC_TITLES = {
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "jaccard": "Jaccard",
    "f1": "F1",
    "edit": "Edit",
    "f1@50": "F1@50",
}
SHORT_TITLES = {"accuracy": "Acc.", "precision": "Prec.", "recall": "Rec.", "jaccard": "Jacc."}
PRINTED = tuple(SHORT_TITLES)
PAIRED = ("p after Holm", "Videos", "Seeds", "Verdict")
TESTS = {
    "signed-rank": ("95 % interval (t, widened for skew)", "Wilcoxon p"),
    "corrected t": ("95 % interval (t)", "Corrected t, p"),
}
"""Headers of the interval and the p-value, by test."""


def main_table(results: Results) -> Table:
    """Strict metrics of every row, accuracies of the frame classifier and the probe, and the published numbers."""
    best = _best(results)
    rows = tuple(_main_row(results, result, strong=result.row.name == best) for result in results.rows)
    overs = {metric: _over(results, metric) for metric in METRIC_TITLES}
    measured = tuple(Cell(title, (overs[metric],)) for metric, title in METRIC_TITLES.items())
    headers = (Cell("Row"), *measured, Cell("Frames", ("accuracy",)), Cell("kNN", ("val. acc.",)))
    groups = [("", 1), ("measured here, strict protocol", len(METRIC_TITLES)), ("before temporal", 2)]
    if results.study.published:
        headers += tuple(Cell(SHORT_TITLES[metric]) for metric in PRINTED)
        groups.append(("published, as printed", len(PRINTED)))
        swapped = results.study.published.swapped or ()
        headers += tuple(Cell(SHORT_TITLES[metric]) for metric in swapped)
        groups += [("columns exchanged", len(swapped))] if swapped else []
    return Table(headers=headers, rows=rows, groups=tuple(groups), rule_before=_first_baseline(results))


def terminal_table(results: Results) -> Table:
    """The few columns that a terminal has room for."""
    best, published = _best(results), results.study.published
    headers = ["Row", "Accuracy", "Jaccard", "Frames", "kNN val."]
    if published:
        headers += ["Published accuracy", "Published Jaccard" + (", columns exchanged" if published.swapped else "")]
    rows = []
    for result in results.rows:
        strict = [score_cell(result.score("strict", metric)) for metric in ("accuracy", "jaccard")]
        printed = published_cells(results, result.row.name, ("accuracy", "jaccard"), swap=True) if published else []
        title = Cell(result.row.title, strong=result.row.name == best)
        rows.append((title, *strict, framewise_cell(result), probe_cell(result), *printed))
    rule = _first_baseline(results)
    return Table(headers=tuple(map(Cell, headers)), rows=tuple(rows), rule_before=rule)


def comparison_table(results: Results, comparisons: Mapping[str, Comparison]) -> Table:
    """Per-video paired differences from the reference row."""
    headers = ("Row", "Difference", *_paired(comparisons))
    titles = {result.row.name: result.row.title for result in results.rows}
    rows = tuple((Cell(titles[name]), *_comparison_cells(c)) for name, c in comparisons.items())
    baselines = [result.row.name for result in results.rows if result.row.baseline]
    rule = next((i for i, name in enumerate(comparisons) if name in baselines), None)
    return Table(headers=tuple(map(Cell, headers)), rows=rows, rule_before=rule, text_columns=frozenset({0, 7}))


def margin_table(margins: Mapping[str, Comparison]) -> Table:
    """Per-video paired changes of a line's margin over the others."""
    headers = ("Margin over", "Change", *_paired(margins))
    rows = []
    for line, comparison in margins.items():
        *cells, verdict = _comparison_cells(comparison)
        rows.append((Cell(line), *cells, Cell(CHANGES[comparison.verdict], strong=verdict.strong)))
    return Table(headers=tuple(map(Cell, headers)), rows=tuple(rows), text_columns=frozenset({0, 7}))


def protocol_table(results: Results) -> Table:
    """Accuracy and Jaccard under every protocol."""
    rows = []
    for result in results.rows:
        cells = [score_cell(result.score(p, metric)) for metric in ("accuracy", "jaccard") for p in PROTOCOLS]
        rows.append((Cell(result.row.title), *cells))
    headers = (Cell("Row"), *(Cell(PROTOCOL_TITLES[protocol]) for protocol in (*PROTOCOLS, *PROTOCOLS)))
    groups = (("", 1), ("Accuracy", len(PROTOCOLS)), ("Jaccard", len(PROTOCOLS)))
    return Table(headers=headers, rows=tuple(rows), groups=groups, rule_before=_first_baseline(results))


def phase_table(results: Results, metric: str, phases: Sequence[str]) -> Table:
    """One strict metric by phase: the mean over the videos that define it."""
    rows = tuple(
        (Cell(r.row.title), *(Cell(number(r.phase_mean(metric, phase))) for phase in phases)) for r in results.rows
    )
    headers = (Cell("Row"), *(Cell(phase_title(phase)) for phase in phases))
    return Table(headers=headers, rows=rows, rule_before=_first_baseline(results))


def stage_table(trials: Sequence[Trial], store: Store) -> Table:
    """Every distinct stage: its key, its time, and the rows that need it; inputs of one kind share a line."""
    several_seeds = len({trial.seed for trial in trials}) > 1
    users: dict[str, list[str]] = {}
    for trial in trials:
        for stage_key in walk(trial.stage):
            users.setdefault(stage_key, []).append(trial.label if several_seeds else trial.row.name)
    groups: dict[str, list[Stage]] = {}
    for stage_key, stage in walk(*(trial.stage for trial in trials)).items():
        groups.setdefault(stage_key if inputs(stage) else stage.kind, []).append(stage)
    rows = tuple(_stage_row(stages, store, users, len(trials)) for stages in groups.values())
    headers = tuple(map(Cell, ("Stage", "Key", "Time", "Serves")))
    return Table(headers=headers, rows=rows, text_columns=frozenset({0, 1, 3}))


def fold_table(results: Results) -> Table:
    """Strict accuracy of every fold of every pooled row, the mean over seeds; a line for each drawing."""
    lines = [
        (
            result.row.title,
            repeat,
            {f.number: score for f, score in result.fold_accuracies().items() if f.repeat == repeat},
        )
        for result in results.rows
        for repeat in dict.fromkeys(fold.repeat for fold in result.folds)
    ]
    numbers = sorted({fold.number for result in results.rows for fold in result.folds})
    several = len({repeat for _, repeat, _ in lines}) > 1
    rows = tuple(
        (Cell(title), *((Cell(str(repeat)),) if several else ()), *(Cell(number(scores.get(each))) for each in numbers))
        for title, repeat, scores in lines
    )
    headers = ("Row", *(("Drawing",) if several else ()), *(f"fold {each}" for each in numbers))
    return Table(headers=tuple(map(Cell, headers)), rows=rows)


def score_cell(score: RowScore | None, *, strong: bool = False) -> Cell:
    """A mean, with its standard deviation below and, of several seeds, the one over seeds."""
    if score is None:
        return Cell(UNDEFINED)
    notes = [f"± {number(score.std)}"] if score.std is not None else []
    if score.seed_std is not None:
        notes.append(f"seeds ± {number(score.seed_std)}")
    return Cell(number(score.mean), tuple(notes), strong)


def framewise_cell(result: RowResult) -> Cell:
    """The accuracy of the frame classifier alone."""
    return score_cell(result.score(FRAMEWISE, "accuracy"))


def probe_cell(result: RowResult) -> Cell:
    """The last accuracy of the kNN probe on validation videos."""
    return Cell(number(result.probe_accuracy))


def published_cells(results: Results, row: str, metrics: Sequence[str], *, swap: bool = False) -> list[Cell]:
    """Published means with their standard deviation; with `swap`, the swapped columns exchanged."""
    published = results.study.published
    if published is None:
        return [Cell(UNDEFINED) for _ in metrics]
    printed = exchanged(published, row) if swap else published.rows.get(row, {})
    return [
        Cell(number(printed[metric][0]), (f"± {number(printed[metric][1])}",)) if metric in printed else Cell(UNDEFINED)
        for metric in metrics
    ]


def number(value: float | None) -> str:
    """A percentage as it is printed: one decimal, a dash where undefined."""
    return UNDEFINED if value is None else f"{value:.1f}"


def _main_row(results: Results, result: RowResult, *, strong: bool) -> tuple[Cell, ...]:
    measured = [score_cell(result.score("strict", metric)) for metric in METRIC_TITLES]
    measured[0] = score_cell(result.score("strict", "accuracy"), strong=strong)
    cells = [Cell(result.row.title, result.problems), *measured, framewise_cell(result), probe_cell(result)]
    if results.study.published:
        cells += published_cells(results, result.row.name, PRINTED)
        cells += published_cells(results, result.row.name, results.study.published.swapped or (), swap=True)
    return tuple(cells)


def _best(results: Results) -> str | None:
    """The row of the question with the best strict accuracy, where there is a choice."""
    rows = ranked(results)
    return rows[0].row.name if len(rows) > 1 else None


def _over(results: Results, metric: str) -> str:
    score = next((s for r in results.rows if (s := r.score("strict", metric))), None)
    return f"± {score.over}" if score else ""


def _first_baseline(results: Results) -> int | None:
    first = len(results.asked)
    return first if 0 < first < len(results.rows) else None


def _comparison_cells(comparison: Comparison) -> tuple[Cell, ...]:
    interval = comparison.interval
    return (
        Cell(signed(comparison.mean_difference)),
        Cell(f"{signed(interval[0])} … {signed(interval[1])}" if interval else UNDEFINED),
        Cell(_p_value(comparison.p_value)),
        Cell(_p_value(comparison.adjusted_p_value)),
        Cell(str(comparison.num_videos)),
        Cell(str(comparison.num_seeds)),
        Cell(comparison.verdict, strong=comparison.verdict != "inconclusive"),
    )


def _paired(comparisons: Mapping[str, Comparison]) -> tuple[str, ...]:
    """Headers of comparisons, which name the tests that they come from."""
    tests = dict.fromkeys(comparison.test for comparison in comparisons.values()) or {"signed-rank": None}
    return (*(" or ".join(words) for words in zip(*(TESTS[test] for test in tests), strict=True)), *PAIRED)


def _p_value(value: float | None) -> str:
    if value is None:
        return UNDEFINED
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _stage_row(
    stages: Sequence[Stage], store: Store, users: Mapping[str, Sequence[str]], num_trials: int
) -> tuple[Cell, ...]:
    keys = [key(stage) for stage in stages]
    times = [store.manifest(k).seconds if store.find(k) else None for k in keys]
    known = [seconds for seconds in times if seconds is not None]
    title = stages[0].title if len(stages) == 1 else f"{stages[0].kind} × {len(stages)}"
    time = duration(sum(known)) if known else "not computed"
    if 0 < len(known) < len(times):
        time += f" ({len(known)} of {len(times)})"
    served = list(dict.fromkeys(label for stage_key in keys for label in users[stage_key]))
    serves = "all rows" if len(served) == num_trials > 1 else "; ".join(served)
    return Cell(title), Cell(f"`{keys[0][:8]}`" if len(keys) == 1 else "…"), Cell(time), Cell(serves)
