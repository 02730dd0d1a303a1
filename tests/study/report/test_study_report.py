"""The report: what stands in it, from complete and from partial results, and that its numbers are those of Evaluate."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.image import imread

from study import Row, Trial
from study.analysis.comparisons import compare_rows
from study.analysis.results import read_results
from study.analysis.row_predictions import median_video
from study.core.graph import key
from study.core.rows import RELAXED_PROTOCOLS
from study.core.store import Store
from study.report.study_report import Report, write_picture, write_report
from tests.study.report.page import Page
from tests.study.small_study import CONTEXT, PUBLISHED, STUDY, compute, stages_named
from trainers.artifacts.evaluation import PROTOCOLS, STRICT

NUM_VIDEOS = 7


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Trial, ...], Store]:
    trials = STUDY.trials(NUM_VIDEOS)
    return trials, compute(trials, tmp_path_factory.mktemp("home"))[0]


@pytest.fixture(scope="module")
def report(computed: tuple[tuple[Trial, ...], Store], tmp_path_factory: pytest.TempPathFactory) -> Report:
    return write_report(STUDY, *computed, tmp_path_factory.mktemp("report"), context=CONTEXT)


@pytest.fixture(scope="module")
def several_seeds(tmp_path_factory: pytest.TempPathFactory) -> Report:
    trials = STUDY.trials(2, seeds=(0, 1, 2))
    store, _ = compute(trials, tmp_path_factory.mktemp("home"))
    return write_report(STUDY, trials, store, tmp_path_factory.mktemp("report"), context=CONTEXT)


def strict_json(path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def summary(store: Store, trial: Trial) -> Any:
    folder = store.find(key(trial.stage))
    assert folder is not None
    return json.loads((folder / "summary.json").read_text())


def test_the_numbers_of_the_table_are_those_of_the_summary(
    report: Report, computed: tuple[tuple[Trial, ...], Store]
) -> None:
    trials, store = computed
    page = Page(report.html.read_text())
    for trial in trials:
        strict, framewise = (summary(store, trial)[protocol] for protocol in ("strict", "framewise"))
        shown = page.row(trial.row.title)
        metrics = ("accuracy", "precision", "recall", "jaccard", "f1", "edit", "f1@50")
        expected = [f"{strict[m]['mean']:.1f} ± {strict[m]['std']:.1f}" for m in metrics]
        expected.append(f"{framewise['accuracy']['mean']:.1f} ± {framewise['accuracy']['std']:.1f}")
        assert shown[1:9] == expected


def test_results_json_is_strict_and_holds_every_row_metric_seed_and_comparison(
    report: Report, computed: tuple[tuple[Trial, ...], Store]
) -> None:
    trials, store = computed
    data = strict_json(report.results)
    assert [row["name"] for row in data["rows"]] == ["none", "head", "all", "public", "constant"]
    assert data["comparisons"].keys() == {"none", "all", "public", "constant"}
    for trial, row in zip(trials, data["rows"], strict=True):
        for protocol in ("strict", "relaxed_fixed", "relaxed_official", "framewise"):
            for metric, entry in summary(store, trial)[protocol].items():
                assert row["protocols"][protocol][metric]["mean"] == entry["mean"]
                assert row["protocols"][protocol][metric]["by_seed"] == {"0": entry["mean"]}


def test_both_readings_of_the_swapped_columns_and_the_note_are_printed(report: Report) -> None:
    text = report.html.read_text()
    row = Page(text).row("head trained")
    assert row[10:14] == ["87.3 ± 9.5", "73.5 ± 9.9", "85.1 ± 7.6", "86.1 ± 6.9"]
    assert row[14:] == ["86.1 ± 6.9", "73.5 ± 9.9"]
    for written in (text, report.markdown.read_text()):
        assert PUBLISHED.note in written
        assert "columns exchanged" in written


def test_the_page_loads_nothing(report: Report) -> None:
    text = report.html.read_text()
    assert [target for target in Page(text).loads if not target.startswith("#")] == []
    assert not re.search(r"@import|url\((?!#)|<script|<link|<iframe", text)
    assert text.count("<svg") == 4 + NUM_VIDEOS - 1


def test_titles_are_escaped(report: Report) -> None:
    assert "<trained>" not in report.html.read_text()
    assert "<trained>" not in report.markdown.read_text()
    assert "<h1>What of the teacher should be &lt;trained&gt;?</h1>" in report.html.read_text()


def test_ids_of_figures_do_not_clash_unless_they_mean_the_same(report: Report) -> None:
    clips: dict[str, str] = {}
    for name, body in re.findall(r'<clipPath id="([^"]+)">(.*?)</clipPath>', report.html.read_text(), re.DOTALL):
        assert clips.setdefault(name, body) == body
    assert clips


def test_markdown_shows_figures_that_lie_beside_it(report: Report) -> None:
    links = re.findall(r"\]\((figures/[^)]+)\)", report.markdown.read_text())
    assert links == [f"figures/{name}.svg" for name in ("accuracy", "ribbons", "curves", "temporal")]
    for link in links:
        assert (report.markdown.parent / link).read_text().startswith("<svg")


def test_markdown_tables_have_as_many_cells_in_every_line(report: Report) -> None:
    tables = re.findall(r"(?:^\|.*\|\n)+", report.markdown.read_text(), re.MULTILINE)
    assert len(tables) == 6
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_csv_repeats_the_table_in_full_precision(report: Report, computed: tuple[tuple[Trial, ...], Store]) -> None:
    trials, store = computed
    rows = list(csv.DictReader(report.csv.read_text().splitlines()))
    for trial, row in zip(trials, rows, strict=True):
        assert float(row["jaccard"]) == summary(store, trial)["strict"]["jaccard"]["mean"]
    assert rows[1]["published_jaccard"] == "86.1"
    assert rows[3]["published_jaccard"] == ""


def test_a_demo_says_that_it_is_one(report: Report) -> None:
    said = "these numbers show that everything runs, not what the method is worth"
    stamp = f"{said} (7 test videos, one seed, a small network)"
    assert stamp in report.html.read_text()
    assert stamp in report.markdown.read_text()


def test_findings_name_both_orders_and_claim_no_reproduction(report: Report) -> None:
    findings = " ".join(report.findings)
    assert "In print: head trained 87.3 > everything trained 85.2 > teacher as it is 84.7." in findings
    assert "The choice of protocol alone moves the Jaccard index" in findings
    assert "conclusive" in findings
    assert "reproduc" not in report.html.read_text().lower()


def test_too_few_videos_leave_every_comparison_inconclusive_and_say_so(tmp_path: Path) -> None:
    trials = STUDY.trials(2)
    store, _ = compute(trials, tmp_path / "home")
    written = write_report(STUDY, trials, store, tmp_path / "report", context=CONTEXT)
    assert {c["verdict"] for c in strict_json(written.results)["comparisons"].values()} == {"inconclusive"}
    assert "a Wilcoxon test can never be significant" in written.html.read_text()


def test_a_missing_row_keeps_its_line_and_the_reason(tmp_path: Path) -> None:
    broken = Row(name="broken", title="broken row", parameters={"fails": True})
    study = replace(STUDY, rows=(broken, *STUDY.rows))
    trials = study.trials(1)
    store, outcome = compute(trials, tmp_path / "home")
    problems = {3: f"PredictPhases failed: {next(iter(outcome.failures.values())).sentence}"}
    written = write_report(study, trials, store, tmp_path / "report", context=CONTEXT, problems=problems)
    page = Page(written.html.read_text())
    assert page.row("broken row seed 0: PredictPhases failed: the disk of the moon is full: free some space.")[1] == "–"
    assert "1 of 6 trials have no result" in written.markdown.read_text()
    assert strict_json(written.results)["rows"][3]["problems"]
    assert any("not computed" in row for row in page.rows)


def test_a_study_with_a_second_protocol_compares_its_rows_by_that_accuracy_too(
    computed: tuple[tuple[Trial, ...], Store], report: Report, tmp_path: Path
) -> None:
    study = replace(STUDY, second_protocol="relaxed_official")
    written = write_report(study, *computed, tmp_path, context=CONTEXT)
    found = strict_json(written.results)["comparisons_by"]["relaxed_official"]
    expected = compare_rows(written.numbers, "relaxed_official")
    assert {name: each["mean_difference"] for name, each in found.items()} == {
        name: each.mean_difference for name, each in expected.items()
    }
    means = {row.row.name: row.score("relaxed_official", "accuracy") for row in written.numbers.rows}
    for name, comparison in expected.items():
        reference, other = means[STUDY.reference or ""], means[name]
        assert reference is not None
        assert other is not None
        assert comparison.mean_difference == pytest.approx(other.mean - reference.mean)
    said = "The same by the accuracy of the protocol “relaxed, official”"
    assert said in written.markdown.read_text()
    assert said not in report.markdown.read_text()
    assert "comparisons_by" not in strict_json(report.results)


def test_second_protocols_are_those_of_an_evaluation() -> None:
    assert (STRICT, *RELAXED_PROTOCOLS) == PROTOCOLS


def test_a_row_still_to_come_does_not_change_the_p_values_of_the_others(
    computed: tuple[tuple[Trial, ...], Store], tmp_path: Path
) -> None:
    trials, store = computed
    partial, _ = compute((trials[1], trials[4]), tmp_path)
    some = compare_rows(read_results(STUDY, trials, partial, {}))
    assert some.keys() == {"constant"}
    assert some["constant"].adjusted_p_value is not None
    assert some["constant"] == compare_rows(read_results(STUDY, trials, store, {}))["constant"]


def test_a_report_can_be_written_before_anything_is_finished(tmp_path: Path) -> None:
    trials = STUDY.trials(NUM_VIDEOS)
    written = write_report(STUDY, trials, Store(tmp_path / "home"), tmp_path / "report", context=CONTEXT)
    assert "5 of 5 trials have no result" in written.html.read_text()
    assert [line[1] for line in written.table.lines()] == ["–"] * 5
    assert strict_json(written.results)["comparisons"] == {}
    write_picture(STUDY, trials, Store(tmp_path / "home"), tmp_path / "empty.png", context=CONTEXT)


def test_the_same_inputs_give_the_same_bytes(
    report: Report, computed: tuple[tuple[Trial, ...], Store], tmp_path: Path
) -> None:
    again = write_report(STUDY, *computed, tmp_path, context=CONTEXT)
    first, second = report.html.parent, again.html.parent
    names = sorted(str(path.relative_to(first)) for path in first.rglob("*") if path.is_file())
    assert len(names) == 4 + 4
    assert [name for name in names if (first / name).read_bytes() != (second / name).read_bytes()] == []


def test_matplotlib_is_left_as_it_was(computed: tuple[tuple[Trial, ...], Store], tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    write_picture(STUDY, *computed, tmp_path / "picture.png", context=CONTEXT)
    assert dict(mpl.rcParams) == before
    assert imread(tmp_path / "picture.png").shape[:2] == (800, 1400)


def test_several_seeds_are_averaged_and_their_spread_is_named_apart(several_seeds: Report) -> None:
    row = strict_json(several_seeds.results)["rows"][1]
    accuracy = row["protocols"]["strict"]["accuracy"]
    by_seed = list(accuracy["by_seed"].values())
    assert len(set(by_seed)) == 3
    assert accuracy["mean"] == pytest.approx(sum(by_seed) / 3)
    cell = Page(several_seeds.html.read_text()).row("head trained")[1]
    assert cell == f"{accuracy['mean']:.1f} ± {accuracy['std']:.1f} seeds ± {accuracy['seed_std']:.1f}"


def test_a_row_that_no_seed_touches_counts_once_but_is_compared_in_every_seed(several_seeds: Report) -> None:
    data = strict_json(several_seeds.results)
    constant = data["rows"][4]
    assert constant["protocols"]["strict"]["accuracy"]["seed_std"] is None
    assert len({trial["key"] for trial in constant["trials"]}) == 1
    assert data["comparisons"]["constant"]["num_seeds"] == 3


def test_only_a_pretraining_of_its_own_gives_a_row_a_curve(computed: tuple[tuple[Trial, ...], Store]) -> None:
    trials, store = computed
    results = read_results(STUDY, trials, store, {})
    with_curves = [result.row.name for result in results.rows if result.curve("loss_contrastive")]
    assert stages_named(trials[3], "Pretrain"), "the free weights are trained too, but for other rows"
    assert with_curves == ["none", "head", "all"]


def test_ribbons_show_the_median_video_of_the_reference_row(computed: tuple[tuple[Trial, ...], Store]) -> None:
    results = read_results(STUDY, *computed, {})
    assert results.reference is not None
    accuracies = {video: value or 0.0 for video, value in results.reference.values("accuracy")[0].items()}
    chosen = accuracies[str(median_video(results))]
    assert sum(value < chosen for value in accuracies.values()) == NUM_VIDEOS // 2


def test_stages_are_listed_once_with_their_key(report: Report, computed: tuple[tuple[Trial, ...], Store]) -> None:
    trials, _ = computed
    page = Page(report.html.read_text())
    listed = [row[1] for row in page.rows if row and row[0] in ("Pretrain", "Predict", "Evaluate", "TrainTemporal")]
    assert len(listed) == len(set(listed))
    assert {key(trial.stage)[:8] for trial in trials} < set(listed)
    assert any(row[0] == "Video × 6" for row in page.rows if row)


def test_a_study_without_published_numbers_or_reference_is_reported_too(tmp_path: Path) -> None:
    study = replace(STUDY, published=None, reference=None, rows=())
    trials = study.trials(1)
    store, _ = compute(trials, tmp_path / "home")
    written = write_report(study, trials, store, tmp_path / "report", context={"scale": "full"})
    assert "everything runs" not in written.html.read_text()
    assert "declares no reference row" in written.html.read_text()
    assert not re.search("[Pp]ublished (num|mean|acc|:)|as printed", written.html.read_text())
    assert all(len(line) == len(written.table.headers) for line in written.table.lines())
