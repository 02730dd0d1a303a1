"""A reference line: who is compared with whom, in which family, and what is said of its margins."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from study import Curve, Row, Study
from study.analysis.comparisons import compare_rows, order_sentences, references
from study.analysis.line_margins import compare_margins, margin_sentences, standings_of
from study.analysis.paired_tests import compare, correct_family
from study.analysis.results import Results, RowResult, TrialResult
from tests.study.small_study import student
from trainers.artifacts.evaluation import Scores
from trainers.stage import InputError

ERRORS = (0.1, 0.2, 0.4)
LINES = ("none", "head", "all")
NUM_VIDEOS = 12
FIGURE = Study(
    name="figure",
    title="How few?",
    question="How few?",
    recipe=student,
    rows=tuple(
        Row(name=f"{line}-{error}", title=f"{line} at {error}", series=line, parameters={"error": error})
        for line, error in itertools.product(LINES, ERRORS)
    ),
    curve=Curve(axis="error", title="errors", reference="head"),
)

Values = Mapping[str, Sequence[float]]
"""Row -> accuracy of every video."""


def values(means: Mapping[str, Sequence[float]], noise: float = 0.3) -> dict[str, list[float]]:
    """Accuracies around a mean for every line and error; each row with noise of its own."""
    random = np.random.default_rng(0)
    return {
        f"{line}-{error}": (mean + random.normal(0, noise, NUM_VIDEOS)).tolist()
        for line, by_error in means.items()
        for error, mean in zip(ERRORS, by_error, strict=True)
    }


GROWING = values({"none": (70.0, 75.0, 79.0), "head": (76.0, 79.0, 80.0), "all": (71.0, 76.0, 79.2)})


def results(accuracies: Values, study: Study = FIGURE) -> Results:
    """What a study of one seed left behind; a row without values is not computed."""
    trials = {trial.row.name: trial for trial in study.trials(2)}
    rows = []
    for row in study.all_rows():
        found = scores(accuracies[row.name]) if row.name in accuracies else None
        result = TrialResult(trial=trials[row.name], scores=found, problem="", curves={})
        rows.append(RowResult(row, (result,)))
    return Results(study=study, rows=tuple(rows))


def scores(accuracies: Sequence[float]) -> Scores:
    return Scores(
        summary={"strict": {"accuracy": {"mean": float(np.mean(accuracies)), "std": 2.0, "over": "videos"}}},
        per_video={"strict": {"accuracy": by_video(accuracies)}},
        per_phase={},
        phases=(),
        num_videos=len(accuracies),
        num_frames=30,
        fps=1,
        absent="scored",
    )


def by_video(accuracies: Sequence[float]) -> dict[str, float | None]:
    return {f"video{number}": value for number, value in enumerate(accuracies)}


def without(accuracies: Values, *names: str) -> dict[str, Sequence[float]]:
    return {name: found for name, found in accuracies.items() if name not in names}


def said(found: Results) -> list[str]:
    return margin_sentences(found, compare_rows(found), compare_margins(found))


def test_every_row_is_compared_with_the_reference_line_at_its_own_value_from_left_to_right():
    assert references(FIGURE) == {f"{line}-{error}": f"head-{error}" for error in ERRORS for line in ("none", "all")}
    assert list(references(FIGURE)) == [f"{line}-{error}" for error in ERRORS for line in ("none", "all")]


def test_a_value_that_the_reference_line_lacks_is_not_compared():
    shorter = replace(FIGURE, rows=tuple(row for row in FIGURE.rows if row.name != "head-0.2"))
    assert set(references(shorter)) == {"none-0.1", "all-0.1", "none-0.4", "all-0.4"}


def test_the_differences_are_those_of_the_paired_comparison_over_the_whole_declared_figure():
    found = compare_rows(results(GROWING))
    family = {
        name: compare({0: by_video(GROWING[name])}, {0: by_video(GROWING[reference])})
        for name, reference in references(FIGURE).items()
    }
    assert found == correct_family(family)
    assert list(found) == list(family)


def test_a_row_that_is_missing_stays_in_the_family():
    all_there, partial = compare_rows(results(GROWING)), compare_rows(results(without(GROWING, "none-0.4")))
    assert partial.keys() == all_there.keys() - {"none-0.4"}
    for name, comparison in partial.items():
        assert comparison.p_value == all_there[name].p_value
        assert comparison.adjusted_p_value is not None
        assert all_there[name].adjusted_p_value is not None
    smallest = min(all_there.values(), key=lambda comparison: comparison.p_value or 1.0)
    assert smallest.adjusted_p_value == pytest.approx(len(all_there) * (smallest.p_value or 1.0))


def test_without_the_reference_at_a_value_nothing_is_compared_there():
    assert compare_rows(results(without(GROWING, "head-0.2"))).keys() == {
        name for name in references(FIGURE) if not name.endswith("0.2")
    }


def test_a_margin_that_grows_is_a_positive_difference_of_differences():
    found = compare_margins(results(GROWING))
    assert found.keys() == {"none", "all"}
    for line, comparison in found.items():
        smallest, largest = (
            np.array(GROWING[f"head-{error}"]) - np.array(GROWING[f"{line}-{error}"]) for error in (0.1, 0.4)
        )
        assert comparison.mean_difference == pytest.approx(float(np.mean(smallest - largest)))
        assert comparison.verdict == "better"


def test_changes_of_margins_are_a_family_of_their_own():
    found = compare_margins(results(GROWING))
    alone = compare_margins(results(without(GROWING, "all-0.1")))
    assert alone.keys() == {"none"}, "but it is still one of two"
    smallest = min(found.values(), key=lambda comparison: comparison.p_value or 1.0)
    assert smallest.adjusted_p_value == pytest.approx(2 * (smallest.p_value or 1.0))
    assert alone["none"].adjusted_p_value == pytest.approx(2 * (alone["none"].p_value or 1.0))


def test_margins_that_shrink_are_said_to_be_smaller():
    shrinking = values({"none": (79.0, 77.0, 70.0), "head": (80.0, 80.0, 80.0), "all": (79.0, 75.0, 70.0)})
    assert {comparison.verdict for comparison in compare_margins(results(shrinking)).values()} == {"worse"}
    assert said(results(shrinking))[-1].count("(smaller)") == 2


def test_what_is_said_is_what_the_numbers_are():
    found = results(GROWING)
    lead, margin, change = said(found)
    assert lead == (
        "head, on the axis “errors”: ahead of every other line at 3 of 3 values; conclusively ahead of each at "
        f"{sum(standing.ahead for standing in standings_of(found, compare_rows(found)).values())} of them."
    )
    closest = {error: np.mean(GROWING[f"head-{error}"]) - np.mean(GROWING[f"all-{error}"]) for error in (0.1, 0.4)}
    assert margin == (
        f"Its margin over the best other line: {closest[0.1]:+.1f} points at 0.1 (all); "
        f"{closest[0.4]:+.1f} points at 0.4 (all)."
    )
    assert change.startswith("The margin at 0.1 minus that at 0.4: over none +")
    assert change.count("(larger)") == 2


def test_a_lead_within_the_noise_is_no_conclusive_one():
    noisy = results(values({"none": (70.0,) * 3, "head": (70.5,) * 3, "all": (69.5,) * 3}, noise=8.0))
    assert {comparison.verdict for comparison in compare_rows(noisy).values()} == {"inconclusive"}
    lead, *_, change = said(noisy)
    assert "conclusively ahead of each at 0 of them" in lead
    assert change.count("(inconclusive)") == 2
    assert not any("onclusively behind" in sentence for sentence in said(noisy))


def test_where_the_reference_line_is_beaten_it_is_said():
    found = results(values({"none": (60.0, 60.0, 90.0), "head": (70.0, 70.0, 70.0), "all": (65.0, 65.0, 65.0)}))
    lead, behind, margin, _ = said(found)
    assert "ahead of every other line at 2 of 3 values" in lead
    assert behind == "Conclusively behind another line at 0.4."
    assert "(all); −" in margin
    assert margin.endswith(" points at 0.4 (none).")


def test_values_at_which_a_line_is_missing_count_for_nobody():
    found = results(without(GROWING, "all-0.4"))
    lead, change = said(found)
    assert "at 2 of the 2 computed of 3 values" in lead
    assert "over all" not in change, "the margin at one end is not known"


def test_nothing_is_said_before_there_is_anything():
    assert said(results({})) == []
    assert compare_rows(results({})) == {}
    assert compare_margins(results({})) == {}


def test_points_at_several_values_are_not_ranked():
    found = results(GROWING)
    assert order_sentences(found, compare_rows(found)) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"curve": Curve(axis="error", title="?", reference="haed")}, "has no line 'haed'; did you mean 'head'?"),
        ({"reference": "none-0.1"}, "has a reference row and a reference line: keep one of them"),
    ],
)
def test_a_reference_line_that_cannot_be_is_refused(changes: dict[str, object], sentence: str):
    with pytest.raises(InputError) as refused:
        replace(FIGURE, **changes).all_rows()  # type: ignore[arg-type]
    assert sentence in str(refused.value)
