"""The page over a suite: what stands in it is what its studies' reports, plan and manifests say."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from matplotlib.axes import Axes
from rich.console import Console

from study import Choice, Curve, MeasuredOn, Row, Study
from study.cli.planning import parts_of
from study.console.plan_tables import parts_table
from study.core.graph import key, walk
from study.core.plan import Plan, make_plan
from study.core.savings import recorded
from study.core.store import Store
from study.core.suite import Part, Suite, together
from study.home.request import Request
from study.home.text import duration
from study.report.figures.suite_figure import PANEL_PX, ROW_PX, panels_figure
from study.report.study_report import Report, write_report
from study.report.suite_report import overview_table, sharing_table, write_overview
from tests.study.small_study import CONTEXT, STUDY, compute, student

NUM_VIDEOS = 6
NOWHERE = MeasuredOn(pretraining="made up", test="made up")
SWEEP = Study(
    name="sweep",
    title="How wrong may it be?",
    question="How wrong?",
    recipe=student,
    axes={"error": Choice((0.25, 0.4))},
    reference="0.25",
    curve=Curve(axis="error", title="errors"),
    fewest_seeds=2,
)
FIGURE = Study(
    name="figure",
    title="How few labels?",
    question="How few?",
    recipe=student,
    rows=tuple(
        Row(
            name=f"{line}-{error}",
            title=f"{line} at {error}",
            series=line,
            parameters={"error": error, "teacher": line},
        )
        for line in ("head", "none")
        for error in (0.25, 0.5)
    ),
    curve=Curve(axis="error", title="errors", reference="head"),
)
SUITE = Suite(name="all-of-it", title="Everything <at once>", question="What of it?", studies=(STUDY, SWEEP, FIGURE))
REQUEST = Request(study=SUITE.name, scale="demo")


@dataclass(frozen=True, kw_only=True)
class Written:
    """A suite of which some studies are computed, its reports, and the page over them."""

    parts: tuple[Part, ...]
    store: Store
    plan: Plan
    reports: list[Report]
    page: Path

    @property
    def folder(self) -> Path:
        return self.page.parent

    @property
    def html(self) -> str:
        return self.page.read_text()

    @property
    def markdown(self) -> str:
        return self.page.with_suffix(".md").read_text()


def written(home: Path, computed: Sequence[str]) -> Written:
    parts = parts_of(SUITE, REQUEST, NUM_VIDEOS, NOWHERE)
    finished = [trial for part in parts if part.study.name in computed for trial in part.trials]
    store, _ = compute(tuple(replace(trial, number=number) for number, trial in enumerate(finished)), home)
    plan = make_plan(together(parts), store)
    reports = [
        write_report(part.study, part.trials, store, folder_of(part.request, home), context=CONTEXT) for part in parts
    ]
    page = write_overview(SUITE, parts, reports, plan, store, folder_of(REQUEST, home), context=CONTEXT)
    return Written(parts=parts, store=store, plan=plan, reports=reports, page=page)


def folder_of(request: Request, home: Path) -> Path:
    folder = request.folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return written(tmp_path_factory.mktemp("home"), [study.name for study in SUITE.studies])


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return written(tmp_path_factory.mktemp("home"), ["tiny"])


def test_every_study_has_a_row_with_what_its_own_report_says(whole: Written):
    lines = overview_table(whole.reports, whole.folder).lines()
    for line, report in zip(lines, whole.reports, strict=True):
        data = json.loads(report.results.read_text())
        means = {
            row["title"]: row["protocols"]["strict"]["accuracy"]["mean"] for row in data["rows"] if not row["baseline"]
        }
        best = max(means, key=lambda title: means[title])
        num_trials = sum(len(row["trials"]) for row in data["rows"])
        assert line[0] == f"{data['title']} {data['study']}"
        assert line[1] == f"{num_trials} of {num_trials}"
        assert line[2] == best
        assert line[3].startswith(f"{means[best]:.1f}")


def test_what_a_study_says_is_among_the_findings_of_its_report(whole: Written):
    tiny, sweep, figure = (json.loads(report.results.read_text())["findings"] for report in whole.reports)
    said = [line[6] for line in overview_table(whole.reports, whole.folder).lines()]
    assert said == [
        next(finding for finding in tiny if "the reference row" in finding),
        " ".join(finding for finding in reversed(sweep) if "is highest" in finding or "the reference row" in finding),
        " ".join(
            finding for finding in figure if finding.startswith(("head, on the axis", "Its margin", "The margin"))
        ),
    ]


def test_the_reference_stands_beside_the_best_row_and_a_line_has_no_one_accuracy(whole: Written):
    *lines, figure = overview_table(whole.reports, whole.folder).lines()
    for line, report, name in zip(lines, whole.reports[:2], ("head", "0.25"), strict=True):
        row = next(row for row in json.loads(report.results.read_text())["rows"] if row["name"] == name)
        assert line[4] == row["title"]
        assert line[5].startswith(f"{row['protocols']['strict']['accuracy']['mean']:.1f}")
    assert figure[4:6] == ["head, value by value", "–"]


def test_titles_lead_to_the_reports_from_both_pages(whole: Written):
    from_html = re.findall(r'<th scope="row" class="words"><a href="([^"]+)">', whole.html)
    from_markdown = re.findall(r"\| \[[^]]*\]\(<([^>]+)>\)", whole.markdown)
    assert from_html == from_markdown
    assert [(whole.folder / unquote(link)).resolve() for link in from_html] == [r.html.resolve() for r in whole.reports]
    assert not any(os.path.isabs(link) for link in from_html)


def test_the_page_loads_nothing_escapes_titles_and_says_that_it_is_a_demo(whole: Written):
    assert not re.search(r"@import|url\((?!#)|<script|<link|<iframe|src=", whole.html)
    assert "<h1>Everything &lt;at once&gt;</h1>" in whole.html
    assert "Suite all-of-it" in whole.html
    for text in (whole.html, whole.markdown):
        said = "these numbers show that everything runs, not what the method is worth"
        assert f"{said} (6 test videos, 1 to 2 seeds, a small network)" in text
        assert CONTEXT["dataset"] in text
        assert "have no result" not in text


def test_what_has_no_result_is_counted_study_by_study(partial: Written):
    counts = {
        part.study.name: (sum(partial.store.find(key(t.stage)) is not None for t in part.trials), len(part.trials))
        for part in partial.parts
    }
    shown = [line[1] for line in overview_table(partial.reports, partial.folder).lines()]
    assert shown == [f"{finished} of {total}" for finished, total in counts.values()]
    left = {name: f"{total - finished} of {total}" for name, (finished, total) in counts.items() if finished < total}
    assert left.keys() == {"sweep", "figure"}
    finished, total = map(sum, zip(*counts.values(), strict=True))
    where = ", ".join(f"{name} {text}" for name, text in left.items())
    assert f"{total - finished} of {total} trials have no result: {where}. Their reports say why." in partial.html


def test_a_page_can_be_written_before_anything_is_finished(tmp_path: Path):
    nothing = written(tmp_path, [])
    assert "Too little is computed to say anything." in nothing.html
    assert "What it really took" not in nothing.html
    assert not (nothing.folder / "figures" / "studies.svg").exists()


def test_the_terminal_and_the_page_count_alike(whole: Written):
    console = Console(width=200)
    with console.capture() as capture:
        console.print(parts_table(whole.plan, whole.parts))
    _, *shown = (re.split(r"\s{2,}", line.strip()) for line in capture.get().splitlines())
    lines = sharing_table(whole.plan, whole.parts).lines()
    for terminal, line in zip(shown[:-1], lines[:-1], strict=True):
        assert terminal == [*line[:5], *line[6:]]
    counts = (len(whole.plan.trials), whole.plan.num_unshared, len(whole.plan.stages))
    assert [lines[-1][column] for column in (1, 2, 4)] == list(map(str, counts))
    assert sum(int(line[4]) for line in lines[:-1]) == len(whole.plan.stages)
    assert sum(int(line[2]) for line in lines[:-1]) == whole.plan.num_unshared


def test_a_stage_of_a_study_above_is_not_new(whole: Written):
    own = {part.study.name: {k for trial in part.trials for k in walk(trial.stage)} for part in whole.parts}
    new = {line[0]: int(line[4]) for line in sharing_table(whole.plan, whole.parts).lines()[:-1]}
    assert new == {
        "tiny": len(own["tiny"]),
        "sweep": len(own["sweep"] - own["tiny"]),
        "figure": len(own["figure"] - own["tiny"] - own["sweep"]),
    }


@pytest.mark.parametrize("which", ["whole", "partial"])
def test_what_it_took_is_the_sum_of_the_manifests(which: str, request: pytest.FixtureRequest):
    found: Written = request.getfixturevalue(which)
    took = recorded(found.plan, found.store)
    manifests = {manifest.key: manifest for manifest in found.store.manifests()}
    assert took.num_finished == len(manifests)
    assert took.seconds == pytest.approx(sum(manifest.seconds for manifest in manifests.values()))
    naive = [manifests[k].seconds for part in found.parts for t in part.trials for k in walk(t.stage) if k in manifests]
    assert took.naive_seconds == pytest.approx(sum(naive))
    number = "all" if which == "whole" else f"{len(manifests)} of"
    assert f"by the manifests of {number} {len(found.plan.stages)} stages: {duration(took.seconds)}" in found.html
    assert f"would have taken {duration(took.naive_seconds)}: " in found.html


def test_every_study_has_a_panel_with_a_dot_per_row_on_one_axis(whole: Written):
    figure = panels_figure([report.numbers for report in whole.reports])
    assert [axes.get_title(loc="left").partition(":")[0] for axes in figure.axes] == ["tiny", "sweep", "figure"]
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    left, right = figure.axes[0].get_xlim()
    for axes, report in zip(figure.axes, whole.reports, strict=True):
        rows = report.numbers.rows
        assert len(axes.get_yticklabels()) == len(rows)
        dots = [float(line.get_xdata()[0]) for line in axes.get_lines() if line.get_marker() == "o"]  # type: ignore[index]
        assert dots == [score.mean for row in rows if (score := row.score("strict", "accuracy"))]
        assert all(left < dot < right for dot in dots)
    titles, _, figure_labels = ([label.get_text() for label in axes.get_yticklabels()] for axes in figure.axes)
    assert titles == [row.row.title for row in whole.reports[0].numbers.rows]
    assert figure_labels == ["head   0.25", "0.5", "none   0.25", "0.5"]
    diamonds = [line.get_xdata() for line in figure.axes[0].get_lines() if line.get_marker() == "D"]
    assert STUDY.published is not None
    assert len(diamonds) == len(STUDY.published.rows)


def test_rows_that_are_not_computed_keep_their_line(partial: Written):
    figure = panels_figure([report.numbers for report in partial.reports])
    axes = figure.axes[2]
    shown = partial.reports[2].numbers.rows
    assert len(axes.get_yticklabels()) == len(shown)
    computed = [row for row in shown if row.scored]
    assert len([line for line in axes.get_lines() if line.get_marker() == "o"]) == len(computed)


def test_many_studies_stand_in_two_columns_of_about_one_height(whole: Written):
    figure = panels_figure([report.numbers for report in whole.reports] * 2)
    columns: dict[float, list[Axes]] = {}
    for axes in figure.axes:
        columns.setdefault(axes.get_position().x0, []).append(axes)
    heights = [ROW_PX * len(axes.get_yticklabels()) + PANEL_PX for axes in figure.axes]
    left, right = (sum(heights[figure.axes.index(axes)] for axes in column) for column in columns.values())
    assert abs(left - right) <= max(heights)
    for column in columns.values():
        lows = [axes.get_position().y0 for axes in column]
        assert lows == sorted(lows, reverse=True)


def test_the_same_results_give_the_same_bytes(whole: Written, tmp_path: Path):
    def contents() -> dict[str, bytes]:
        return {str(p.relative_to(whole.folder)): p.read_bytes() for p in whole.folder.rglob("*") if p.is_file()}

    before = contents()
    write_overview(SUITE, whole.parts, whole.reports, whole.plan, whole.store, whole.folder, context=CONTEXT)
    assert contents() == before
    assert before.keys() == {"report.html", "report.md", "figures/studies.svg"}
