"""Searches that are killed, stopped from another terminal, or begun twice."""

import shutil
import threading
import time
import traceback
from pathlib import Path

import pytest

from study.cli import search_planning
from study.cli.search_planning import PlannedSearch
from study.cli.search_run import exclusive
from study.home.request import Request
from study.search.request import SearchRequest
from tests.study.search.searched_home import PATIENCE_SECONDS, SEARCH, rows
from tests.study.tiny_cli import called
from tests.study.tiny_home import start
from trainers.stage import InputError

pytestmark = [pytest.mark.usefixtures("tiny_scale", "no_pictures"), pytest.mark.xdist_group("search")]


def test_two_first_searches_of_a_home_are_one_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ids: list[str] = []
    other = threading.Thread(target=lambda: ids.append(search_planning._driver_id(tmp_path)))
    draw = search_planning.uuid.uuid4

    def drawn_while_another_begins() -> object:
        monkeypatch.setattr(search_planning.uuid, "uuid4", draw)
        other.start()
        other.join(1)  # it ends here only where nothing holds it up
        return draw()

    monkeypatch.setattr(search_planning.uuid, "uuid4", drawn_while_another_begins)
    ids.append(search_planning._driver_id(tmp_path))
    other.join(PATIENCE_SECONDS)
    assert len(ids) == 2
    assert ids[0] == ids[1] == search_planning._driver_id(tmp_path)


def test_two_processes_do_not_work_at_one_search(searched: Path):
    search_request = SearchRequest(request=Request(study="distilled", scale="tiny", dataset="tiny"), num_trials=3)
    first, second = PlannedSearch(searched, search_request), PlannedSearch(searched, search_request)
    with exclusive(first), pytest.raises(InputError, match="another process is at search distilled"), exclusive(second):
        pass


@pytest.mark.kills
def test_a_killed_search_goes_on_in_the_run_of_the_trial_that_it_had_begun(searched: Path, tmp_path: Path):
    home, command = tmp_path / "home", (*SEARCH, "--trials", "4")
    shutil.copytree(searched, home)
    journals = "mlflow/spool/search-distilled/*/*/sent.json"
    num_before = len(list(home.glob(journals)))
    process, deadline = start(home, *command), time.monotonic() + PATIENCE_SECONDS
    while len(list(home.glob(journals))) == num_before:
        assert time.monotonic() < deadline
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=PATIENCE_SECONDS)
    went_on = called(home, *command)
    assert went_on.exit_code == 0, went_on.output
    last = "select run_uuid from tags where key = 'freelunch.optuna_trial' and value = '3'"
    states = f"select value from tags where key = 'freelunch.state' and run_uuid in ({last})"
    [(state,)] = rows(home, states)
    assert state.startswith(("completed", "stopped early"))


@pytest.mark.kills
def test_a_running_search_is_seen_and_stopped_from_another_terminal(searched: Path, tmp_path: Path):
    home, command = tmp_path / "home", (*SEARCH, "--no-mlflow", "--trials", "40")
    shutil.copytree(searched, home)
    process = start(home, *command)
    assert process.stdout is not None
    printed: list[str] = []
    for line in process.stdout:
        printed.append(line)
        if "trial 3 begins" in line:
            break
    try:
        status = called(home, "status", "distilled")
        reported = called(home, "report", "distilled")
        stopped = called(home, "stop", "distilled")
        rest, errors = process.communicate(timeout=PATIENCE_SECONDS)
    except BaseException:
        process.kill()
        pytest.fail(f"{traceback.format_exc()}\nthe search: {''.join(printed)}{process.communicate()}")
    afterwards = called(home, "status", "distilled")
    commands = {"status": status, "report": reported, "stop": stopped, "status afterwards": afterwards}
    all_said = f"\nthe search, ended with {process.returncode}:\n{''.join(printed)}{rest}{errors}" + "".join(
        f"\n{name}, ended with {result.exit_code}:\n{result.output}" for name, result in commands.items()
    )
    assert any("trial 3 begins" in line for line in printed), all_said
    assert f"as process {process.pid} on" in status.output, all_said
    assert f"freelunch --home {home} stop distilled" in status.output, all_said
    assert "next:" not in status.output, all_said
    assert reported.exit_code == 0, f"while it runs, too{all_said}"
    assert process.returncode == 130, all_said
    goes_on = [line for line in stopped.output.splitlines() if line.startswith("next: ")]
    assert len(goes_on) == 1, all_said
    assert goes_on[0].startswith(f"next: freelunch --home {home} search distilled --trials 40 --local"), all_said
    assert goes_on[0] in afterwards.output, all_said
