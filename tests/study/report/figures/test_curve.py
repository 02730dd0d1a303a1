from collections.abc import Mapping
from dataclasses import replace

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from study import Choice, Curve, Row, Study, Trial
from study.analysis.results import Results, RowResult, TrialResult
from study.report.curve_points import SEED, Point, curve_sentences, levels, lines
from study.report.figures.curve import curve_figure
from study.report.figures.style import row_colours
from study.report.figures.training_curves import pretraining_figure
from tests.study.small_study import student
from trainers.artifacts.evaluation import Scores
from trainers.artifacts.history import PRETRAINING

SWEEP = Study(
    name="sweep",
    title="How wrong?",
    question="How wrong?",
    recipe=student,
    axes={"error": Choice((0.4, 0.1, 0.2))},
    rows=(Row(name="base", title="baseline", parameters={"teacher": "none"}, baseline=True),),
    curve=Curve(axis="error", title="errors", log=True),
)
SERIES = Study(
    name="series",
    title="How wrong?",
    question="How wrong?",
    recipe=student,
    rows=tuple(
        Row(name=f"{teacher}-{error}", title=f"{teacher} {error}", series=teacher, parameters={"error": error})
        for teacher in ("none", "head")
        for error in (0.1, 0.2)
    ),
    curve=Curve(axis="error", title="errors"),
)
SEEDS = Study(
    name="seeds",
    title="Noise?",
    question="Noise?",
    recipe=student,
    rows=(Row(name="a", title="method A"), Row(name="b", title="method B", parameters={"teacher": "none"})),
    curve=Curve(axis=SEED, title="seed"),
)


def scores(accuracy: float) -> Scores:
    return Scores(
        summary={"strict": {"accuracy": {"mean": accuracy, "std": 2.0, "over": "videos"}}},
        per_video={},
        per_phase={},
        phases=(),
        num_videos=3,
        num_frames=30,
        fps=1,
        absent="scored",
    )


def results(study: Study, accuracies: Mapping[str, tuple[float | None, ...]]) -> Results:
    """Accuracies of every row, seed by seed; None is a trial without a result."""
    num_seeds = max(map(len, accuracies.values()))
    trials = study.trials(2, seeds=range(num_seeds))
    rows = []
    for row in study.all_rows():
        own = [trial for trial in trials if trial.row == row]
        rows.append(RowResult(row, tuple(map(result, own, accuracies[row.name]))))
    return Results(study=study, rows=tuple(rows))


def result(trial: Trial, accuracy: float | None) -> TrialResult:
    found = None if accuracy is None else scores(accuracy)
    return TrialResult(trial=trial, scores=found, problem="" if found else "not yet", curves={})


def test_a_sweep_is_one_line_from_left_to_right_and_its_baselines_are_levels():
    swept = results(SWEEP, {"0.4": (60.0,), "0.1": (80.0,), "0.2": (None,), "base": (50.0,)})
    assert lines(swept) == {"": [Point(0.1, 80.0, 2.0), Point(0.4, 60.0, 2.0)]}
    assert levels(swept) == {"baseline": 50.0}
    assert curve_sentences(swept) == [
        "Accuracy is highest (80.0) at 0.1 and lowest (60.0) at 0.4 on the axis “errors”: 20.0 points apart."
    ]


def test_of_several_seeds_the_bar_is_the_spread_over_seeds():
    swept = results(SWEEP, {"0.4": (60.0, 64.0), "0.1": (80.0, None), "0.2": (70.0, 70.0), "base": (50.0, 50.0)})
    assert lines(swept)[""] == [Point(0.1, 80.0, 2.0), Point(0.2, 70.0, 0.0), Point(0.4, 62.0, pytest.approx(8**0.5))]


def test_every_series_is_a_line_and_the_leader_is_named_at_every_value():
    swept = results(SERIES, {"none-0.1": (80.0,), "none-0.2": (70.0,), "head-0.1": (81.0,), "head-0.2": (69.5,)})
    assert list(lines(swept)) == ["none", "head"]
    assert curve_sentences(swept) == [
        "By errors. At 0.1: head 81.0, 1.0 points before none. At 0.2: none 70.0, 0.5 points before head."
    ]


def test_seeds_are_points_of_their_own():
    noise = results(SEEDS, {"a": (80.0, 82.0, 84.0), "b": (70.0, None, 71.0)})
    assert lines(noise)["method A"] == [Point(0.0, 80.0, None), Point(1.0, 82.0, None), Point(2.0, 84.0, None)]
    assert curve_sentences(noise) == [
        "method A: mean 82.0, standard deviation over 3 seeds 2.0, range 4.0 points.",
        "method B: mean 70.5, standard deviation over 2 seeds 0.7, range 1.0 points.",
    ]


def test_nothing_is_said_before_there_is_anything():
    nothing = results(SWEEP, {"0.4": (None,), "0.1": (60.0,), "0.2": (None,), "base": (None,)})
    assert curve_sentences(nothing) == []


def test_datasets_stand_side_by_side_on_one_scale_with_the_values_as_ticks():
    swept = results(SWEEP, {"0.4": (60.0,), "0.1": (80.0,), "0.2": (70.0,), "base": (50.0,)})
    elsewhere = results(SWEEP, {"0.4": (30.0,), "0.1": (40.0,), "0.2": (35.0,), "base": (20.0,)})
    left, right = curve_figure({"ours": swept, "theirs": elsewhere}).axes
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == ("ours", "theirs")
    assert left.get_ylim() == right.get_ylim()
    assert (left.get_xscale(), [label.get_text() for label in left.get_xticklabels()]) == ("log", ["0.1", "0.2", "0.4"])


