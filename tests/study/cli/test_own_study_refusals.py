"""Studies in files of one's own that cannot be asked: one sentence, with the line of the file where there is one."""

import json
from pathlib import Path

import pytest

from tests.odd_paths import odd_path
from tests.study.cli.own_studies import OWN
from tests.study.tiny_cli import called
from tests.study.tiny_home import ASKED, LOCAL, copy_of

pytestmark = pytest.mark.usefixtures("tiny_scale")

UNSURE = """
from dataclasses import dataclass

from search_spaces.recipes import majority_class
from study import Row, Study
from trainers.evaluation.evaluate import Evaluate

@dataclass(frozen=True, kw_only=True)
class Unsure(Evaluate):
    def check(self, resources):
        return resources.memory

def recipe(conditions, *, seed):
    return Unsure(**vars(majority_class(conditions, seed=seed)))

unsure = Study(name="unsure", title="?", question="?", recipe=recipe, rows=(Row(name="a", title="a"),))
"""


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("renamed", "study renamed is named 'other'; give it name='renamed'"),
        ("table3", "'table3' is a study of freelunch itself"),
        ("nothing", "defines no study or search 'nothing': assign one, nothing = Study(name='nothing', …)"),
        ("distilled", "defines no study or search 'distilled'"),
        ("renamd", "defines no study or search 'renamd'; did you mean 'renamed'?"),
        ("empty", "study empty asks nothing: give it an axis or a row"),
        ("axis", "recipe distilled has no hyperparameter 'lamda'"),
        ("twice", "study twice has two rows titled 'a': give each its own title"),
        ("curve", "the curve of study curve is over 'temperature', which no row sets"),
        ("value", "temperature=-1.0 does not fit: temperature takes a number (above 0 and at most 1e+06) or none"),
        ("weight", "distillation_weight=-1.0 does not fit: distillation_weight takes a number (at least 0"),
        ("queue_", "queue_size is 33: K must be a multiple of the batch size 8"),
        ("both", "queue_size is 32 and queue_batches is 4: both say K, give one"),
        ("fraction", "label_fraction=1.5 does not fit: label_fraction takes a number (above 0 and at most 1) or none"),
        ("none", "recipe <lambda> returns None, which is no stage: a recipe is a function (conditions, *, seed, …)"),
        ("early", "row 'a' returns a PredictPhases: its last stage must be an Evaluate"),
        ("raising", "raising_file.py:15: study raising: KeyError: 'nothing'"),
        ("misspelt", "misspelt_file.py:19: study misspelt: TypeError: distilled() got an unexpected keyword"),
        ("no_seed", "recipe seedless cannot be called with conditions, seed (got an unexpected keyword"),
        ("no_conditions", "recipe <lambda> cannot be called with conditions, seed (too many positional arguments)"),
        ("demanded", "recipe demanding cannot be called with conditions, seed (missing a required argument: 'warmth')"),
        ("annotated", "the annotations of recipe unread cannot be read: name 'Warmth' is not defined"),
        ("number", "3 cannot be called: a recipe is a function"),
        ("parameter", "recipe distilled has no hyperparameter 'tau'"),
        ("grid", "study grid asks nothing: give it an axis or a row"),
        ("repeated", "study repeated has two rows named '0.9'"),
        ("reference", "study reference has no row 'b' to refer to. Valid: a."),
        ("axes", "axis momentum of study axes is (0.9, 0.5): write it as Choice"),
        ("list_", "momentum=[1] does not fit: momentum takes a number (at least 0 and below 1) or none"),
        ("bare", "the rows of study bare are no tuple: write rows=(Row(…),), with the comma"),
        ("cost", "row 'a' returns a Costless: its last stage must be an Evaluate"),
    ],
)
def test_a_study_that_cannot_be_asked_is_one_sentence(tiny_home: Path, tmp_path: Path, variable: str, sentence: str):
    file = tmp_path / f"{variable}_file.py"
    file.write_text(OWN)
    refused = called(tiny_home, "plan", f"{file}:{variable}", *ASKED)
    assert refused.exit_code == 2
    assert sentence in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_a_stage_that_fails_to_say_whether_it_can_be_computed_is_named(tiny_home: Path, tmp_path: Path):
    file = tmp_path / "unsure.py"
    file.write_text(UNSURE)
    refused = called(copy_of(tiny_home, tmp_path), "run", f"{file}:unsure", *LOCAL)
    assert refused.exit_code == 2
    assert "fails to say whether it can be computed: AttributeError: 'Resources' object has no" in refused.stderr
    assert f"({file}:11): correct its `check`" in refused.stderr
    assert "Traceback" not in refused.output


