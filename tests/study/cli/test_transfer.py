"""`--pretrain-on A --dataset B`, and one study on several datasets at once, on real files of two layouts."""

import json
from pathlib import Path

import pytest

from study.cli.planning import PlannedStudy
from study.home.request import Request, latest_request
from tests.study.search.layouts import as_m2cai16
from tests.study.tiny_cli import called
from tests.study.tiny_home import LOCAL, copy_of, done, refused
from trainers.data.datasets.m2cai16 import PHASES
from trainers.evaluation.evaluate import Evaluate

NUM_TEST = 2
TRANSFER = ("--pretrain-on", "tiny", "--dataset", "other")
BOTH = ("--pretrain-on", "tiny", "--dataset", "tiny", "--dataset", "other")
RUN = ("run", "fig3", "--local", "--no-mlflow", "--threads", "1", "--scale", "tiny", "--row", "mo-su-100")
pytestmark = pytest.mark.usefixtures("tiny_scale")


@pytest.fixture(scope="module")
def home(tiny_home: Path, tiny_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with `tiny`, four videos laid out as Cholec80, and `other`, the same ones laid out as M2CAI16."""
    folder = tmp_path_factory.mktemp("transfer")
    as_m2cai16(tiny_videos, folder / "videos", NUM_TEST)
    home = copy_of(tiny_home, folder)
    done(called(home, "ingest", "m2cai16", str(folder / "videos"), "--name", "other", "--scale", "tiny"))
    return home


@pytest.fixture(scope="module")
def figure(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home in which a row of fig3 was run on both datasets, and what was printed."""
    home = copy_of(home, tmp_path_factory.mktemp("figure"))
    return home, done(called(home, *RUN, *BOTH)).output


def test_one_command_asks_of_both_datasets_and_shares_the_pretraining(figure: tuple[Path, str]):
    home, output = figure
    planned = PlannedStudy(home, latest_request("fig3", home))
    assert [trial.row.name for trial in planned.trials] == ["tiny/mo-su-100", "other/mo-su-100"]
    assert [kind["stages"] for kind in planned.plan.by_type() if kind["type"] == "Pretrain MoCo"] == [1]
    assert not planned.plan.missing
    for trial, phases in zip(planned.trials, (PHASES[1:], PHASES), strict=True):
        assert isinstance(trial.stage, Evaluate)
        assert trial.stage.phases == phases
    assert "fig3: How many labelled videos does each pre-training need? (tiny)" in output
    assert "(other, pre-trained on tiny)" in output


def test_each_report_shows_both_panels_in_the_order_of_the_request(figure: tuple[Path, str]):
    home, _ = figure
    for part in PlannedStudy(home, latest_request("fig3", home)).parts:
        picture = (part.request.folder(home) / "figures" / "axis.svg").read_text()
        assert picture.count('id="axes_') == 2
        assert 0 < picture.index("tiny") < picture.index("other, pre-trained on tiny")


def test_the_report_says_what_was_pretrained_on(figure: tuple[Path, str]):
    home, _ = figure
    alone, transferred = (part.request for part in PlannedStudy(home, latest_request("fig3", home)).parts)
    data = json.loads((transferred.folder(home) / "results.json").read_text())["context"]
    assert data["dataset"] == "other, 1 train, 1 validation, 2 test videos"
    assert data["pre-trained on"] == "tiny, 1 train, 1 validation videos"
    assert "sees tiny alone" in data["notes"]
    assert data["command"].endswith("--pretrain-on tiny --dataset other --row mo-su-100")
    alone_data = json.loads((alone.folder(home) / "results.json").read_text())["context"]
    assert "pre-trained on" not in alone_data
    assert "Transfer" not in alone_data["notes"]


def test_the_same_command_has_nothing_to_do_and_the_study_is_found_by_its_name(figure: tuple[Path, str]):
    home, _ = figure
    assert "nothing to do" in done(called(home, *RUN, *BOTH)).output
    assert done(called(home, "report", "fig3")).output.count("report: ") == 2
    record = json.loads(done(called(home, "status", "fig3", "--json")).output)["fig3"]
    assert record["resumable"] is False


def test_a_dataset_of_the_request_alone_is_finished_and_keeps_its_report(figure: tuple[Path, str], tmp_path: Path):
    home = copy_of(figure[0], tmp_path)
    for options in (("--dataset", "tiny"), TRANSFER):
        assert "nothing to do" in done(called(home, *RUN, *options)).output
        request = latest_request("fig3", home)
        assert "+" not in request.folder(home).name
        assert PlannedStudy(home, request).plan.cached
    assert request == Request(study="fig3", scale="tiny", dataset="other", rows=("mo-su-100",), pretrain_on="tiny")


def test_a_plan_names_both_datasets(home: Path):
    output = " ".join(done(called(home, "plan", "table1", "--scale", "tiny", *BOTH)).output.split())
    assert "videos of tiny: 1 train, 1 validation, 2 test." in output
    assert "videos of other, pre-trained on tiny: 1 train, 1 validation, 2 test." in output
    assert "Transfer: whatever trains without labels sees tiny alone" in output
    assert "beside are of Cholec80 alone, for which the synthetic videos of tiny stand" in output
    assert output.count("No published numbers are shown") == 1
    assert "other has 4 annotated videos of 0.0 h in all (M2CAI16 has 41" in output
    output = " ".join(done(called(home, "plan", "table1", "--scale", "tiny", "--dataset", "other")).output.split())
    assert "No published numbers are shown" in output
    assert "not of videos laid out like M2CAI16 alone. other has 4 annotated" in output


def test_pretraining_on_the_dataset_itself_is_no_transfer(home: Path):
    plans = [
        json.loads(done(called(home, "plan", "table3", "--scale", "tiny", *options, "--json")).output)
        for options in (("--dataset", "tiny"), ("--dataset", "tiny", "--pretrain-on", "tiny"))
    ]
    assert plans[0] == plans[1]


def test_a_dataset_that_does_not_exist_is_named(home: Path):
    refused(called(home, "plan", "table3", "--scale", "tiny", "--dataset", "tiny", "--pretrain-on", "no"), 2, "'no'")


def test_a_search_takes_a_transfer_but_one_dataset(home: Path, tmp_path: Path):
    home = copy_of(home, tmp_path)
    asked = ("search", "distilled", *LOCAL[:4], "--scale", "tiny", "--trials", "1", "--set", "teacher_trains=none")
    refused(called(home, *asked, *BOTH), 2, "--dataset names tiny, other", "give one of them")
    done(called(home, *asked, *TRANSFER))
    (report,) = (home / "studies" / "search-distilled").glob("*/report.md")
    text = report.read_text()
    assert "tiny, 1 train, 1 validation videos" in text
    assert "--pretrain-on tiny --dataset other" in text
    assert "distilled" in done(called(home, "status", "distilled")).output