@pytest.mark.parametrize("study", [SWEEP, SERIES], ids=lambda study: study.name)
def test_every_point_and_bar_is_in_view(study: Study):
    names = [row.name for row in study.all_rows()]
    shown = results(study, {name: (50.0 + 7 * number,) for number, name in enumerate(names)})
    (axes,) = curve_figure({"ours": shown}).axes
    for points in lines(shown).values():
        for point in points:
            assert axes.get_xlim()[0] < point.x < axes.get_xlim()[1]
            assert axes.get_ylim()[0] < point.y - 2.0 < point.y + 2.0 < axes.get_ylim()[1]


def in_colour(axes: Axes) -> dict[str, str]:
    """The colour of every line of a panel, by its title."""
    return {str(line.get_label()): str(line.lines[0].get_color()) for line in axes.containers}


def legend(figure: Figure) -> dict[str, str]:
    """The colour of everything that a figure's legend has, by its title and in its order."""
    (found,) = figure.legends
    shown = [handle.get_children()[0] if hasattr(handle, "lines") else handle for handle in found.legend_handles]
    titles = [text.get_text() for text in found.get_texts()]
    return {title: to_hex(handle.get_color()) for title, handle in zip(titles, shown, strict=True)}


def only(found: Results, *names: str) -> Results:
    """What a run that asked for some of the rows left behind."""
    return replace(found, rows=tuple(row for row in found.rows if row.row.name in names))


def test_the_rows_of_a_series_have_its_colour_in_every_figure():
    colour = row_colours(SERIES)
    assert colour["none-0.1"] == colour["none-0.2"] != colour["head-0.1"] == colour["head-0.2"]
    shown = results(SERIES, dict.fromkeys((row.name for row in SERIES.rows), (50.0,)))
    assert in_colour(curve_figure({"ours": shown}).axes[0]) == {"none": colour["none-0.1"], "head": colour["head-0.1"]}


def test_a_line_that_is_missing_in_one_dataset_leaves_every_other_its_colour_and_its_legend():
    whole = results(SERIES, dict.fromkeys((row.name for row in SERIES.rows), (50.0,)))
    colour = row_colours(SERIES)
    by_title = {"none": colour["none-0.1"], "head": colour["head-0.1"]}
    for partial in (only(whole, "head-0.1"), results(SERIES, dict.fromkeys(colour, (None,)) | {"head-0.1": (50.0,)})):
        for by_dataset in ({"ours": partial, "theirs": whole}, {"ours": whole, "theirs": partial}):
            figure = curve_figure(by_dataset)
            for axes, shown in zip(figure.axes, by_dataset.values(), strict=True):
                assert in_colour(axes) == {title: by_title[title] for title in lines(shown)}
            assert list(legend(figure).items()) == list(by_title.items())


@pytest.mark.parametrize(
    ("study", "accuracies"),
    [
        (SERIES, {"none-0.1": (None,), "none-0.2": (None,), "head-0.1": (50.0,), "head-0.2": (60.0,)}),
        (SEEDS, {"a": (None, None), "b": (50.0, 60.0)}),
    ],
    ids=lambda value: value.name if isinstance(value, Study) else "",
)
def test_a_first_line_that_failed_leaves_the_second_its_colour(
    study: Study, accuracies: dict[str, tuple[float | None, ...]]
):
    shown = results(study, accuracies)
    (title,) = lines(shown)
    second = list(dict.fromkeys(row_colours(study).values()))[1]
    figure = curve_figure({"ours": shown})
    assert in_colour(figure.axes[0]) == legend(figure) == {title: second}


def test_levels_have_the_colours_of_their_rows_and_stand_in_the_legend_wherever_they_are():
    two = replace(SWEEP, rows=(*SWEEP.rows, Row(name="bare", title="untrained", parameters={}, baseline=True)))
    whole = results(two, {"0.4": (60.0,), "0.1": (80.0,), "0.2": (70.0,), "base": (50.0,), "bare": (40.0,)})
    left, right = {"baseline": row_colours(two)["base"]}, {"untrained": row_colours(two)["bare"]}
    partial = {"ours": only(whole, "0.4", "bare"), "theirs": only(whole, "0.4", "base")}
    assert list(legend(curve_figure(partial)).items()) == [*left.items(), *right.items()]


def with_probe(found: Results, last: Mapping[str, float]) -> Results:
    """The same with probe curves that end at these values, by row."""
    trained = []
    for row in found.rows:
        curve = {"knn_accuracy": {1: 50.0, 2: last[row.row.name]}}
        trained.append(RowResult(row.row, tuple(replace(trial, curves={PRETRAINING: curve}) for trial in row.trials)))
    return replace(found, rows=tuple(trained))


@pytest.mark.parametrize(
    ("second", "titles"),
    [(60.0, {"none": "-", "head 0.1": "-", "head 0.2": "-."}), (70.0, {"none": "-", "head": "-"})],
    ids=["trained otherwise", "sharing their training"],
)
def test_trainings_of_one_series_are_told_apart(second: float, titles: dict[str, str]):
    whole = results(SERIES, dict.fromkeys((row.name for row in SERIES.rows), (50.0,)))
    last = {"none-0.1": 55.0, "none-0.2": 55.0, "head-0.1": 70.0, "head-0.2": second}
    figure = pretraining_figure(with_probe(whole, last))
    assert figure is not None
    assert {line.get_label(): line.get_linestyle() for line in figure.axes[0].lines} == titles
    assert list(legend(figure)) == list(titles)


def test_training_curves_keep_their_colours_where_rows_were_not_asked_for():
    whole = results(SEEDS, {"a": (50.0,), "b": (60.0,)})
    figure = pretraining_figure(only(with_probe(whole, {"a": 60.0, "b": 61.0}), "b"))
    assert figure is not None
    assert legend(figure) == {"method B": row_colours(SEEDS)["b"]}
