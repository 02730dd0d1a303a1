"""Studies in files of one's own: found, run, refused; and the examples of the documentation."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from study.cli.planning import PlannedStudy
from study.core.graph import inputs, key, walk
from study.execution.ray.messages import orders
from study.execution.resources import Profile
from study.home.request import Request
from tests.study.tiny_cli import called
from tests.study.tiny_home import ASKED, LOCAL, copy_of, done, tiny_settings
from tests.trainers.ssl.method_contract import CONTRACT
from tests.trainers.tiny import BACKBONE, BATCH, EMBEDDING, untrained

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
pytestmark = pytest.mark.usefixtures("tiny_scale")


@pytest.fixture(scope="module")
def home(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with four videos in which both examples were run."""
    home = copy_of(tiny_home, tmp_path_factory.mktemp("own"))
    with tiny_settings():
        for name in ("my_study", "seed_loss"):
            done(called(home, "run", f"{EXAMPLES / name}.py:{name}", *LOCAL))
    return home


def planned(home: Path, name: str) -> PlannedStudy:
    return PlannedStudy(home, Request(study=f"{EXAMPLES / name}.py:{name}", scale="tiny", dataset="tiny"))


@pytest.mark.parametrize("name", ["my_study", "seed_loss"])
def test_an_example_runs_and_is_found_by_its_name_afterwards(home: Path, name: str):
    (folder,) = (home / "studies" / name).glob("*/")
    assert (folder / "report.html").exists()
    assert "report: " in called(home, "report", name).output
    assert called(home, "status", name).exit_code == 0
    row = planned(home, name).trials[0].row.name
    assert "Evaluate" in called(home, "logs", f"{name}/{row}").output


def test_a_condition_leaves_out_what_a_value_makes_meaningless(home: Path):
    trials = {trial.row.name: trial for trial in planned(home, "my_study").trials}
    assert list(trials) == ["0.5", "1.0", "2.0", "gentle", "alone"]
    assert not any("Distilled" in stage.kind for stage in walk(trials["alone"].stage).values())
    table3 = PlannedStudy(home, Request(study="table3", scale="tiny", dataset="tiny", rows=("moco",)))
    assert not table3.plan.missing, "the trial is the one of a study of the house"


def test_a_class_of_ones_own_has_its_file_in_its_key(home: Path, tmp_path: Path):
    changed = tmp_path / "seed_loss.py"
    text = (EXAMPLES / "seed_loss.py").read_text()
    changed.write_text(text.replace("temperature: float = 0.2\n    teacher", "temperature: float = 0.2  \n    teacher"))
    known = {trial.row.name: key(trial.stage) for trial in planned(home, "seed_loss").trials}
    other = PlannedStudy(home, Request(study=f"{changed}:seed_loss", scale="tiny", dataset="tiny"))
    found = {trial.row.name: key(trial.stage) for trial in other.trials}
    assert found["seed"] != known["seed"]
    assert found["ours"] == known["ours"]


def test_a_stage_of_ones_own_is_computed_where_its_file_is_not(home: Path, tmp_path: Path):
    asked = planned(home, "seed_loss")
    ((stage_key, stage),) = ((k, each) for k, each in asked.plan.stages.items() if each.kind == "Pretrain SEED")
    order = orders(asked.plan.stages, [stage_key], Profile().grant)[0]
    (tmp_path / "order").write_bytes(order.stage)
    folders = {path: str(asked.store.find(key(needed))) for path, needed in inputs(stage).items()}
    program = f"""
import sys
from pathlib import Path
from study.core.graph import key
from study.execution.ray.messages import unpickled
from trainers.stage import Work
stage = unpickled(Path("order").read_bytes())
assert not [name for name in sys.modules if "seed_loss" in name]
Path("out").mkdir()
stage.run(Work(output=Path("out"), inputs={{name: Path(folder) for name, folder in {folders!r}.items()}}))
print(key(stage))
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert told.stdout.split()[-1] == stage_key
    before, after = (
        torch.load(folder / "encoders.pt", weights_only=True)["query"]
        for folder in (asked.store.find(stage_key), tmp_path / "out")
    )
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("keeps", CONTRACT, ids=lambda rule: rule.__name__)
def test_the_example_of_a_method_keeps_the_contract(keeps, tmp_path: Path):
    from study.cli.resolve import find_study

    module = sys.modules[find_study(f"{EXAMPLES / 'seed_loss.py'}:seed_loss").recipe.__module__]
    teacher = untrained(tmp_path / "teacher", seed=11)
    config = module.SEED(teacher=teacher, queue_size=2 * BATCH, embedding_size=EMBEDDING)
    config.check(BACKBONE, BATCH)
    keeps(lambda: config.build(BACKBONE, {"teacher": tmp_path / "teacher"}, seed=7))


def test_the_examples_loss_is_the_written_formula():
    from study.cli.resolve import find_study

    module = sys.modules[find_study(f"{EXAMPLES / 'seed_loss.py'}:seed_loss").recipe.__module__]
    student, teacher = torch.tensor([[0.2, -0.4, 0.9]]), torch.tensor([[0.5, 0.1, -0.3]])
    p = (teacher / 0.07).exp() / (teacher / 0.07).exp().sum()
    q = (student / 0.2).exp() / (student / 0.2).exp().sum()
    loss = module.soft_cross_entropy(student, teacher, student_temperature=0.2, teacher_temperature=0.07)
    assert float(loss) == pytest.approx(float(-(p * q.log()).sum()))


OWN = """
from dataclasses import dataclass
from functools import partial

