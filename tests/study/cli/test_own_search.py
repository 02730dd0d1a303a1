"""Searches in users' files: found, run, continued; and the example of the documentation."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from study.cli.resolve import find_search
from study.execution.ray.pickling import pickled_function
from tests.study.cli.own_searches import OWN, line
from tests.study.tiny_cli import called
from tests.study.tiny_home import ASKED, HERE, LOCAL, copy_of, done, refused, start, tiny_settings

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "my_search.py"
pytestmark = pytest.mark.usefixtures("tiny_scale", "no_pictures")


@pytest.fixture(scope="module")
def home(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the example had three trials, one of them without a teacher."""
    home = copy_of(tiny_home, tmp_path_factory.mktemp("own"))
    with tiny_settings():
        done(called(home, "search", f"{EXAMPLE}:my_search", *LOCAL, "--trials", "3"))
    return home


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A file of searches in a folder whose name needs quotes."""
    folder = tmp_path / "own's searches"
    folder.mkdir()
    (folder / "own.py").write_text(OWN)
    return folder / "own.py"


@pytest.fixture
def fresh(tiny_home: Path, tmp_path: Path) -> Path:
    return copy_of(tiny_home, tmp_path)


def trials(home: Path, name: str) -> list[dict[str, Any]]:
    (path,) = (home / "studies" / f"search-{name}").glob("*/search.json")
    return json.loads(path.read_text())["trials"]


def printed(result: Result, words: str) -> list[str]:
    """The arguments of the command that was printed after these words, as a shell reads them."""
    found = re.search(rf"{words}(freelunch .*)", result.stdout)
    assert found, result.output
    return shlex.split(found.group(1))[1:]


def typed(arguments: list[str]) -> Result:
    """A printed command, which names its home."""
    assert arguments[0] == "--home"
    return called(Path(arguments[1]), *arguments[2:])


def test_the_example_is_searched_and_found_by_its_name_afterwards(home: Path):
    known = trials(home, "my_search")
    assert known[0]["parameters"] == {
        "learning_rate": 0.03, "teaches": True, "warmth": 1.0, "distillation_weight": 5.0,
    }  # fmt: skip
    taught = {trial["number"]: trial["parameters"]["teaches"] for trial in known}
    assert sorted(set(taught.values())) == [False, True]
    for number, teaches in taught.items():
        logs = called(home, "logs", f"my_search/trial {number}").output
        assert ("Pretrain DistilledMoCo" in logs) is teaches
    assert "my_search (search): 3 of 3 trials" in called(home, "status", "my_search").output
    assert "best of 3 trials: trial " in called(home, "report", "my_search").output
    assert "my_search (search)" in called(home, "status").output, "among all runs of the home"


def test_the_printed_command_evaluates_the_examples_best_and_trains_no_student(home: Path):
    command = printed(called(home, "search", f"{EXAMPLE}:my_search", *LOCAL, "--trials", "3"), "videos, once: ")
    assert command[:4] == ["--home", str(home), "run", f"{EXAMPLE}:my_best"]
    command[2] = "plan"
    missing = [stage["title"].split()[0] for stage in json.loads(typed([*command, "--json"]).stdout)["missing"]]
    assert {"Evaluate", "TrainTemporal"} <= set(missing)
    assert "Pretrain" not in missing


def test_commands_by_file_say_the_same_from_any_folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(EXAMPLE.parent)
    for command in ("status", "report"):
        by_file = done(called(home, command, "my_search.py:my_search"))
        monkeypatch.chdir(tmp_path)
        assert done(called(home, command, "my_search")).output == by_file.output
        monkeypatch.chdir(EXAMPLE.parent)
    for target in ("my_search.py:my_search/trial 0", f"{EXAMPLE}:my_search/trial 0"):
        assert called(home, "logs", target).output == called(home, "logs", "my_search/trial 0").output
    refused(called(home, "logs", f"{EXAMPLE}:my_search"), 2, "is a search, not one of its trials", "/trial 3'")
    refused(called(home, "stop", "my_search.py:my_search"), 2, "no run of my_search.py:my_search is going on")


def test_a_plan_finds_the_trials_and_computes_nothing(fresh: Path, own: Path):
    before = {path.name for path in (fresh / "artifacts").iterdir()}
    planned = called(fresh, "plan", f"{own}:quick", *ASKED, "--trials", "5")
    assert "5 trials need" in done(planned).output
    assert printed(planned, "next: ")[2:6] == ["search", f"{own}:quick", "--trials", "5"]
    assert {path.name for path in (fresh / "artifacts").iterdir()} == before
    assert not (fresh / "studies").exists()


def test_a_printed_command_goes_on_where_the_search_was_killed(fresh: Path, own: Path):
    own.with_name("kill").touch()  # which the stage of the initial point heeds
    process = start(fresh, "search", f"{own}:quick", *LOCAL, "--trials", "3")
    said = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, said
    status = called(fresh, "status", "quick")
    assert "quick (search): 1 of 3 trials: 1 not finished" in status.output
    command = printed(status, "next: ")
    assert command[2:4] == ["search", f"{own}:quick"]
    assert "trial 0 goes on" in done(typed(command)).output
    found = trials(fresh, "quick")
    assert [(trial["number"], trial["state"]) for trial in found] == [(n, "completed") for n in range(3)]
    assert found[0]["parameters"] == {"x": 2.0, "kind": "deep", "depth": 1}
    assert found[0]["value"] == 92.0
    assert all(("depth" in trial["parameters"]) == (trial["parameters"]["kind"] == "deep") for trial in found)


def test_the_best_of_a_search_is_evaluated_in_the_row_of_its_choice(fresh: Path, own: Path):
    searched = done(called(fresh, "search", f"{own}:of_kinds", *LOCAL, "--trials", "6"))
    best = max(trials(fresh, "of_kinds"), key=lambda trial: trial["value"])["parameters"]
    command = printed(searched, "videos, once: ")
    assert command[command.index("--row") + 1] == best["kind"]
    assert command[command.index("--set") + 1] == f"x={best['x']}"
    evaluated = done(typed([*command, "--local", "--no-mlflow", "--threads", "1"]))
    assert "Worth" not in evaluated.output, "it is finished"
    refused(called(fresh, "run", f"{own}:of_kinds", *ASKED), 2, f"`freelunch --home {fresh} search ", "asks it")


def test_a_repositorys_study_can_evaluate_a_search_of_ones_own(fresh: Path, own: Path):
    planned = done(called(fresh, "plan", f"{own}:here", *ASKED, "--trials", "2", "--json"))
    kinds = {stage["title"].split()[0] for stage in json.loads(planned.stdout)["missing"]}
    assert {"CrossValidate", "Pretrain"} <= kinds


def test_the_status_of_a_search_for_the_lowest_value_names_that(fresh: Path, own: Path):
    done(called(fresh, "search", f"{own}:lowest", *LOCAL, "--trials", "4"))
    values = [trial["value"] for trial in trials(fresh, "lowest")]
    assert min(values) < max(values)
    own.unlink()
    assert f"best so far: {min(values):.2f}" in called(fresh, "status", "lowest").output, "without the file, too"


def test_stages_of_the_file_have_its_source_in_their_keys_and_other_ranges_are_another_search(fresh: Path, own: Path):
    search = ("search", f"{own}:lowest", *LOCAL, "--trials", "1")
    done(called(fresh, *search))
    for text, what in (
        (OWN + "# changed\n", "another version of its stages"),
        (OWN.replace('"axes": {"x": LogUniform(0.1, 10)}', '"axes": {"x": LogUniform(0.1, 5)}'), "other axes"),
    ):
        changed = own.parent / what.replace(" ", "_") / "own.py"
        changed.parent.mkdir()
        changed.write_text(text)
        refused(called(fresh, "search", f"{changed}:lowest", *LOCAL), 2, "'lowest tiny corrected tiny'", what)
    moved = own.parent / "moved" / "own.py"
    moved.parent.mkdir()
    shutil.copy(own, moved)
    again = done(called(fresh, "search", f"{moved}:lowest", *LOCAL, "--trials", "2"))
    assert "1 of them are known from earlier runs" in again.output


def test_a_recipe_that_raises_at_a_point_fails_that_trial_with_the_line(fresh: Path, own: Path):
    searched = called(fresh, "search", f"{own}:breaks", *LOCAL, "--trials", "4")
    assert searched.exit_code == 1, searched.output
    assert f"{own}:{line('no stage at')}: search breaks: KeyError: 'no stage at this x'" in searched.stdout
    for trial in trials(fresh, "breaks"):
        assert trial["state"] == ("failed" if 1 < trial["parameters"]["x"] < 9 else "completed")
    assert {trial["state"] for trial in trials(fresh, "breaks")} == {"failed", "completed"}
    planned = called(fresh, "plan", f"{own}:breaks", *ASKED, "--set", "depth=1")
    refused(planned, 2, "recipe fragile has no hyperparameter 'depth'")


@pytest.mark.parametrize(
    ("variable", "problem"),
    [
        ("unread", f"own.py:{line('return float')}: search unread: FileNotFoundError: "),
        ("endless", "the objective of search endless is nan: it must be a finite number"),
    ],
)
def test_an_objective_without_a_value_fails_its_trials(fresh: Path, own: Path, variable: str, problem: str):
    searched = called(fresh, "search", f"{own}:{variable}", *LOCAL, "--trials", "9")
    assert searched.exit_code == 1, searched.output
    assert f"trial 0 failed: {own.parent if problem.startswith('own') else problem}" in searched.stdout
    assert problem in searched.stdout
    assert "3 trials in a row have failed" in searched.stderr
    assert [trial["state"] for trial in trials(fresh, variable)] == ["failed"] * 3


def test_what_a_file_prints_is_no_part_of_a_plan(fresh: Path, tmp_path: Path):
    file = tmp_path / "loud.py"
    loud = (
        "def loud(conditions, *, seed, x: float = 1.0):\n    print('a recipe')\n    return recipe(conditions, seed=0)\n"
    )
    parts = "recipe=loud, evaluated_in='heard', initial_point=lambda *_: print('a point') or {'x': 1.0}"
    heard = "heard = Study(name='heard', title='?', question='?', recipe=loud, rows=HERE)\n"
    file.write_text(f"{OWN}\nprint('while it loads')\n{loud}\n{heard}\nprints = asked('prints', {parts})\n")
    planned = done(called(fresh, "plan", f"{file}:prints", *ASKED, "--trials", "2", "--json"))
    assert json.loads(planned.stdout)["missing"]
    assert {"while it loads", "a recipe", "a point"} == set(planned.stderr.splitlines())


@pytest.mark.parametrize(("verb", "variable"), [("search", "quick"), ("run", "ending")])
@pytest.mark.parametrize("command", ["status", "report", "logs"])
def test_what_was_never_run_is_proposed_with_its_file(
    tmp_path: Path, own: Path, command: str, verb: str, variable: str
):
    target = f"{own}:{variable}"
    never = called(tmp_path / "home", command, f"{target}/trial 0" if command == "logs" else target)
    refused(never, 2, "has not been run in", f"`freelunch --home {tmp_path / 'home'} {verb} {shlex.quote(target)}`")


def test_a_search_that_is_refused_late_leaves_no_request(fresh: Path, own: Path, monkeypatch: pytest.MonkeyPatch):
    refused(called(fresh, "search", f"{own}:quick", *HERE, "--callback", "json:JSONDecoder"), 2, "json:JSONDecoder")
    assert not list(fresh.glob("*.db")), "neither Optuna's nor MLflow's"
    wrong: list[tuple[tuple[str, ...], int]] = [
        (("--callback", "json:JSONDecoder"), 2),
        (("--local", "--storage", f"sqlite:///{fresh}/nowhere/s.db"), 3),
    ]
    for arguments, exit_code in wrong:
        for name in (f"{own}:quick", "distilled"):
            refused(called(fresh, "search", name, *HERE, "--no-mlflow", *arguments), exit_code)
            report = called(fresh, "report", name)
            assert "has not been run" in report.stderr, report.output
    monkeypatch.setattr("study.cli.search_run.check_granted", _refuse)
    with pytest.raises(RuntimeError, match="no room"):
        called(fresh, "search", f"{own}:quick", *LOCAL)
    refused(called(fresh, "report", f"{own}:quick"), 2, "has not been run")
    assert not list((fresh / "studies").rglob("report.html"))
    monkeypatch.undo()
    done(called(fresh, "search", f"{own}:quick", *LOCAL, "--trials", "1"))
    refused(called(fresh, "search", f"{own}:quick", *HERE, "--trials", "9", "--callback", "json:JSONDecoder"), 2)
    assert "1 of 1 trials" in called(fresh, "status", "quick").output, "the request before it stays"


def test_a_name_is_a_study_or_a_search_in_a_home(fresh: Path, own: Path):
    done(called(fresh, "run", f"{own}:ending", *LOCAL))
    done(called(fresh, "search", f"{own}:lowest", *LOCAL, "--trials", "1"))
    other = own.with_name("other.py")
    lowest = "lowest = Study(**vars(kinds) | {'name': 'lowest'})"
    other.write_text(f"{OWN}\nending = asked('ending', evaluated_in='table3')\n{lowest}\n")
    refused(called(fresh, "plan", f"{other}:lowest", *ASKED), 2, "a search named 'lowest' has been run in")
    refused(called(fresh, "plan", f"{other}:ending", *ASKED), 2, "a study named 'ending' has been run in")


def test_an_objective_is_read_where_its_file_is_not(own: Path, tmp_path: Path):
    (tmp_path / "value").write_bytes(pickled_function(find_search(f"{own}:quick").objective.value))
    (tmp_path / "value.txt").write_text("91.5")
    program = """
import sys
from pathlib import Path
from ray import cloudpickle
value = cloudpickle.loads(Path("value").read_bytes())
assert not [name for name in sys.modules if "own_study" in name]
print(value(Path()))
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert told.stdout.split()[-1] == "91.5"


@pytest.mark.ray
def test_a_search_of_ones_own_joins_a_running_cluster(cluster: Any, fresh: Path, own: Path):
    arguments = ("--address", cluster.address, "--at-once", "2", "--trials", "3", "--no-mlflow", *HERE)
    assert "best of 3 trials" in done(called(fresh, "search", f"{own}:lowest", *arguments)).output
    assert [trial["state"] for trial in trials(fresh, "lowest")] == ["completed"] * 3


def _refuse(*arguments: object) -> Callable[..., None]:
    raise RuntimeError("no room")
