"""Help, lists and plans: what a user reads before anything is run."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from study.cli import main
from tests.study.tiny_cli import called
from tests.study.tiny_home import ASKED, done, refused
from tests.trainers.public_files import torchvision_file
from trainers.networks.backbones import Backbone

pytestmark = pytest.mark.usefixtures("tiny_scale")


def imported_by(*arguments: str) -> tuple[set[str], str]:
    """The modules that a command imports, and what it prints."""
    code = (
        "import sys\nfrom study.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('\\n' + ' '.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split()), done.stdout


def test_help_needs_neither_torch_nor_numpy_nor_rich():
    imported, printed = imported_by("--help")
    assert "freelunch run table3 --scale demo" in printed
    assert not imported & {"torch", "numpy", "rich", "scipy", "matplotlib", "jinja2", "ray", "optuna", "timm"}


def test_studies_are_listed_without_what_builds_and_trains_networks():
    imported, printed = imported_by("list")
    assert "table3" in printed
    assert "torch" in imported
    assert not imported & {"torchvision", "torch._dynamo", "timm", "onnx", "matplotlib", "ray", "mlflow"}


@pytest.mark.parametrize("name", [None, *main.commands])
def test_the_help_of_every_command_shows_an_example(name: str | None):
    result = CliRunner().invoke(main, ["--help"] if name is None else [name, "--help"])
    assert result.exit_code == 0
    assert f"        freelunch {name or 'run'}" in result.output.replace("      freelunch", "        freelunch")


@pytest.mark.parametrize("name", [None, "plan", "run", "search"])
def test_an_example_at_scale_full_names_what_rows_start_from(name: str | None):
    shown = CliRunner().invoke(main, ["--help"] if name is None else [name, "--help"]).output.splitlines()
    examples = [
        line for line in shown if line.strip().startswith(("freelunch plan", "freelunch run", "freelunch search"))
    ]
    assert examples
    assert [line for line in examples if not {"--scale", "--weights", "--stand-in"} & set(line.split())] == []


def test_every_option_is_explained():
    for command in main.commands.values():
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, f"{command.name} {option.name}"


def test_studies_are_listed(tmp_path: Path):
    listed = called(tmp_path / "home", "list").output
    for name in (
        "table1",
        "table2",
        "table3",
        "fig3",
        "lambda",
        "temperature",
        "queue",
        "seeds",
        "losses",
        "attribution",
        "paper",
    ):
        assert f"\n{name} " in listed
    studies = json.loads(called(tmp_path / "home", "list", "--json").output)["studies"]
    (table3,) = (study for study in studies if study["name"] == "table3")
    assert [row["name"] for row in table3["rows"]][:4] == ["none", "head", "backbone", "all"]
    assert "weight_decay" in table3["hyperparameters"]
    assert "teacher_trains" not in table3["hyperparameters"], "the rows of the study"
    assert "weight_decay" in listed.rpartition("--set NAME=VALUE fixes")[2]


def test_without_datasets_the_way_to_one_is_shown(tmp_path: Path):
    assert "next: freelunch --home" in called(tmp_path / "home", "datasets").output
    assert json.loads(called(tmp_path / "home", "datasets", "--json").output) == []


def test_public_weights_get_a_name_that_studies_know(tiny_home: Path, tmp_path: Path):
    home = Path(shutil.copytree(tiny_home / "datasets", tmp_path / "home" / "datasets")).parent
    assert "next: freelunch --home" in called(home, "weights").output
    file, _ = torchvision_file(tmp_path / "network.pth", Backbone(architecture="resnet18"))
    added = called(home, "weights", "add", str(file), "--name", "public")
    assert added.output.startswith("public: resnet18, of unknown origin (SHA-256 ")
    assert added.output.splitlines()[-1].endswith("plan table1 --dataset cholec80 --weights public"), "it is supervised"
    assert "resnet18" in called(home, "weights").output
    tiny = ("plan", "table1", *ASKED, "--weights")
    assert "public is of unknown origin (resnet18, SHA-256" in done(called(home, *tiny, "public")).output
    refused(called(home, *tiny, "pubic"), 2, "no weights named 'pubic' (registered: public)")
    refused(called(home, "weights", "add", "/nowhere.pth", "--name", "x"), 3, "/nowhere.pth")


def test_published_numbers_beside_other_settings_are_told_apart(tiny_home: Path):
    asked = ("plan", "table3", *ASKED)
    said = "Published numbers are of the paper's settings"
    assert said not in called(tiny_home, *asked).output
    assert said in called(tiny_home, *asked, "--set", "distillation_weight=2").output
    assert said not in called(tiny_home, "plan", "seeds", *asked[2:], "--set", "distillation_weight=2").output
