"""What `list`, `status`, `report` and `logs` say of searches."""

import json
from pathlib import Path

import pytest

from search_spaces.searches.distilled import SEARCHES
from search_spaces.studies.catalogue import STUDIES, SUITES
from tests.study.search.searched_home import data, report
from tests.study.tiny_cli import called

pytestmark = [pytest.mark.usefixtures("tiny_scale"), pytest.mark.xdist_group("search")]


def test_a_search_is_listed_with_its_ranges_and_what_evaluates_it(tmp_path: Path):
    (search,) = json.loads(called(tmp_path, "list", "--json").output)["searches"]
    assert (search["name"], search["evaluated_in"]) == ("distilled", "table3")
    assert search["objective"] == "accuracy over folds of training and validation videos, %"
    assert search["space"]["queue_size"] == "powers of two from 1 to 64, times batch size"
    listed = called(tmp_path, "list").output
    assert "distilled" in listed
    assert "from 0.1 to 50, logarithmic" in " ".join(listed.split())


def test_searches_have_names_that_no_study_has():
    assert not SEARCHES.keys() & {*STUDIES, *SUITES}


def test_status_says_how_far_a_search_is(searched: Path):
    for told in (called(searched, "status").output, called(searched, "status", "distilled").output):
        assert "distilled (search): 3 of 3 trials: " in told
        assert "best so far: " in told
        assert "next:" not in told
    record = json.loads(called(searched, "status", "--json").output)["distilled"]
    trials = data(searched)["trials"]
    assert sum(record["states"].values()) == record["asked"] == 3
    assert record["best"]["value"] == max(trial["value"] for trial in trials if trial["value"] is not None)
    assert record["drivers"] == []
    assert not record["resumable"]


def test_the_report_of_a_search_is_written_again_and_the_same(searched: Path):
    before = data(searched)
    (report(searched) / "search.json").unlink()
    reported = called(searched, "report", "distilled")
    assert reported.exit_code == 0, reported.output
    assert "best of 3 trials: trial " in reported.output
    assert data(searched) == before


def test_the_stages_of_a_searchs_trial_are_found_by_its_number(searched: Path):
    assert "Pretrain DistilledMoCo" in called(searched, "logs", "distilled/trial 0").output
    assert "has no row 'trial 9'" in called(searched, "logs", "distilled/trial 9").stderr
