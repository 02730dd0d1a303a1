"""Malformed inputs of `ingest`: one sentence each with file, line, field and what to do, and the store as it was."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.study.cli.hospital import DESCRIPTIONS, build, restore
from tests.study.cli.malformed import Case, apply
from tests.study.cli.malformed_descriptions import DESCRIPTIONS as MALFORMED_DESCRIPTIONS
from tests.study.cli.malformed_files import FILES
from tests.study.tiny_cli import called
from tests.study.tiny_home import done, refused, tiny_settings

CASES = (*MALFORMED_DESCRIPTIONS, *FILES)
SIZES = ("--scale", "tiny", "--threads", "1")


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The hospital to do harm to, and a copy of it as it was."""
    folder = tmp_path_factory.mktemp("hospital")
    build(folder / "kept")
    shutil.copytree(folder / "kept", folder / "root")
    return folder / "root", folder / "kept"


@pytest.fixture(scope="module")
def home(hospital: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home in which all of its descriptions have been ingested, as they were."""
    home = tmp_path_factory.mktemp("home") / "home"
    with tiny_settings():
        for name in DESCRIPTIONS:
            done(called(home, "ingest", str(hospital[0] / f"{name}.toml"), *SIZES))
        yield home


def stored(home: Path) -> dict[str, bytes]:
    """Everything in the store, and the records of datasets."""
    files = [*home.glob("datasets/*.json"), *(path for path in home.glob("artifacts/**/*") if path.is_file())]
    return {str(path): path.read_bytes() for path in files}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file}-{case.said}"[:90])
def test_a_malformed_input_is_one_sentence_and_leaves_the_store_as_it_was(
    case: Case, hospital: tuple[Path, Path], home: Path
):
    root, kept = hospital
    before = stored(home)
    apply(case.change, root / case.file)
    try:
        result = called(home, "ingest", str(root / f"{case.description}.toml"), *SIZES)
    finally:
        restore(kept, root)
    refused(result, 2)
    sentence = result.stderr.strip().removeprefix("error: ").replace(f"{root}/", "").replace(f"{root} ", "")
    assert sentence.startswith(case.said), sentence
    remedy = sentence.removeprefix(case.said)
    assert remedy.startswith(": "), "it says what to do"
    assert len(remedy.split()) > 2
    assert stored(home) == before
    assert not list((home / "unfinished").iterdir())


def test_the_table_has_many_malformed_inputs_of_every_kind():
    assert len(CASES) >= 80
    assert {Path(case.file).parts[0].split(".")[-1] for case in CASES} == {
        "toml",
        "intervals",
        "rows",
        "table",
        "seconds",
        "halves",
        "videos",
        "images",
    }
