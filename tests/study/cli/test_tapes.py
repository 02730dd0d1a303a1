"""Tapes by the command line: recorded, replayed and removed, and nothing that trials leave is another."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.cli.resources import ComputeTarget
from study.cli.tapes import MOST_OF_FREE, tape_choice
from study.core.store import Store
from tests.study.tiny_cli import called
from tests.study.tiny_home import ASKED, LOCAL, copy_of, done, refused
from trainers.stage import InputError

ROWS = ("--row", "1", "--row", "5")
NUMBERS = ("encoders.pt", "history.parquet", "summary.json", "predictions.parquet")


@pytest.fixture(autouse=True)
def _tiny(tiny_scale: None) -> None: ...


def digests(home: Path) -> Iterator[tuple[str, str, str]]:
    """What trials left of numbers: stage, file and digest; a saved network's bits are in it."""
    for manifest in Store(home).manifests():
        for name, (_, digest) in manifest.files.items():
            if name in NUMBERS:
                yield manifest.key, name, digest


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_a_sweep_over_lambda_leaves_the_same_numbers_with_a_tape_and_without(tiny_home: Path, tmp_path: Path):
    results = {}
    for tape in ("off", "embeddings"):
        home = results[tape] = copy_of(tiny_home, tmp_path / tape)
        output = done(called(home, "run", "lambda", *ROWS, *LOCAL, "--tape", tape)).output
        assert ("1 tape of what frozen networks say, for 2 stages: about" in output) == (tape != "off")
        assert ("Tape of embeddings" in output) == (tape != "off")
    off, taped = (sorted(digests(home)) for home in results.values())
    assert off == taped
    assert len(off) > 6
    store = Store(results["embeddings"])
    assert not [manifest for manifest in store.manifests() if manifest.stage == "Tape"]
    assert not list((store.home / "unfinished").iterdir())
    assert not [path for path in (store.home / "tapes").iterdir() if path.name != ".lock"]
    logs = [store.log(manifest.key) for manifest in store.manifests() if "DistilledMoCo" in manifest.title]
    assert logs
    assert not any("not replayed" in log.read_text() for log in logs if log)


def test_a_plan_shows_its_tapes(tiny_home: Path):
    asked = ("plan", "lambda", *ROWS, *ASKED, "--tape", "features")
    assert "1 tape of what frozen networks say, for 2 stages: about" in done(called(tiny_home, *asked)).output
    record = json.loads(done(called(tiny_home, *asked, "--json")).output)
    (tape,) = record["tapes"]
    assert tape["bytes"] > 0
    assert tape["key"] in [each["key"] for each in record["missing"]]
    off = json.loads(done(called(tiny_home, *asked[:-1], "off", "--json")).output)
    assert off["tapes"] == []
    assert record["trials"] == off["trials"]


REFUSED = {
    "a kind that there is not": (("--tape", "sound"), "'sound' is not one of 'auto', 'off', 'features', 'embeddings'"),
    "a size without a unit": (("--tape-disk", "100"), "--tape-disk 100 is no size: give one such as 100GB."),
    "a size of no tapes": (("--tape", "off", "--tape-disk", "1GB"), "--tape off takes none: leave one out."),
}


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(("options", "sentence"), REFUSED.values(), ids=REFUSED)
def test_values_that_mean_nothing_are_refused(tiny_home: Path, command, options, sentence):
    refused(called(tiny_home, command, "lambda", *ASKED, *options), 2, sentence)


def test_the_disk_of_tapes_is_what_is_asked_for_or_half_of_what_there_is(tmp_path: Path, monkeypatch):
    def free(num_bytes):
        monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": num_bytes}))

    free(50e9)
    assert tape_choice("auto", None, tmp_path / "home").limit_bytes == MOST_OF_FREE * 50e9
    free(9e12)
    assert tape_choice("auto", None, tmp_path).limit_bytes == 150e9
    assert tape_choice("auto", None, tmp_path, budget_bytes=20e9).limit_bytes == 10e9
    assert tape_choice("features", "1.5 TB", tmp_path, budget_bytes=20e9).limit_bytes == 1.5e12


def test_a_command_that_is_printed_names_its_tapes():
    assert ComputeTarget().options() == []
    assert ComputeTarget(tape="features", tape_disk="2 GB").options() == ["--tape features", "--tape-disk '2 GB'"]
    with pytest.raises(InputError, match="no size"):
        ComputeTarget(tape_disk="much")
