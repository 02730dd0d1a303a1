"""Searches in files of one's own that cannot be asked: one sentence, with the line of the file where there is one."""

import json
from pathlib import Path

import pytest

from tests.study.cli.own_searches import OWN, line
from tests.study.tiny_cli import called
from tests.study.tiny_home import ASKED, copy_of, refused

pytestmark = pytest.mark.usefixtures("tiny_scale")


@pytest.mark.parametrize("command", ["search", "plan"])
@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("renamed", "search renamed is named 'other'; give it name='renamed'"),
        ("table2", "'table2' is a study of freelunch itself"),
        ("zzz", " 'zzz': assign one, zzz = "),
        ("outsid", " 'outsid'; did you mean 'outside'?"),
        ("recipe", " 'recipe': assign one, recipe = "),
        ("axis", "recipe recipe has no hyperparameter 'xx'; did you mean 'x'?"),
        ("whole", "depth=1.0 does not fit: depth takes a whole number"),
        ("value", "kind=3 does not fit: kind takes text"),
        (
            "bare",
            "axis x of search bare is (0.1, 10): write one of Uniform(…), LogUniform(…), PowerOfTwo(…), Choice(…)",
        ),
        ("nested", "axis x of search nested is OrNone("),
        ("twice", "axis kind of search twice has the value 'deep' twice: give it once"),
        (
            "list_",
            "axis kind of search list_ has the value ['deep']: Optuna stores numbers, text, True, False and None",
        ),
        ("empty", "search empty has nothing to search: give it an axis"),
        ("condition", "axis x of search condition depends on kind being 'dep'; did you mean 'deep'?"),
        ("early", "axis x depends on 'kind', which no earlier axis of early decides"),
        ("never", "axis x of search never depends on no value of kind: name one"),
        ("unit", "the unit of axis depth of search unit is 0.5: it must be a whole number above 0"),
        ("outside", "the initial point of search outside has x 20.0, which its axis does not take: from 0.1 to 10"),
        ("digits", "has x 1.23456, which has more than 4 significant digits"),
        ("missing", "the initial point of search missing has no depth: give it a value of that axis"),
        ("surplus", "the initial point of search surplus names 'depht', which is none of its axes"),
        ("point", "the initial point of search point is 2.0: it must be a dictionary from axes to values"),
        ("pointed", f"file.py:{line('pointed = ')}: search pointed: KeyError: 'x'"),
        ("text", "the objective of search text is 'accuracy': it must be an Objective(…), such as ON_FOLDS"),
        ("function", "value of the objective of search function is 3: it must be a function"),
        ("title", "cannot name the objective of search title (its title)"),
        ("under", "what objective_under of search under returns is 'accuracy': it must be an Objective(…)"),
        ("last", "what last_stage of the objective of search last returns is None: it must be a stage"),
        ("signal_", "what pruning_signal of the objective of search signal_ returns is Worth("),
        ("looks", "is tested, and Scored, which values a trial of the search, learns from it or reads it"),
        ("folds", "and has no temporal model, which this objective values: give the search an objective of its own"),
        ("nowhere", "search nowhere is evaluated in 'endign', which is no study of this repository or of "),
        ("suite", "search suite is evaluated in 'paper', which is no study of this repository or of "),
        ("by_value", "evaluated_in of search by_value is a Study: it must be the name of a study."),
        ("others", "search others is evaluated in study table3, whose recipe is distilled and not recipe"),
        ("rowless", "no row of study kinds, which evaluates search rowless, has the trial of kind narrow"),
        ("raising", f"file.py:{line('raise KeyError')}: search raising: KeyError: 'nothing'"),
        ("first", f"file.py:{line('no stage at')}: search first: KeyError: 'no stage at this x'"),
        ("number", "3 cannot be called: a recipe is a function"),
        ("none", "recipe <lambda> returns None, which is no stage: a recipe is a function (conditions, *, seed, …)"),
    ],
)
def test_a_search_that_cannot_be_asked_is_one_sentence(
    tiny_home: Path, tmp_path: Path, command: str, variable: str, sentence: str
):
    file = tmp_path / "file.py"
    file.write_text(OWN)
    refused(called(tiny_home, command, f"{file}:{variable}", *ASKED), 2, sentence)
    assert not (tiny_home / "studies").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = (", "broken.py:1: SyntaxError: '(' was never closed"),
        ("\nfrom study import LogUniform\nLogUniform(0, 1)", "broken.py:3: LogUniform(low=0, high=1) begins at 0"),
        ("from study import When\nWhen('x', 'deep', 3)", "broken.py:2: When('x', …) needs its values in brackets"),
        ("from study import Search\nx = Search(name='x')", "broken.py:2: TypeError: Search.__init__() missing"),
        ("import sys\nsys.exit(3)", "broken.py:2: SystemExit: the file ends the command (sys.exit(3))"),
        ("def __getattr__(name): raise RuntimeError('no')", "broken.py:1: search x: RuntimeError: no"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence_with_its_line(tmp_path: Path, text: str, sentence: str):
    file = tmp_path / "broken.py"
    file.write_text(text)
    refused(called(tmp_path / "home", "search", f"{file}:x", *ASKED), 2, sentence)


def test_a_search_and_a_study_say_which_command_takes_them(tmp_path: Path):
    file, home = tmp_path / "file.py", tmp_path / "home"
    file.write_text(OWN)
    study, search = f"{file}:ending", f"{file}:quick"
    searched = called(home, "search", study, *ASKED)
    refused(searched, 2, f"'{study}' is a study, not a search: `freelunch --home {home} run {study}` runs it.")
    run = called(home, "run", search, *ASKED)
    refused(run, 2, f"'{search}' is a search, not a study: `freelunch --home {home} search {search}` asks it.")
    refused(called(home, "plan", study, *ASKED, "--trials", "3"), 2, "is a study; a search has trials")
    refused(called(home, "plan", search, *ASKED, "--seeds", "3"), 2, "is a search: it has no --row and no --seeds")


def test_a_name_of_the_catalogue_is_taken_in_any_capitals(tmp_path: Path):
    file = tmp_path / "file.py"
    file.write_text(OWN + 'Distilled = asked("Distilled")\n')
    refused(called(tmp_path / "home", "search", f"{file}:Distilled"), 2, "'Distilled' is a search of freelunch itself")


def test_a_stage_that_learns_from_a_tested_video_is_refused_at_that_point_alone(tiny_home: Path, tmp_path: Path):
    file, home = tmp_path / "file.py", copy_of(tiny_home, tmp_path)
    leaking = "lambda evaluate: evaluate if 1 < evaluate.worth.x < 9 else evaluate.worth"
    file.write_text(OWN + f'leaks = asked("leaks", objective=measured(last_stage={leaking}))\n')
    searched = called(home, "search", f"{file}:leaks", *ASKED, "--local", "--no-mlflow", "--trials", "8")
    assert searched.exit_code == 1, searched.output
    assert "refused: x " in searched.stdout
    assert "is tested, and Scored, which values a trial of the search, learns from it or reads it" in searched.stdout
    computed = [json.loads(path.read_text())["config"]["class"] for path in home.glob("artifacts/*/manifest.json")]
    assert "Worth" in computed
    assert "Scored" not in computed
