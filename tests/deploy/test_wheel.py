"""The wheel, installed where no checkout is: it has every package, template and the command."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
Command = Callable[..., str]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def freelunch(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The installed command of a fresh environment, which borrows only the dependencies of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = _copy_of_the_source(folder / "source")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    subprocess.run([*pip, "wheel", *options, source], check=True, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True, cwd=folder)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))

    def call(*arguments: str) -> str:
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [environment / "bin" / "freelunch", "--home", folder / "home", *arguments]
        done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def _copy_of_the_source(folder: Path) -> Path:
    """A build in the checkout would leave its own folder there, and find what an earlier one has left."""
    folder.mkdir()
    for name in ("study", "trainers", "search_spaces"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, folder)
    return folder


def test_the_installed_command_knows_its_version(freelunch: Command):
    assert freelunch("--version").startswith("freelunch, version 0.")


def test_the_installed_command_lists_the_studies(freelunch: Command):
    listed = json.loads(freelunch("list", "--json"))
    assert {"table1", "table2", "table3", "fig3"} <= {study["name"] for study in listed["studies"]}


def test_the_installed_command_plans_a_study_on_ingested_videos(freelunch: Command, tiny_videos: Path):
    freelunch("ingest", "cholec80", str(tiny_videos), "--name", "few", "--scale", "demo")
    asked = ("--scale", "demo", "--dataset", "few")
    plan = json.loads(freelunch("plan", "table3", *asked, "--row", "majority", "--json"))
    assert len(plan["trials"]) == 1
    assert len(plan["missing"]) + plan["cached"] == plan["stages"]
    assert plan["cached"] > 0  # videos
