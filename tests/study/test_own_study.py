"""Studies in files of one's own: found, run, refused; and the examples of the documentation."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from search_spaces.presets import SCALES
from study.cli.session import Session
from study.graph import inputs, key, walk
from study.orders import orders
from study.profile import Profile
from study.request import Request
from tests.study.tiny_cli import TINY, called, make_tiny_videos
from tests.trainers.ssl.method_contract import CONTRACT
from tests.trainers.tiny import BACKBONE, BATCH, EMBEDDING, untrained

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
ASKED = ("--scale", "tiny", "--dataset", "tiny")
RUN = ("--local", "--threads", "1", "--no-mlflow", *ASKED)


@pytest.fixture(scope="module", autouse=True)
def _tiny_scale() -> object:
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SCALES, "tiny", TINY)
        patch.delenv("FREELUNCH_HOME", raising=False)
        patch.setenv("COLUMNS", "200")
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, _tiny_scale: None) -> Path:
    """A home with four videos in which both examples were run."""
    folder = tmp_path_factory.mktemp("own")
    make_tiny_videos(folder / "videos")
    home = folder / "home"
    assert (
        called(home, "ingest", "cholec80", str(folder / "videos"), "--name", "tiny", "--scale", "tiny").exit_code == 0
    )
    for name in ("my_study", "seed_loss"):
        result = called(home, "run", f"{EXAMPLES / name}.py:{name}", *RUN)
        assert result.exit_code == 0, result.output
    return home


def session(home: Path, name: str) -> Session:
    return Session(home, Request(study=f"{EXAMPLES / name}.py:{name}", scale="tiny", dataset="tiny"))


@pytest.mark.parametrize("name", ["my_study", "seed_loss"])
def test_an_example_runs_and_is_found_by_its_name_afterwards(home: Path, name: str):
    (folder,) = (home / "studies" / name).glob("*/")
    assert (folder / "report.html").exists()
    assert "report: " in called(home, "report", name).output
    assert called(home, "status", name).exit_code == 0
    row = session(home, name).trials[0].row.name
    assert "Evaluate" in called(home, "logs", f"{name}/{row}").output


def test_a_condition_leaves_out_what_a_value_makes_meaningless(home: Path):
    trials = {trial.row.name: trial for trial in session(home, "my_study").trials}
    assert list(trials) == ["0.5", "1.0", "2.0", "gentle", "alone"]
    assert not any("Distilled" in stage.kind for stage in walk(trials["alone"].stage).values())
    table3 = Session(home, Request(study="table3", scale="tiny", dataset="tiny", rows=("moco",)))
    assert not table3.plan.missing, "the trial is the one of a study of the house"


def test_a_class_of_ones_own_has_its_file_in_its_key(home: Path, tmp_path: Path):
    changed = tmp_path / "seed_loss.py"
    text = (EXAMPLES / "seed_loss.py").read_text()
    changed.write_text(text.replace("temperature: float = 0.2\n    teacher", "temperature: float = 0.2  \n    teacher"))
    known = {trial.row.name: key(trial.stage) for trial in session(home, "seed_loss").trials}
    other = Session(home, Request(study=f"{changed}:seed_loss", scale="tiny", dataset="tiny"))
    found = {trial.row.name: key(trial.stage) for trial in other.trials}
    assert found["seed"] != known["seed"]
    assert found["ours"] == known["ours"]


def test_a_stage_of_ones_own_is_computed_where_its_file_is_not(home: Path, tmp_path: Path):
    asked = session(home, "seed_loss")
    ((stage_key, stage),) = ((k, each) for k, each in asked.plan.stages.items() if each.kind == "Pretrain SEED")
    order = orders(asked.plan.stages, [stage_key], Profile().grant)[0]
    (tmp_path / "order").write_bytes(order.stage)
    folders = {path: str(asked.store.find(key(needed))) for path, needed in inputs(stage).items()}
    program = f"""
import sys
from pathlib import Path
from study.graph import key
from study.orders import unpickled
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
    from study.cli.named import named_study

    module = sys.modules[named_study(f"{EXAMPLES / 'seed_loss.py'}:seed_loss").recipe.__module__]
    teacher = untrained(tmp_path / "teacher", seed=11)
    config = module.SEED(teacher=teacher, queue_size=2 * BATCH, embedding_size=EMBEDDING)
    config.check(BACKBONE, BATCH)
    keeps(lambda: config.build(BACKBONE, {"teacher": tmp_path / "teacher"}, seed=7))


def test_the_examples_loss_is_the_written_formula():
    from study.cli.named import named_study

    module = sys.modules[named_study(f"{EXAMPLES / 'seed_loss.py'}:seed_loss").recipe.__module__]
    student, teacher = torch.tensor([[0.2, -0.4, 0.9]]), torch.tensor([[0.5, 0.1, -0.3]])
    p = (teacher / 0.07).exp() / (teacher / 0.07).exp().sum()
    q = (student / 0.2).exp() / (student / 0.2).exp().sum()
    loss = module.soft_cross_entropy(student, teacher, student_temperature=0.2, teacher_temperature=0.07)
    assert float(loss) == pytest.approx(float(-(p * q.log()).sum()))


OWN = """
from search_spaces.recipes import distilled
from study.spec import Choice, Curve, Row, Study

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
    ],
)
def test_a_study_that_cannot_be_asked_is_one_sentence(home: Path, tmp_path: Path, variable: str, sentence: str):
    file = tmp_path / f"{variable}_file.py"
    file.write_text(OWN)
    refused = called(home, "plan", f"{file}:{variable}", *ASKED)
    assert refused.exit_code == 2
    assert sentence in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = (", "broken.py:1: SyntaxError: '(' was never closed"),
        ("import nothing_of_this_name", "broken.py:1: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("\n\nx = 1 / 0", "broken.py:3: ZeroDivisionError: division by zero"),
        ("from study.spec import Choice\nChoice(())", "an axis needs at least one value"),
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
