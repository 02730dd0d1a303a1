from dataclasses import replace
from pathlib import Path

import pytest

from study import cross_validated
from study.analysis.comparisons import compare_rows
from study.analysis.results import Results, read_results
from study.analysis.row_predictions import median_video, read_all_predictions
from study.core.graph import key
from study.core.store import Store
from study.core.study import Study, standalone
from study.report.study_report import write_report
from tests.study import small_study
from tests.study.folded_study import STUDY, evaluated
from trainers.artifacts.evaluation import read_scores

NUM_VIDEOS = 10


def computed(study: Study, home: Path, *, without: tuple[str, ...] = (), seeds: int = 1) -> tuple[Results, Store]:
    trials = study.trials(NUM_VIDEOS, seeds=range(seeds))
    store, _ = small_study.compute(tuple(t for t in trials if t.row.name not in without), home)
    return read_results(study, trials, store, {}), store


def test_a_pool_scores_as_one_evaluation_of_all_its_videos(tmp_path: Path):
    study = replace(STUDY, rows=STUDY.rows[:1], reference=None)
    results, store = computed(cross_validated(study, "cv", count=3), tmp_path)
    whole = evaluated(tuple(range(NUM_VIDEOS)), seed=0, error=0.3)
    small_study.compute(standalone([whole]), tmp_path)
    expected = read_scores(store.check(key(whole)), store.manifest(key(whole)).config)
    (row,) = results.rows
    found = row.scored[0]
    assert (found.num_videos, found.num_frames, found.phases) == (10, expected.num_frames, expected.phases)
    assert found.per_video == expected.per_video
    for protocol, entries in expected.summary.items():
        for metric, entry in entries.items():
            assert found.summary[protocol][metric]["mean"] == pytest.approx(entry["mean"]), (protocol, metric)
            assert found.summary[protocol][metric]["std"] == pytest.approx(entry["std"]), (protocol, metric)
            assert found.summary[protocol][metric]["over"] == entry["over"]
    for metric, phases in expected.per_phase.items():
        assert found.per_phase[metric] == pytest.approx(phases), metric


def test_a_report_shows_a_row_over_all_videos_and_each_of_its_folds(tmp_path: Path):
    study = cross_validated(STUDY, "cv", count=3, repeats=2)
    trials = study.trials(NUM_VIDEOS)
    store, _ = small_study.compute(trials, tmp_path / "home")
    report = write_report(study, trials, store, tmp_path / "report", context={"scale": "full"})
    text = report.markdown.read_text()
    assert [str(row[0]) for row in report.table.rows] == ["more errors, longer", "errors as usual", "lost"]
    assert "## Fold by fold" in text
    assert "corrected resampled t-test" in text
    assert "| fold 1 | fold 2 | fold 3 |" in " ".join(text.split())
    comparison = compare_rows(report.numbers)["worse"]
    assert (comparison.num_videos, comparison.num_folds, comparison.num_seeds) == (10, 5, 1), "they share a fold"
    assert len(report.numbers.rows[0].fold_accuracies()) == 6


def test_a_fold_that_is_missing_is_named_and_the_others_are_shown(tmp_path: Path):
    study = cross_validated(STUDY, "cv", count=3)
    results, store = computed(study, tmp_path, without=("worse,fold2of3",))
    worse, usual = results.rows[:2]
    assert worse.problems == ("seed 0: fold2of3: not computed yet",)
    assert worse.scored[0].num_videos < usual.scored[0].num_videos == NUM_VIDEOS
    comparison = compare_rows(results)["worse"]
    assert (comparison.num_videos, comparison.num_folds) == (worse.scored[0].num_videos, 2)
    predictions = read_all_predictions(results, store)
    assert len(predictions["usual"]) == NUM_VIDEOS
    assert median_video(results) in predictions["usual"]
    write_report(study, study.trials(NUM_VIDEOS), store, tmp_path / "report", context={"scale": "full"})


def test_seeds_of_a_pool_stay_seeds(tmp_path: Path):
    results, _ = computed(cross_validated(STUDY, "cv", count=2), tmp_path, seeds=2)
    score = results.rows[0].score("strict", "accuracy")
    assert score is not None
    assert score.seed_std is not None
    assert list(score.by_seed) == [0, 1]
    assert compare_rows(results)["worse"].num_seeds == 2


def test_a_fold_that_two_drawings_share_counts_once(tmp_path: Path):
    study = cross_validated(STUDY, "cv", count=3, repeats=2)
    trials = study.trials(3)  # every video is a fold of its own, in every drawing
    store, _ = small_study.compute(trials, tmp_path)
    comparison = compare_rows(read_results(study, trials, store, {}))["worse"]
    assert (comparison.num_videos, comparison.num_folds) == (3, 3)
