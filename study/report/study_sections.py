"""Sections of a study's report, in the order of a reader's questions."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from study.analysis.comparisons import order_sentences, protocol_sentences
from study.analysis.paired_tests import Comparison
from study.analysis.remarks import remark_texts
from study.analysis.results import Results
from study.analysis.row_predictions import median_video, read_all_predictions
from study.core.store import Store
from study.core.study import Trial
from study.report import tables
from study.report.comparison_sections import comparison_section
from study.report.curve_points import SEED, curve_sentences
from study.report.document import Block, Details, Facts, Notice, Paragraph, Picture, Section
from study.report.figures.accuracy import accuracy_figure
from study.report.figures.curve import curve_figure
from study.report.figures.ribbons import ribbon_figure
from study.report.figures.training_curves import pretraining_figure, temporal_figure
from study.report.glossary import ABSENT_PHASES, METRICS, SYNTHETIC_SCALES
from study.report.teacher_section import teacher_section
from trainers.artifacts.evaluation import FRAMEWISE
from trainers.artifacts.predictions import VideoPredictions

NOWHERE: Mapping[str, Results] = MappingProxyType({})
NO_MARGINS: Mapping[str, Comparison] = MappingProxyType({})


def sections(
    results: Results,
    comparisons: Mapping[str, Comparison],
    trials: Sequence[Trial],
    store: Store,
    context: Mapping[str, str],
    panels: Mapping[str, Results] = NOWHERE,
    margins: Mapping[str, Comparison] = NO_MARGINS,
) -> list[Block]:
    """The whole report below its title and question.

    Args:
        results: the results of the study's trials.
        comparisons: of rows with their reference, by row name.
        trials: of the study, in table order.
        store: the store of their artifacts.
        context: facts at the top.
        panels: the study's results by dataset, for its curve; these among them.
        margins: how a reference line's margin changes along the axis, by the title of the other line.
    """
    predictions = read_all_predictions(results, store)
    blocks: list[Block] = [Facts(context), *stamp([results], context), *_missing(results), *_remarks(trials, store)]
    blocks += [*_axis_section(results, panels), *teacher_section(results, comparisons)]
    blocks += [_table_section(results, comparisons), comparison_section(results, comparisons, margins)]
    blocks += [
        *_fold_section(results),
        _protocol_section(results),
        *_ribbon_section(results, predictions),
        *_curve_section(results),
    ]
    return [*blocks, *_phase_section(results), _computed_section(results, trials, store)]


def stamp(everything: Sequence[Results], context: Mapping[str, str]) -> list[Block]:
    """Notice above numbers of synthetic videos, so that nobody takes them for a result of surgery."""
    says = SYNTHETIC_SCALES.get(context.get("scale", "").partition(":")[0])
    if says is None:
        return []
    scores = next((scores for results in everything if (scores := results.any_scores)), None)
    videos = f"{_count(scores.num_videos, 'test video')}, " if scores else ""
    fewest, most = (pick(results.num_seeds for results in everything) for pick in (min, max))
    seeds = _count(most, "seed") if fewest == most else f"{fewest} to {most} seeds"
    return [Notice(f"{says} ({videos}{seeds}, a small network).")]


def _missing(results: Results) -> list[Block]:
    missing = {r.row.title: "; ".join(r.problems) for r in results.rows if r.problems}
    if not missing:
        return []
    total = sum(len(r.trials) for r in results.rows)
    count = sum(len(r.problems) for r in results.rows)
    sentences = [f"{title}: {problem.rstrip('.')}." for title, problem in missing.items()]
    counted = f"{count} of {total} trials have no result."
    return [Notice(f"{counted} {sentences[0]}" if len(sentences) == 1 else "\n".join((counted, *sentences)))]


def _remarks(trials: Sequence[Trial], store: Store) -> list[Block]:
    """Notice of stages whose metrics say that their training came to nothing, with the rows that need them."""
    several_seeds = len({trial.seed for trial in trials}) > 1
    users = [(trial.label if several_seeds else trial.row.title, trial.stage) for trial in trials]
    texts = remark_texts(users, store)
    return [Notice("\n".join(texts))] if texts else []


def _table_section(results: Results, comparisons: Mapping[str, Comparison]) -> Section:
    order = order_sentences(results, comparisons)
    blocks: list[Block] = [*([Paragraph(" ".join(order))] if order else []), tables.main_table(results)]
    seeds = f"Means over {results.num_seeds} seeds; “seeds ±” is the standard deviation over seeds. "
    notes = [
        "Percent. The ± below a mean is the standard deviation over what the column names, and belongs to test videos "
        "or phases, not to repeated runs. Below the rule: baselines. Bold: the best accuracy that is not a baseline's.",
        *([seeds] if results.num_seeds > 1 else ["One seed: nothing is known of the spread over seeds."]),
    ]
    blocks.append(Paragraph(" ".join(notes)))
    published = results.study.published
    if published:
        blocks.append(Paragraph(f"Published: {published.source}. {published.note}"))
    if results.any_scores:
        blocks.append(Picture("accuracy", accuracy_figure(results), _accuracy_caption(results)))
    return Section("Results beside the published numbers" if published else "Results", blocks)


def _accuracy_caption(results: Results) -> str:
    published = " Diamonds are the published means." if results.study.published else ""
    return f"Strict accuracy on the test videos. A dot is one video of one seed, a bar the mean of a row.{published}"


def _axis_section(results: Results, panels: Mapping[str, Results]) -> list[Block]:
    """The curve of a study that has one, its datasets side by side."""
    shown = {name: each for name, each in panels.items() if each.any_scores}
    if results.study.curve is None or not shown:
        return []
    spread = "seeds" if any(each.num_seeds > 1 for each in shown.values()) else "test videos"
    caption = (
        f"Strict accuracy on the test videos against {results.study.curve.title}. Bars: one standard deviation over "
        f"{spread}. Dashed: rows that do not depend on it."
    )
    if results.study.curve.axis == SEED:
        caption = "Strict accuracy on the test videos, seed by seed. Lines: the mean over seeds of a row."
    blocks: list[Block] = [Picture("axis", curve_figure(shown), caption)]
    sentences = curve_sentences(results)
    return [Section("Accuracy against the axis", [*([Paragraph(" ".join(sentences))] if sentences else []), *blocks])]


def _fold_section(results: Results) -> list[Block]:
    """Every fold of the rows that are cross-validated."""
    if not any(result.folds for result in results.rows):
        return []
    intro = (
        "Strict accuracy on the test videos of a fold, percent; the mean over seeds. The other tables show the folds "
        "of a row as one row, in which every video counts where it was tested; of several drawings, the mean."
    )
    return [Section("Fold by fold", [Paragraph(intro), tables.fold_table(results)])]


def _protocol_section(results: Results) -> Section:
    intro = "The same predictions under three protocols; a number means little without the name of its protocol."
    sentences = " ".join((intro, *protocol_sentences(results)))
    return Section("The choice of protocol", [Paragraph(sentences), tables.protocol_table(results)])


def _ribbon_section(results: Results, predictions: Mapping[str, Mapping[str, VideoPredictions]]) -> list[Block]:
    video = median_video(results)
    ribbons = {row: videos[video] for row, videos in predictions.items() if video is not None and video in videos}
    if video is None or not ribbons:
        return []
    caption = (
        f"{video}: the test video whose accuracy is the median in the reference row, so neither the best nor the "
        "worst. Truth on top, then one ribbon per row (its first seed), with its accuracy on this video."
    )
    figure = ribbon_figure(results, ribbons, video)
    blocks: list[Block] = [Picture("ribbons", figure, caption)]
    others = dict.fromkeys(name for videos in predictions.values() for name in videos if name != video)
    every = [_compact_ribbon(results, predictions, name) for name in others]
    if every:
        blocks.append(Details(f"The other {_count(len(every), 'test video')}", every, html_only=True))
    return [Section("Phases over time", blocks)]


def _compact_ribbon(results: Results, predictions: Mapping[str, Mapping[str, VideoPredictions]], name: str) -> Picture:
    ribbons = {row: videos[name] for row, videos in predictions.items() if name in videos}
    figure = ribbon_figure(results, ribbons, name, compact=True)
    return Picture(f"ribbons-{name}", figure, f"{name}; colours as above.")


def _curve_section(results: Results) -> list[Block]:
    pretraining, temporal = pretraining_figure(results), temporal_figure(results)
    blocks: list[Block] = []
    if pretraining:
        caption = (
            "Pre-training by epoch, the mean over seeds. Dashed: baselines. A row that pre-trains nothing of its own "
            "has no curve."
        )
        blocks.append(Picture("curves", pretraining, caption))
    if temporal:
        figure = Picture("temporal", temporal, "The temporal model on training and validation videos, by epoch.")
        blocks.append(Details("Training of the temporal model", [figure]))
    return [Section("Training curves", blocks)] if blocks else []


def _phase_section(results: Results) -> list[Block]:
    scores = results.any_scores
    if scores is None:
        return []
    phases = scores.phases
    blocks: list[Block] = [
        Details(f"{title} by phase", [tables.phase_table(results, metric, phases)])
        for metric, title in (("jaccard", "Jaccard"), ("f1", "F1"))
    ]
    intro = "Strict protocol, percent; the mean over the test videos in which the phase is defined."
    return [Section("Phase by phase", [Paragraph(intro), *blocks])]


def _computed_section(results: Results, trials: Sequence[Trial], store: Store) -> Section:
    scores = results.any_scores
    absent = {"Absent phases": ABSENT_PHASES.get(scores.absent, scores.absent)} if scores else {}
    framewise = any(r.score(FRAMEWISE, "accuracy") for r in results.rows)
    metrics = {name: text for name, text in METRICS.items() if framewise or name != "Frames"}
    logs = (
        "Equal stages are computed once and shared by the rows that need them. What a stage printed is shown by "
        "`freelunch logs KEY`, with a key of the table."
    )
    return Section(
        "What was computed, and how to read it",
        [Facts(metrics | absent), Paragraph(logs), Details("Every stage", [tables.stage_table(trials, store)])],
    )


def _count(number: int, noun: str) -> str:
    return f"{'one' if number == 1 else number} {noun}{'' if number == 1 else 's'}"
