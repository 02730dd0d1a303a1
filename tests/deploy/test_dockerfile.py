"""deploy/Dockerfile: what it copies is enough to install, and what is installed runs as a user without rights."""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = REPOSITORY / "deploy" / "Dockerfile"
NOBODY = 65534


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """The instructions in their order, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def is_in_context(path: str) -> bool:
    """Whether .dockerignore lets a path through: the last pattern that matches it decides."""
    ignored = False
    for pattern in (REPOSITORY / ".dockerignore").read_text().splitlines():
        if pattern and not pattern.startswith("#"):
            bare = pattern.lstrip("!")
            if any(fnmatch.fnmatch(part, bare) for part in (path, path.partition("/")[0])):
                ignored = not pattern.startswith("!")
    return not ignored


def copied(instructions: list[tuple[str, str]]) -> list[str]:
    """What is copied of the repository."""
    own = [words.split() for name, words in instructions if name == "COPY" and not words.startswith("--from")]
    return sorted({source for words in own for source in words[:-1]})


def test_what_is_copied_is_in_the_context_and_nothing_else_is(instructions: list[tuple[str, str]]):
    sources = copied(instructions)
    assert all(is_in_context(source) for source in sources)
    others = {path.name for path in REPOSITORY.iterdir()} - set(sources)
    assert not any(is_in_context(other) for other in others)


def test_every_stage_that_is_named_is_there_before(instructions: list[tuple[str, str]]):
    known: set[str] = set()
    for name, words in instructions:
        if name == "FROM":
            base, _, stage = words.split()
            assert base in known | {"scratch"} or "/" in base
            known.add(stage)
        if name == "COPY" and words.startswith("--from="):
            assert words.split()[0].removeprefix("--from=") in known
    assert {"cpu", "gpu", "mlflow"} <= known


def test_no_image_runs_as_root(instructions: list[tuple[str, str]]):
    users: dict[str, str] = {}
    stage = ""
    for name, words in instructions:
        stage = words.split()[-1] if name == "FROM" else stage
        if name == "USER":
            users[stage] = words
    assert users == dict.fromkeys(("mlflow", "cpu", "gpu"), "1000:1000")


@pytest.mark.services
def test_what_is_copied_installs_and_runs_for_a_user_without_rights(
    instructions: list[tuple[str, str]], open_folder: Path
):
    """The lines of the image, in a virtual environment that has this one's packages: no registry is at hand."""
    assert ("RUN", "pip install --constraint constraints.txt .") in instructions
    source = open_folder / "freelunch"
    source.mkdir()
    for name in copied(instructions):
        path = REPOSITORY / name
        shutil.copytree(path, source / name) if path.is_dir() else shutil.copy(path, source)
    venv.create(open_folder / "venv", with_pip=False)
    packages = next((open_folder / "venv" / "lib").glob("python*")) / "site-packages"
    own = next(Path(folder) for folder in sys.path if folder.endswith("site-packages"))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(packages), "."], cwd=source, check=True)
    (packages / "others.pth").write_text(f"{own}\n")
    shutil.rmtree(source)
    home = open_folder / "home"
    home.mkdir(mode=0o777)
    home.chmod(0o1777)
    program = f"import sys; sys.path.insert(0, {str(packages)!r}); from study.cli import main; main()"
    environment = {"PATH": os.environ["PATH"], "HOME": "/tmp", "FREELUNCH_HOME": str(home), "PYTHONPATH": str(packages)}
    result = subprocess.run(
        [open_folder / "venv" / "bin" / "python", "-c", program, "list", "--json"],
        env=environment,
        cwd="/",
        user=NOBODY if os.geteuid() == 0 else None,
        group=NOBODY if os.geteuid() == 0 else None,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert '"table3"' in result.stdout
