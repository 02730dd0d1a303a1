"""Studies in users' files: found, run, refused; and the examples of the documentation."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from study.cli.planning import PlannedStudy
from study.core.graph import inputs, key, walk
from study.execution.ray.pickling import requests_for
from study.execution.resources import Profile
from study.home.request import Request
from tests.study.cli.own_studies import OWN
from tests.study.tiny_cli import called
from tests.study.tiny_home import ASKED, HERE, LOCAL, copy_of, done, refused, tiny_settings
from tests.trainers.ssl.method_contract import CONTRACT
from tests.trainers.tiny import BACKBONE, BATCH, EMBEDDING, untrained
from trainers.artifacts.predictions import read_predictions
from trainers.ssl.pretrain import Pretrain

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
pytestmark = pytest.mark.usefixtures("tiny_scale", "no_pictures")


@pytest.fixture(scope="module")
def home(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with four videos in which both examples were run."""
    home = copy_of(tiny_home, tmp_path_factory.mktemp("own"))
    with tiny_settings():
        for name in ("my_study", "similarity_loss"):
            done(called(home, "run", f"{EXAMPLES / name}.py:{name}", *LOCAL))
    return home


def planned(home: Path, name: str) -> PlannedStudy:
    return PlannedStudy(home, Request(study=f"{EXAMPLES / name}.py:{name}", scale="tiny", dataset="tiny"))


@pytest.mark.parametrize("name", ["my_study", "similarity_loss"])
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
    assert not table3.plan.missing, "the trial is one that table3 has"


def test_lines_of_an_example_are_students_of_two_lengths(home: Path):
    asked = planned(home, "student_length")
    students = {
        trial.row.name: max(
            each.optimisation.epochs for each in walk(trial.stage).values() if isinstance(each, Pretrain)
        )
        for trial in asked.trials
    }
    assert students == {f"{line}-{epochs}": epochs for line in ("moco", "lambda-2", "lambda-5") for epochs in (12, 36)}
    assert {trial.row.series for trial in asked.trials} == {"MoCo v2", "λ = 2", "λ = 5"}


def test_a_users_class_has_its_file_in_its_key(home: Path, tmp_path: Path):
    changed = tmp_path / "similarity_loss.py"
    text = (EXAMPLES / "similarity_loss.py").read_text()
    changed.write_text(text.replace("Weight = 1.0\n    embedding", "Weight = 1.0  \n    embedding"))
    known = {trial.row.name: key(trial.stage) for trial in planned(home, "similarity_loss").trials}
    other = PlannedStudy(home, Request(study=f"{changed}:similarity_loss", scale="tiny", dataset="tiny"))
    found = {trial.row.name: key(trial.stage) for trial in other.trials}
    assert found["batch"] != known["batch"]
    assert found["ours"] == known["ours"]


def test_a_users_stage_is_computed_where_its_file_is_not(home: Path, tmp_path: Path):
    asked = planned(home, "similarity_loss")
    ((stage_key, stage),) = ((k, each) for k, each in asked.plan.stages.items() if each.kind == "Pretrain Similarities")
    request = requests_for(asked.plan.stages, [stage_key], Profile().grant)[0]
    (tmp_path / "request").write_bytes(request.stage)
    folders = {path: str(asked.store.find(key(needed))) for path, needed in inputs(stage).items()}
    program = f"""
import sys
from pathlib import Path
from study.core.graph import key
from study.execution.ray.pickling import unpickled
from trainers.stage import Work
stage = unpickled(Path("request").read_bytes())
assert not [name for name in sys.modules if "similarity_loss" in name]
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

    module = sys.modules[find_study(f"{EXAMPLES / 'similarity_loss.py'}:similarity_loss").recipe.__module__]
    teacher = untrained(tmp_path / "teacher", seed=11)
    config = module.Similarities(teacher=teacher, embedding_size=EMBEDDING)
    config.check(BACKBONE, BATCH)
    keeps(lambda: config.build(BACKBONE, {"teacher": tmp_path / "teacher"}, seed=7))


def test_the_examples_loss_is_the_written_formula():
    from study.cli.resolve import find_study

    module = sys.modules[find_study(f"{EXAMPLES / 'similarity_loss.py'}:similarity_loss").recipe.__module__]
    generator = torch.Generator().manual_seed(0)
    student, teacher = (normalize(torch.randn(3, size, generator=generator), dim=1) for size in (4, 5))
    expected = 0.0
    for i in range(3):
        for j in range(3):
            expected += float(student[i] @ student[j] - teacher[i] @ teacher[j]) ** 2 / 3
    assert float(module.similarity_difference(student, teacher, student, teacher)) == pytest.approx(expected)


def test_the_example_of_a_stage_predicts_the_phase_that_its_part_of_the_training_videos_has(home: Path):
    done(called(home, "run", f"{EXAMPLES / 'phase_by_time.py'}:phase_by_time", *LOCAL))
    asked = planned(home, "phase_by_time")
    trials = {trial.row.name: trial.stage for trial in asked.trials}
    assert list(trials) == ["2", "5", "10", "20", "majority"]
    folders = {name: asked.store.find(key(stage.predictions)) for name, stage in trials.items()}
    predicted = {name: read_predictions(folder) for name, folder in folders.items() if folder}
    assert list(predicted) == list(trials)
    halves = [np.array_split(video.prediction, 2) for video in predicted["2"]]
    assert all(len(set(half)) == 1 for video in halves for half in video)
    assert np.mean([video.accuracy for video in predicted["20"]]) > np.mean(
        [video.accuracy for video in predicted["majority"]]
    )


@pytest.mark.parametrize(("variable", "rows"), [("part", 3), ("nameless", 2), ("instance", 3), ("layers", 2)])
def test_a_recipe_may_be_whatever_can_be_called(home: Path, tmp_path: Path, variable: str, rows: int):
    file = tmp_path / "callable.py"
    file.write_text(OWN)
    planned = called(home, "plan", f"{file}:{variable}", *ASKED, "--json")
    assert planned.exit_code == 0, planned.output
    assert len(json.loads(planned.output)["trials"]) == rows


def test_a_recipe_that_is_no_plain_function_runs_into_mlflow_and_a_report(
    home: Path, empty_database: Path, tmp_path: Path
):
    shutil.copy(empty_database, home)
    file = tmp_path / "callable.py"
    file.write_text(OWN)
    options = [option for option in LOCAL if option != "--no-mlflow"]
    for variable in ("part", "layers"):
        result = called(home, "run", f"{file}:{variable}", *options)
        assert result.exit_code == 0, result.output
        assert "report: " in result.output


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


def test_a_run_whose_callback_is_refused_leaves_no_request(tiny_home: Path, tmp_path: Path):
    fresh, asked = copy_of(tiny_home, tmp_path), f"{EXAMPLES / 'my_study.py'}:my_study"
    refused(called(fresh, "run", asked, *HERE, "--no-mlflow", "--callback", "json:JSONDecoder"), 2, "json:JSONDecoder")
    refused(called(fresh, "report", asked), 2, "study 'my_study' has not been run", f"run {asked}`")