def test_the_name_of_a_search_is_taken(tmp_path: Path):
    file = tmp_path / "taken.py"
    file.write_text(OWN.replace('ok = Study(name="ok"', 'distilled = Study(name="distilled"'))
    refused = called(tmp_path / "home", "plan", f"{file}:distilled", *ASKED)
    assert refused.exit_code == 2
    assert "'distilled' is a search of freelunch itself; give yours another name" in refused.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = (", "broken.py:1: SyntaxError: '(' was never closed"),
        ("import nothing_of_this_name", "broken.py:1: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("\n\nx = 1 / 0", "broken.py:3: ZeroDivisionError: division by zero"),
        ("from study import Choice\nChoice(())", "broken.py:2: an axis needs at least one value"),
        ("import sys\nsys.exit(3)", "broken.py:2: SystemExit: the file ends the command (sys.exit(3))"),
        ("raise SystemExit", "broken.py:1: SystemExit: the file ends the command (sys.exit(None))"),
        ("class End(BaseException): pass\nraise End('of it')", "broken.py:2: End: of it"),
        ("raise GeneratorExit", "broken.py:1: GeneratorExit"),
        ("def f(): return f()\nf()", "broken.py:1: RecursionError: maximum recursion depth exceeded"),
        ("class Mute(Exception):\n def __str__(self): raise ValueError\nraise Mute", "broken.py:3: "),
        ("raise ValueError('x' * 100_000)", "broken.py:1: ValueError: xxx"),
        ("import sys\nsys.path.pop(0)\nsys.modules.pop(__name__)\n1 / 0", "broken.py:4: ZeroDivisionError"),
        ("def __getattr__(name): raise RuntimeError('no')", "broken.py:1: study x: RuntimeError: no"),
        ("x = 1\x00", "SyntaxError: source code string cannot contain null bytes"),
        ("# coding: nothing\n", "SyntaxError: "),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence_with_its_line(tmp_path: Path, text: str, sentence: str):
    file = tmp_path / "broken.py"
    file.write_text(text)
    refused = called(tmp_path / "home", "plan", f"{file}:x", *ASKED)
    assert refused.exit_code == 2
    assert sentence in refused.stderr
    assert "Traceback" not in refused.output
    assert len(refused.stderr.strip().splitlines()) == 1
    assert len(refused.stderr) < 1000


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        ("import sys; sys.exit(1)", "SystemExit: the file ends the command (sys.exit(1))"),
        ("raise BaseException('end')", "BaseException: end"),
        ("return recipe(conditions, seed=seed)", "RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_a_recipe_that_ends_the_command_is_told_in_a_sentence(
    tiny_home: Path, tmp_path: Path, ending: str, sentence: str
):
    file = tmp_path / "ends.py"
    recipe = f"def recipe(conditions, *, seed):\n    {ending}\n"
    file.write_text(recipe + OWN + 'ends = asked("ends", recipe)\n')
    refused = called(tiny_home, "plan", f"{file}:ends", *ASKED)
    assert refused.exit_code == 2
    assert f"{file}:2: study ends: {sentence}" in refused.stderr


def test_what_a_users_file_prints_is_no_part_of_the_result(tiny_home: Path, tmp_path: Path):
    file = tmp_path / "prints.py"
    file.write_text(OWN + 'print("while it loads")\ndef loud(c, *, seed):\n    print("a recipe")\n')
    with file.open("a") as more:
        more.write('    return distilled(c, seed=seed)\nprints = asked("prints", loud)\n')
    planned = called(tiny_home, "plan", f"{file}:prints", *ASKED, "--json")
    assert json.loads(planned.stdout)["stages"]
    assert "while it loads\na recipe\n" in planned.stderr


@pytest.mark.parametrize("odd", ["folder", "pipe", "loop", "dangling link"])
def test_what_is_no_file_is_no_study(tmp_path: Path, odd: str):
    file = tmp_path / "odd.py"
    refused = called(tmp_path / "home", "plan", f"{odd_path(file, odd)}:x", *ASKED)
    assert refused.exit_code == 2
    assert "is no Python file" in refused.stderr


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    refused = called(tmp_path / "home", "run", f"{tmp_path / 'nowhere.py'}:x", *ASKED)
    assert refused.exit_code == 2
    assert "nowhere.py is no Python file: a study or search of your own is named FILE.py:NAME" in refused.stderr
