"""Comparisons of rows with the reference row, and sentences computed from their numbers."""

from collections.abc import Mapping, Sequence

from study.analysis.fold_tests import compare_runs
from study.analysis.paired_tests import UNTESTED, Comparison, correct_family
from study.analysis.results import Results, RowResult
from study.core.rows import Curve, Published, Row
from study.core.study import Study
from trainers.artifacts.evaluation import PROTOCOLS, STRICT

METRIC = "accuracy"
"""The metric of all comparisons."""


def compare_rows(results: Results, protocol: str = STRICT) -> dict[str, Comparison]:
    """Every computed row compared with its reference, by row name; p-values corrected over the declared family (Holm).

    A row that is missing, or was not requested, still belongs to the declared family: p-values change neither when
    further rows are computed nor with the choice of rows.
    """
    found, pairs = {r.row.name: r for r in results.rows}, references(results.study)
    family = dict.fromkeys(pairs, UNTESTED)
    for name, reference in pairs.items():
        if name in found and reference in found:
            runs, others = (found[each].runs(METRIC, protocol) for each in (name, reference))
            family[name] = compare_runs(runs, others) if runs.keys() & others.keys() else UNTESTED
    return {name: comparison for name, comparison in correct_family(family).items() if comparison.num_videos}


def references(study: Study) -> dict[str, str]:
    """The compared rows of a study, each with its reference.

    The reference is the reference row, or the point of the reference line at the same value; rows are then ordered by
    that value.
    """
    curve, rows = study.curve, study.all_rows()
    if curve is not None and curve.reference:
        places = {row.name: place for row in rows if (place := place_of(row, curve)) is not None}
        point = {places[row.name]: row.name for row in rows if row.series == curve.reference and row.name in places}
        others = [name for name, place in places.items() if place in point and name != point[place]]
        return {name: point[places[name]] for name in sorted(others, key=places.__getitem__)}
    return {row.name: study.reference for row in rows if row.name != study.reference} if study.reference else {}


def place_of(row: Row, curve: Curve) -> float | None:
    """Value of a row on the axis of a curve; None where it sets no number."""
    value = row.parameters.get(curve.axis)
    return float(value) if isinstance(value, int | float) else None


def order_sentences(results: Results, comparisons: Mapping[str, Comparison]) -> list[str]:
    """Sentences on the order of the rows, on the published order, and on conclusive differences."""
    here = {r.row.name: score.mean for r in results.asked if (score := r.score("strict", METRIC))}
    if len(here) < 2 or (results.study.curve and results.study.curve.reference):
        return []  # points of lines at several values of an axis have no common order
    titles = {r.row.name: r.row.title for r in results.rows}
    sentences = [f"By strict accuracy the rows came out as: {_ranking(here, titles)}."]
    printed = _printed_means(results.study.published, here)
    if len(printed) == len(here):
        agreement = "are the same" if _order(here) == _order(printed) else "differ"
        sentences.append(f"In print: {_ranking(printed, titles)}. The two orders {agreement}.")
    return [*sentences, *conclusion_sentences(results, comparisons)]


def conclusion_sentences(results: Results, comparisons: Mapping[str, Comparison]) -> list[str]:
    """Sentence on the conclusive differences from the reference row."""
    asked = {r.row.name for r in results.asked}
    verdicts = {name: comparison.verdict for name, comparison in comparisons.items() if name in asked}
    if not verdicts or results.study.reference is None:
        return []
    titles = {r.row.name: r.row.title for r in results.rows}
    reference = titles[results.study.reference]
    conclusive = [f"{titles[name]} ({verdict})" for name, verdict in verdicts.items() if verdict != "inconclusive"]
    if not conclusive:
        return [f"No difference from the reference row ({reference}) is conclusive: chance could have made this order."]
    rest = len(verdicts) - len(conclusive)
    ending = f"; inconclusive: {rest} of {len(verdicts)}" if rest else ""
    return [f"Conclusive against the reference row ({reference}): {', '.join(conclusive)}{ending}."]


def protocol_sentences(results: Results) -> list[str]:
    """Sentences on the effect of the protocol on Jaccard, compared with the differences between rows."""
    moves = {r.row.title: move for r in results.rows if (move := _jaccard_move(r)) is not None}
    strict = [score.mean for r in results.asked if (score := r.score("strict", "jaccard"))]
    if not moves or len(strict) < 2:
        return []
    title, most = max(moves.items(), key=lambda item: item[1])
    gap = max(strict) - min(strict)
    relation = "more" if most > gap else "less"
    sentences = [
        f"The choice of protocol alone moves the Jaccard index of one and the same set of predictions by up to "
        f"{most:.1f} points ({title}), which is {relation} than the {gap:.1f} points between the best and the worst "
        "row (baselines aside)."
    ]
    printed = _printed_means(results.study.published, [r.row.name for r in results.asked])
    if len(printed) > 1:
        span = max(printed.values()) - min(printed.values())
        sentences.append(f"The published accuracies of these rows lie {span:.1f} points apart.")
    return sentences


def remarks(results: Results, comparisons: Mapping[str, Comparison]) -> list[str]:
    """Remarks of the comparisons: once where one holds for all rows, else with the titles of its rows."""
    titles = {r.row.name: r.row.title for r in results.rows}
    about: dict[str, list[str]] = {}
    for name, comparison in comparisons.items():
        for remark in comparison.remarks:
            about.setdefault(remark, []).append(titles[name])
    return [
        remark if len(rows) == len(comparisons) else f"{'; '.join(rows)}: {remark}" for remark, rows in about.items()
    ]


def exchanged(published: Published, row: str) -> dict[str, tuple[float, float]]:
    """A published row with its two swapped columns exchanged; unchanged where none are swapped."""
    printed = dict(published.rows.get(row, {}))
    if published.swapped is None or row in published.unswapped:
        return printed
    first, second = published.swapped
    names = {first: second, second: first}
    return {names.get(metric, metric): value for metric, value in printed.items()}


def ranked(results: Results) -> list[RowResult]:
    """The computed rows of the study by decreasing strict accuracy, without baselines."""
    means = {r.row.name: score.mean for r in results.asked if (score := r.score("strict", METRIC))}
    return sorted((r for r in results.asked if r.row.name in means), key=lambda r: -means[r.row.name])


def signed(points: float) -> str:
    """A difference in points with its sign, as text."""
    return f"{points:+.1f}".replace("-", "−")


def _printed_means(published: Published | None, rows: Sequence[str] | Mapping[str, float]) -> dict[str, float]:
    printed = published.rows if published else {}
    return {name: printed[name][METRIC][0] for name in rows if METRIC in printed.get(name, {})}


def _order(means: Mapping[str, float]) -> list[str]:
    return sorted(means, key=lambda name: -means[name])


def _ranking(means: Mapping[str, float], titles: Mapping[str, str]) -> str:
    text = ""
    for name, following in zip(ordered := _order(means), [*ordered[1:], None], strict=True):
        text += f"{titles[name]} {means[name]:.1f}"
        if following is not None:
            text += " = " if f"{means[name]:.1f}" == f"{means[following]:.1f}" else " > "
    return text


def _jaccard_move(result: RowResult) -> float | None:
    scores = [result.score(protocol, "jaccard") for protocol in PROTOCOLS]
    means = [score.mean for score in scores if score is not None]
    return max(means) - min(means) if len(means) > 1 else None