from search_spaces.recipes import distilled
from study import Choice, Curve, Row, Study
from trainers.stage import Stage


def asked(name, recipe=distilled, **parts):
    return Study(**{"name": name, "title": "?", "question": "?", "recipe": recipe, "rows": ROWS} | parts)


def raises(conditions, *, seed):
    return {}["nothing"]


def misspells(conditions, *, seed):
    return distilled(conditions, seed=seed, tau=0.1)


def seedless(conditions):
    return distilled(conditions, seed=0)


def demanding(conditions, *, seed, warmth):
    return distilled(conditions, seed=seed)


def unread(conditions, *, seed, warmth: "Warmth" = 1.0):
    return distilled(conditions, seed=seed)


def listed(conditions, *, seed, layers: list = [1, 2]):
    return distilled(conditions, seed=seed)


@dataclass  # not hashable
class Called:
    queue_size: int

    def __call__(self, conditions, *, seed: int, momentum: float = 0.9):
        return distilled(conditions, seed=seed, queue_size=self.queue_size, momentum=momentum)


@dataclass(frozen=True, kw_only=True)
class Costless(Stage):
    def run(self, work): ...

    def expected_seconds(self): ...


ROWS = (Row(name="a", title="a"),)
MOMENTA = {"momentum": Choice((0.9, 0.5))}
part = asked("part", partial(distilled, queue_size=32), axes=MOMENTA)
nameless = asked("nameless", lambda c, *, seed, m=0.9: distilled(c, seed=seed, momentum=m), axes={"m": Choice((0.9,))})
instance = asked("instance", Called(32), axes=MOMENTA)
layers = asked("layers", listed, axes={"layers": Choice(([1], [2]))}, curve=Curve(axis="layers", title="l"), rows=())
none = asked("none", lambda c, *, seed: None)
early = asked("early", lambda c, *, seed: distilled(c, seed=seed).predictions)
raising = asked("raising", raises)
misspelt = asked("misspelt", misspells)
no_seed = asked("no_seed", seedless)
no_conditions = asked("no_conditions", lambda *, seed: None)
demanded = asked("demanded", demanding)
annotated = asked("annotated", unread, axes={"warmth": Choice((1.0,))})
number = asked("number", 3)
parameter = asked("parameter", rows=(Row(name="a", title="a", parameters={"tau": 1}),))
grid = asked("grid", axes={}, rows=())
repeated = asked("repeated", axes={"momentum": Choice((0.9, 0.9))})
reference = asked("reference", reference="b")
axes = asked("axes", axes={"momentum": (0.9, 0.5)})
list_ = asked("list_", axes={"momentum": Choice(([1],))})
bare = asked("bare", rows=Row(name="a", title="a"))
cost = asked("cost", lambda c, *, seed: Costless())
ok = Study(name="ok", title="?", question="?", recipe=distilled, rows=(Row(name="a", title="a"),))
renamed = Study(name="other", title="?", question="?", recipe=distilled, rows=(Row(name="a", title="a"),))
table3 = Study(name="table3", title="?", question="?", recipe=distilled, rows=(Row(name="a", title="a"),))
empty = Study(name="empty", title="?", question="?", recipe=distilled)
axis = Study(name="axis", title="?", question="?", recipe=distilled, axes={"lamda": Choice((1.0,))})
twice = Study(
    name="twice", title="?", question="?", recipe=distilled, rows=(Row(name="a", title="a"), Row(name="b", title="a"))
)
curve = Study(
    name="curve", title="?", question="?", recipe=distilled, axes={"momentum": Choice((0.5,))},
    curve=Curve(axis="temperature", title="τ"),
)
value = Study(name="value", title="?", question="?", recipe=distilled, axes={"temperature": Choice((-1.0,))})
weight = Study(name="weight", title="?", question="?", recipe=distilled, axes={"distillation_weight": Choice((-1.0,))})
queue_ = Study(name="queue_", title="?", question="?", recipe=distilled, axes={"queue_size": Choice((33,))})
both = Study(
    name="both", title="?", question="?", recipe=distilled,
    rows=(Row(name="a", title="a", parameters={"queue_size": 32, "queue_batches": 4}),),
)
fraction = Study(name="fraction", title="?", question="?", recipe=distilled, axes={"label_fraction": Choice((1.5,))})
"""


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("renamed", "study renamed is named 'other'; give it name='renamed'"),
        ("table3", "'table3' is a study of freelunch itself"),
        ("nothing", "defines no study 'nothing'"),
        ("distilled", "defines no study 'distilled'"),
        ("empty", "study empty asks nothing: give it an axis or a row"),
        ("axis", "recipe distilled has no hyperparameter 'lamda'"),
        ("twice", "study twice has two rows titled 'a': give each its own title"),
        ("curve", "the curve of study curve is over 'temperature', which no row sets"),
        ("value", "temperature is -1.0: τ must be positive"),
        ("weight", "distillation_weight is -1.0: λ must not be negative"),
        ("queue_", "queue_size is 33: K must be a multiple of the batch size 8"),
        ("both", "queue_size is 32 and queue_batches is 4: both say K, give one"),
        ("fraction", "label_fraction is 1.5: it must be above 0 and at most 1"),
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
        ("list_", "momentum=[1] does not fit: momentum takes a number or none"),
        ("bare", "bare_file.py: study bare: TypeError: 'Row' object is not iterable"),
        ("cost", "row 'a' returns a Costless: its last stage must be an Evaluate"),
    ],
)
def test_a_study_that_cannot_be_asked_is_one_sentence(home: Path, tmp_path: Path, variable: str, sentence: str):
    file = tmp_path / f"{variable}_file.py"
    file.write_text(OWN)
    refused = called(home, "plan", f"{file}:{variable}", *ASKED)
    assert refused.exit_code == 2
    assert sentence in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(("variable", "rows"), [("part", 3), ("nameless", 2), ("instance", 3), ("layers", 2)])
def test_a_recipe_may_be_whatever_can_be_called(home: Path, tmp_path: Path, variable: str, rows: int):
    file = tmp_path / "callable.py"
    file.write_text(OWN)
    planned = called(home, "plan", f"{file}:{variable}", *ASKED, "--json")
    assert planned.exit_code == 0, planned.output
    assert len(json.loads(planned.output)["trials"]) == rows


def test_a_recipe_that_is_no_plain_function_runs_into_mlflow_and_a_report(home: Path, tmp_path: Path):
    file = tmp_path / "callable.py"
    file.write_text(OWN)
    options = [option for option in LOCAL if option != "--no-mlflow"]
    for variable in ("part", "layers"):
        result = called(home, "run", f"{file}:{variable}", *options)
        assert result.exit_code == 0, result.output
        assert "report: " in result.output


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


def test_a_stage_that_fails_to_say_whether_it_can_be_computed_is_named(home: Path, tmp_path: Path):
    file = tmp_path / "unsure.py"
    file.write_text(UNSURE)
    refused = called(home, "run", f"{file}:unsure", *LOCAL)
    assert refused.exit_code == 2
    assert "fails to say whether it can be computed: AttributeError: 'Resources' object has no" in refused.stderr
    assert f"({file}:11): mend its `check`" in refused.stderr
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
        ("from study import Choice\nChoice(())", "an axis needs at least one value"),
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


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    refused = called(tmp_path / "home", "run", f"{tmp_path / 'nowhere.py'}:x", *ASKED)
    assert refused.exit_code == 2
    assert "nowhere.py is no Python file: a study of your own is named FILE.py:STUDY" in refused.stderr


def test_a_file_can_use_what_lies_beside_it_and_be_asked_from_anywhere(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copy(EXAMPLES / "my_study.py", tmp_path / "beside_it.py")
    (tmp_path / "user.py").write_text(
        "from dataclasses import replace\nfrom beside_it import my_study\nmine = replace(my_study, name='mine')\n"
    )
    monkeypatch.chdir(tmp_path)
    planned = called(home, "plan", "user.py:mine", *ASKED)
    assert planned.exit_code == 0, planned.output
    assert f"run {tmp_path / 'user.py'}:mine" in planned.output.splitlines()[-1]
