"""Margins of the reference line of a curve over the other lines, and their change along the axis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from study.analysis.comparisons import METRIC, place_of, references, signed
from study.analysis.fold_tests import Runs, compare_runs
from study.analysis.paired_tests import UNTESTED, Comparison, correct_family
from study.analysis.results import Results, RowResult
from study.core.study import Study

CHANGES = {"better": "larger", "worse": "smaller", "inconclusive": "inconclusive"}
"""Words for the verdict on a change of margins."""


@dataclass(frozen=True)
class Standing:
    """The reference line at one value of the axis where all lines are computed.

    Attributes:
        margins: strict accuracy minus that of every other line, in points, by the line's title.
        ahead: whether every comparison there is conclusive, in favour of the reference line.
        behind: whether one is, in favour of another line.
    """

    margins: Mapping[str, float]
    ahead: bool
    behind: bool

    @property
    def closest(self) -> tuple[str, float]:
        """The best other line, and the margin over it."""
        return min(self.margins.items(), key=lambda item: item[1])


def compare_margins(results: Results) -> dict[str, Comparison]:
    """Margin of the reference line at the smallest value of the axis minus that at the largest, by other line.

    A difference of two differences, paired by video. The lines that the study declares, computed or not, are a family
    of their own for Holm's correction.
    """
    found = {r.row.name: r for r in results.rows}
    family = {}
    for line, ends in _ends(results.study).items():
        there = found.keys() >= {name for pair in ends for name in pair}
        smallest, largest = (_margin(*(found[name] for name in pair)) if there else {} for pair in ends)
        family[line] = compare_runs(smallest, largest) if smallest.keys() & largest.keys() else UNTESTED
    return {line: comparison for line, comparison in correct_family(family).items() if comparison.num_videos}


def standings_of(results: Results, comparisons: Mapping[str, Comparison]) -> dict[float, Standing]:
    """Standing of the reference line at every value of the axis where all declared lines are computed."""
    means = {r.row.name: score.mean for r in results.rows if (score := r.score("strict", METRIC))}
    verdicts = {name: comparison.verdict for name, comparison in comparisons.items()}
    return {
        place: Standing(
            {line: means[reference] - means[name] for line, (name, reference) in pairs.items()},
            ahead=all(verdicts.get(name) == "worse" for name, _ in pairs.values()),
            behind=any(verdicts.get(name) == "better" for name, _ in pairs.values()),
        )
        for place, pairs in _pairs(results.study).items()
        if means.keys() >= {name for pair in pairs.values() for name in pair}
    }


def margin_sentences(
    results: Results, comparisons: Mapping[str, Comparison], margins: Mapping[str, Comparison]
) -> list[str]:
    """Sentences on the values where the reference line leads, on its margin at both ends, and on its change."""
    curve, standings = results.study.curve, standings_of(results, comparisons)
    if curve is None or not standings:
        return []
    places = list(_pairs(results.study))
    leads = sum(standing.closest[1] > 0 for standing in standings.values())
    ahead = sum(standing.ahead for standing in standings.values())
    behind = [f"{place:g}" for place, standing in standings.items() if standing.behind]
    where = f"the {len(standings)} computed of {len(places)}" if len(standings) < len(places) else f"{len(places)}"
    sentences = [
        f"{curve.reference}, on the axis “{curve.title}”: ahead of every other line at {leads} of {where} values; "
        f"conclusively ahead of each at {ahead} of them."
    ]
    if behind:
        sentences.append(f"Conclusively behind another line at {', '.join(behind)}.")
    ends = {place: standings[place] for place in (places[0], places[-1]) if place in standings}
    if len(ends) == 2:
        texts = [_margin_text(standing, place) for place, standing in ends.items()]
        sentences.append(f"Its margin over the best other line: {'; '.join(texts)}.")
    return [*sentences, *_change_sentences(places, margins)]


def _change_sentences(places: Sequence[float], margins: Mapping[str, Comparison]) -> list[str]:
    changes = [
        f"over {line} {signed(comparison.mean_difference)} ({CHANGES[comparison.verdict]})"
        for line, comparison in margins.items()
    ]
    return [f"The margin at {places[0]:g} minus that at {places[-1]:g}: {'; '.join(changes)}."] if changes else []


def _margin_text(standing: Standing, place: float) -> str:
    line, margin = standing.closest
    return f"{signed(margin)} points at {place:g} ({line})"


def _margin(row: RowResult, reference: RowResult) -> Runs:
    """Strict accuracy of the reference minus that of a row: run -> video -> points, None where one is undefined."""
    ours, theirs = reference.runs(METRIC), row.runs(METRIC)
    return {
        run: {
            video: None if (one := ours[run][video]) is None or (other := theirs[run][video]) is None else one - other
            for video in ours[run].keys() & theirs[run].keys()
        }
        for run in ours.keys() & theirs.keys()
    }


def _ends(study: Study) -> dict[str, tuple[tuple[str, str], tuple[str, str]]]:
    """The pairs of every other line at the smallest and at the largest value of the axis, by the line's title."""
    pairs = list(_pairs(study).values())
    if len(pairs) < 2:
        return {}
    smallest, largest = pairs[0], pairs[-1]
    return {line: (pair, largest[line]) for line, pair in smallest.items() if line in largest}


def _pairs(study: Study) -> dict[float, dict[str, tuple[str, str]]]:
    """Every declared point and that of the reference line beside it, from left to right: value -> line -> names."""
    curve = study.curve
    if curve is None or not curve.reference:
        return {}
    rows = {row.name: row for row in study.all_rows()}
    found: dict[float, dict[str, tuple[str, str]]] = {}
    for name, reference in references(study).items():
        place = place_of(rows[name], curve)
        assert place is not None, "only rows that have a place are compared with a line"
        found.setdefault(place, {})[rows[name].series] = (name, reference)
    return found
