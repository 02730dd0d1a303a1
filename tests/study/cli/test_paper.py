"""Every study, and every method in them, from frames to reports, at a size that takes a minute or two."""

import functools
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from search_spaces.studies.catalogue import PAPER
from study.cli.planning import PUBLISHED_NOTE, PlannedStudy
from study.cli.study_run import record_run
from study.core.graph import walk
from study.core.store import Store
from study.home.request import Request
from tests.study.tiny_cli import called, make_tiny_videos
from tests.study.tiny_home import ASKED, LOCAL, copy_of, done

pytestmark = [pytest.mark.usefixtures("tiny_scale"), pytest.mark.slow]

RUN = ("run", "paper", *LOCAL)
METHODS = {"MoCo", "DistilledMoCo", "SwAV", "SimSiam", "RegionCL", "CombinedMoCo"}
NUM_SEEDS = {"seeds": 3}


@pytest.fixture(scope="module")
def stored(tiny_scale: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with videos, in which nothing was run."""
    folder = tmp_path_factory.mktemp("stored")
    make_tiny_videos(folder / "videos", num_videos=8)
    done(called(folder / "home", "ingest", "cholec80", str(folder / "videos"), "--name", "tiny", "--scale", "tiny"))
    return folder / "home"


@pytest.fixture(scope="module")
def paper(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home in which the whole paper was run, and what that printed."""
    home = copy_of(stored, tmp_path_factory.mktemp("paper"))
    return home, done(called(home, *RUN)).output


@functools.cache
def planned(home: Path, study: str, *rows: str) -> PlannedStudy:
    """A study of a home; what the home has finished is looked at once."""
    return PlannedStudy(home, Request(study=study, scale="tiny", dataset="tiny", rows=rows))


def test_every_stage_is_computed_once_whichever_study_asks(paper: tuple[Path, str]):
    home, printed = paper
    plan = planned(home, "paper").plan
    assert not plan.missing
    assert printed.count(" done in ") == len(plan.stages) - 8, "the videos were there already"
    assert len(list(Store(home).manifests())) == len(plan.stages)
    assert plan.num_unshared > 2 * len(plan.stages)


def test_it_says_what_computing_each_trial_alone_would_cost(paper: tuple[Path, str]):
    home, printed = paper
    plan = planned(home, "paper").plan
    assert f"need {len(plan.stages)} stages" in printed
    assert f"{plan.num_unshared} if each trial computed its own" in printed
    assert "sharing saves about " in printed
    (line,) = (line.split() for line in printed.splitlines() if line.startswith("together "))
    assert line[1:4] == [str(len(plan.trials)), str(plan.num_unshared), str(len(plan.stages))]


def test_every_study_has_its_own_report(paper: tuple[Path, str]):
    home, printed = paper
    for study in PAPER.studies:
        (folder,) = (home / "studies" / study.name).glob("*/")
        results = json.loads((folder / "results.json").read_text())
        assert [row["problems"] for row in results["rows"]] == [[]] * len(study.all_rows())
        assert {len(row["trials"]) for row in results["rows"]} == {NUM_SEEDS.get(study.name, 1)}
        assert (folder / "figures" / "axis.svg").exists() == (study.curve is not None)
        assert f"{study.name}: {study.title}" in printed


def test_the_page_over_all_studies_is_written_last_and_leads_to_their_reports(paper: tuple[Path, str]):
    home, printed = paper
    page = planned(home, "paper").request.folder(home) / "report.html"
    assert [line for line in printed.splitlines() if line.startswith("report: ")][-1] == f"report: {page}"
    links = re.findall(r'<a href="([^"]+)">', page.read_text())
    reports = {(home / "studies" / study.name) for study in PAPER.studies}
    assert {(page.parent / unquote(link)).resolve().parents[1] for link in links} == reports
    assert all((page.parent / unquote(link)).exists() for link in links)
    assert "What sharing saved" in page.read_text()


def test_every_method_is_trained(paper: tuple[Path, str]):
    kinds = {stage.kind for stage in planned(paper[0], "paper").plan.stages.values()}
    assert {f"Pretrain {method}" for method in METHODS} | {"FineTune full", "TrainClassifier"} <= kinds


@pytest.mark.parametrize("study", [study.name for study in PAPER.studies])
def test_a_study_of_the_paper_asked_alone_is_finished(paper: tuple[Path, str], study: str):
    alone = planned(paper[0], study)
    assert not alone.plan.missing
    labels = {trial.label for trial in planned(paper[0], "paper").trials}
    assert {f"{study}/{trial.label}" for trial in alone.trials} <= labels


def test_it_is_followed_and_reported_like_one_study(paper: tuple[Path, str]):
    home, printed = paper
    status = json.loads(called(home, "status", "paper", "--json").output)["paper"]
    assert {trial["state"] for trial in status["trials"]} == {"done"}
    assert "Pretrain SwAV" in called(home, "logs", "paper/table1/swav").output
    assert printed.count("report: ") == len(PAPER.studies) + 1
    assert "table3" in json.loads(called(home, "status", "--json").output)


def test_rows_of_some_of_its_studies_can_be_asked(paper: tuple[Path, str]):
    home, _ = paper
    asked = ("plan", "paper", *ASKED)
    plan = json.loads(called(home, *asked, "--json", "--row", "table3/head", "--row", "queue/1").output)
    assert [trial["row"] for trial in plan["trials"]] == ["table3/head", "queue/1"]
    for rows, sentence in (
        ("head", "'head' is no row of paper: its rows are named STUDY/ROW"),
        ("tabel3/head", "paper has no study 'tabel3'; did you mean 'table3'?"),
        ("table3/haed", "study table3 has no row 'haed'; did you mean 'head'?"),
    ):
        refused = called(home, *asked, "--row", rows)
        assert refused.exit_code == 2
        assert sentence in refused.stderr


def studies_shown(home: Path) -> dict[str, str]:
    """The lines of the page's table, by study."""
    page = (planned(home, "paper").request.folder(home) / "report.md").read_text()
    return {name: line for line in page.splitlines() for name in re.findall(r"^\| \[.*\]\(<\.\./\.\./([^/]+)/", line)}


@pytest.mark.usefixtures("no_pictures")
def test_the_page_of_some_rows_keeps_the_studies_that_were_asked_before_and_have_results(stored: Path, tmp_path: Path):
    home = copy_of(stored, tmp_path)
    assert called(home, *RUN, "--row", "table1/scratch").exit_code == 0
    first = studies_shown(home)
    assert not planned(home, "fig3", "scratch-100").plan.missing, "the trial is that of table1"
    assert list(first) == ["table1"], "and yet nobody asked fig3"
    record_run(planned(home, "fig3", "scratch-100"), {}, "freelunch run fig3")
    record_run(planned(home, "queue"), {}, "freelunch run queue")
    again = called(home, *RUN, "--row", "table3/majority")
    assert again.exit_code == 0, again.output
    assert again.output.count("report: ") == 2, "of the study that was asked now and of the page"
    shown = studies_shown(home)
    assert list(shown) == ["table1", "table3", "fig3"], "nothing of queue is finished"
    assert shown["table1"] == first["table1"]
    page = planned(home, "paper").request.folder(home) / "report.html"
    page.unlink()
    assert done(called(home, "report", "paper")).output.splitlines()[-1] == f"report: {page}"
    assert page.exists()
    assert studies_shown(home) == shown


def test_published_numbers_are_told_apart_where_there_are_any(stored: Path):
    for row, held_against in (("table3/head", True), ("queue/1", False)):
        request = Request(study="paper", scale="tiny", dataset="tiny", rows=(row,), settings={"momentum": "0.5"})
        asked = PlannedStudy(stored, request)
        assert (PUBLISHED_NOTE in asked.notes(asked.parts)) == held_against


def test_what_one_of_its_studies_varies_cannot_be_fixed(paper: tuple[Path, str]):
    refused = called(paper[0], "plan", "paper", *ASKED, "--set", "temperature=0.1")
    assert refused.exit_code == 2
    assert "temperature is what study temperature varies" in refused.stderr


def test_fractions_of_labels_share_every_pretraining(paper: tuple[Path, str]):
    trials = planned(paper[0], "fig3").trials
    for series in {trial.row.series for trial in trials}:
        encoders = [
            {key for key, stage in walk(trial.stage).items() if stage.kind.startswith(("Pretrain", "Untrained"))}
            for trial in trials
            if trial.row.series == series
        ]
        assert len(encoders) == 5
        assert all(keys == encoders[0] for keys in encoders)


def test_the_curve_shows_other_datasets_beside(paper: tuple[Path, str], tmp_path: Path):
    home, _ = paper
    make_tiny_videos(tmp_path, num_videos=4)
    assert called(home, "ingest", "cholec80", str(tmp_path), "--name", "other", "--scale", "tiny").exit_code == 0
    asked = ("run", "queue", "--local", "--threads", "1", "--no-mlflow", "--scale", "tiny", "--dataset", "other")
    assert called(home, *asked, "--row", "4").exit_code == 0
    (folder,) = (home / "studies" / "queue").glob("*-other")
    figure = (folder / "figures" / "axis.svg").read_text()
    assert figure.count('id="axes_') == 2


@pytest.mark.parametrize("row", ["addition", "concatenation"])
def test_a_student_with_its_teacher_predicts_new_videos(paper: tuple[Path, str], tmp_path: Path, row: str):
    home = copy_of(paper[0], tmp_path)
    make_tiny_videos(tmp_path / "new", num_videos=3)
    asked = (f"table2/{row}, seed 0", str(tmp_path / "new" / "videos"))
    done(called(home, "predict", *asked, "--output", str(tmp_path / "out"), "--threads", "1"))
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 3
