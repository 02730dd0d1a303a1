"""What a user gets wrong, and homes that cannot be used: one sentence, and an exit code that says whose fault it is."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from study.core.manifest import MANIFEST
from tests.study.tiny_cli import called
from tests.study.tiny_home import ASKED, copy_of, done, refused
from tests.trainers.public_files import torchvision_file
from trainers.networks.backbones import Backbone

pytestmark = pytest.mark.usefixtures("tiny_scale")
Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """The command line on a fresh home."""
    return lambda *arguments: called(tmp_path / "home", *arguments)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("plan", "tabel3"), ("no study or search named 'tabel3'", "did you mean 'table3'?")),
        (("plan", "table3", "--preset", "corected"), ("no preset named 'corected'", "did you mean 'corrected'?")),
        (("plan", "table3", "--scale", "dmeo"), ("no scale named 'dmeo'", "did you mean 'demo'?")),
        (("plan", "table3"), ("no dataset named 'cholec80' (registered: none)", "home ingest cholec80 FOLDER")),
        (("plan", "table3", "--dataset", "nope"), ("no dataset named 'nope'",)),
        (("plan", "table3", "--set", "temperature"), ("--set temperature is not NAME=VALUE",)),
        (("plan", "table3", "--set", "=3"), ("--set =3 is not NAME=VALUE",)),
        (("plan", "table3", "--seeds", "0"), ("--seeds",)),
        (("run", "table3"), ("no dataset named 'cholec80'",)),
        (("run", "table3", "--local", "--workers", "2"), ("--workers 2 needs Ray", "leave --local out")),
        (("run", "table3", "--gpus-per-worker", "1.5"), ("--gpus-per-worker = 1.5", "whole GPUs")),
        (("run", "table3", "--local", "--address", "10.0.0.1:6379"), ("give one of them",)),
        (("run", "table3", "--local", "--callback", "my:Own"), ("--callback my:Own is one of Ray Tune", "--local")),
        (("stop", "table3"), ("no run of table3 is going on",)),
        (("stop", "tabel3"), ("did you mean 'table3'?",)),
        (("status",), ("no study has been run",)),
        (("status", "tabel3"), ("did you mean 'table3'?",)),
        (("status", "table3"), ("study 'table3' has not been run", "home run table3")),
        (("report", "table3"), ("has not been run",)),
        (("logs", "3f2a"), ("there is no home folder", "--home")),
        (("logs", "table3/head"), ("has not been run",)),
        (("remove", "3f2a"), ("there is no home folder",)),
        (("verify",), ("there is no home folder",)),
        (("ingest", "cholec80", "/nowhere"), ("/nowhere is not a folder",)),
        (
            ("ingest", "cholec81", "/nowhere"),
            ("'cholec81' is not one of 'cholec80', 'm2cai16'", "did you mean 'cholec80'?"),
        ),
        (("ingest", "cholec80", "/nowhere", "--scale", "dmeo"), ("no scale named 'dmeo'",)),
        (("synthesize", "/nowhere", "--minutes", "-1"), ("minutes",)),
        (("plan", "table3", "--seeds", "1000000000"), ("--seeds", "1<=x<=1000")),
        (("search", "distilled", "--hours", "1e400"), ("--hours", "not a finite number")),
        (("ui", "--host", " "), ("--host", "is empty")),
        (("search", "distilled", "--storage", ""), ("--storage", "is empty")),
        (("weights", "add", "/dev/zero", "--name", "w"), ("/dev/zero is no file",)),
        (("weights", "add", "/etc", "--name", "w"), ("/etc is no file",)),
        (("weights", "add", "/etc/hostname", "--name", "a/b"), ("'a/b' cannot name weights",)),
        (("weights", "add", "/etc/hostname", "--name", "x" * 101), ("it has 101 characters, more than 100",)),
        (("weights", "add", "/etc/hostname", "--name", "e\u0301"), ("normal form C",)),
    ],
)
def test_a_wrong_request_is_one_sentence_and_exit_code_2(call: Call, arguments: tuple[str, ...], parts: tuple[str]):
    refused(call(*arguments), 2, *parts)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--row", "haed"), ("study table3 has no row 'haed'", "did you mean 'head'?")),
        (("--set", "temprature=1"), ("no hyperparameter 'temprature'", "did you mean 'temperature'?")),
        (("--set", "queue_size=big"), ("queue_size=big does not fit: queue_size takes a whole number (at least 1",)),
        (("--set", "temperature=nan"), ("temperature=nan does not fit",)),
        (("--set", "temperature=-1"), ("temperature=-1 does not fit: temperature takes a number (above 0",)),
        (("--set", "queue_size=33"), ("queue_size is 33: K must be a multiple of the batch size 8",)),
        (("--set", "split=offical"), ("split takes one of selection, official",)),
        (("--set", "teacher_trains=head"), ("teacher_trains is what study table3 varies", "--row")),
    ],
)
def test_a_wrong_row_or_setting_is_one_sentence_and_exit_code_2(
    tiny_home: Path, options: tuple[str, ...], parts: tuple[str]
):
    refused(called(tiny_home, "plan", "table3", *ASKED, *options), 2, *parts)


@pytest.mark.parametrize(
    "command", [("run", "table3"), ("plan", "table3", "--scale", "tiny"), ("ingest", "cholec80", "/tmp")]
)
def test_a_home_that_cannot_be_written_is_one_sentence_and_exit_code_3(tmp_path: Path, command: tuple[str, ...]):
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", Path("/proc/freelunch")):
        refused(called(home, *command), 3, "cannot be written", "--home or FREELUNCH_HOME")


@pytest.mark.parametrize("command", ["status", "weights", "datasets"])
def test_a_file_is_no_home_to_look_into(tmp_path: Path, command: str):
    (tmp_path / "file").touch()
    refused(
        called(tmp_path / "file", command), 3, "file cannot be written (Not a directory)", "--home or FREELUNCH_HOME"
    )


def test_a_damaged_manifest_in_the_plan_is_exit_code_3(tiny_home: Path, tmp_path: Path):
    home = copy_of(tiny_home, tmp_path)
    next(home.glob(f"artifacts/*/{MANIFEST}")).write_text("{")
    refused(called(home, "plan", "table3", *ASKED), 3, "manifest.json is damaged")


def test_a_damaged_request_is_exit_code_3(call: Call, tmp_path: Path):
    (tmp_path / "home" / "studies" / "table3").mkdir(parents=True)
    (tmp_path / "home" / "studies" / "table3" / "request.json").write_text("{")
    refused(call("status"), 3, "request.json is damaged")


def test_a_full_disk_is_one_sentence_and_the_same_command_succeeds_once_there_is_space(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file, _ = torchvision_file(tmp_path / "network.pth", Backbone(architecture="resnet18"))
    command = ("weights", "add", str(file), "--name", "public")

    def full(*arguments: object, **settings: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        refused(call(*command), 3, "the disk is full", "free some space and type the same command again")
    assert "no public weights are known" in call("weights").output
    done(call(*command))
