import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner, Result

from search_spaces.protocol.scales import SCALES
from study.cli import main
from study.core.manifest import MANIFEST
from study.core.store import Store
from tests.study.tiny_cli import TINY, called, make_tiny_videos
from tests.trainers.public_files import torchvision_file
from trainers.networks.backbones import Backbone

TINY_RUN = ("run", "table3", "--local", "--threads", "1", "--no-mlflow", "--scale", "tiny")
Call = Callable[..., Result]


@pytest.fixture(autouse=True)
def _tiny_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCALES, "tiny", TINY)
    monkeypatch.delenv("FREELUNCH_HOME", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(autouse=True)
def _same_threads_afterwards() -> object:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    make_tiny_videos(folder)
    return folder


@pytest.fixture
def own_videos(videos: Path, tmp_path: Path) -> Path:
    """Videos to do harm to."""
    return Path(shutil.copytree(videos, tmp_path / "own"))


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """The command line on a fresh home."""
    return lambda *arguments: called(tmp_path / "home", *arguments)


@pytest.fixture(scope="module")
def finished(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which all of table3 was run at the tiny scale, on a dataset called tiny."""
    home = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SCALES, "tiny", TINY)
        assert called(home, "ingest", "cholec80", str(videos), "--name", "tiny", "--scale", "tiny").exit_code == 0
        result = called(home, *TINY_RUN, "--dataset", "tiny")
    assert result.exit_code == 0, result.output
    return home


def refused(result: Result, exit_code: int, *parts: str) -> None:
    """The command ended with one sentence on standard error that holds all of these."""
    assert result.exit_code == exit_code, result.output
    errors = [line for line in result.stderr.strip().splitlines() if not line.startswith(("Usage", "Try"))]
    assert len([line for line in errors if line]) == 1, result.stderr
    assert "Traceback" not in result.output
    for part in parts:
        assert part in result.stderr


# What a user gets wrong


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("plan", "tabel3"), ("no study named 'tabel3'", "did you mean 'table3'?")),
        (("plan", "table3", "--preset", "corected"), ("no preset named 'corected'", "did you mean 'corrected'?")),
        (("plan", "table3", "--scale", "dmeo"), ("no scale named 'dmeo'", "did you mean 'demo'?")),
        (("plan", "table3"), ("no dataset named 'cholec80' (registered: none)", "home ingest cholec80 FOLDER")),
        (("plan", "table3", "--dataset", "nope"), ("no dataset named 'nope'",)),
        (("plan", "table3", "--set", "temperature"), ("--set temperature is not NAME=VALUE",)),
        (("plan", "table3", "--set", "=3"), ("--set =3 is not NAME=VALUE",)),
        (("plan", "table3", "--seeds", "0"), ("--seeds",)),
        (("run", "table3"), ("no dataset named 'cholec80'",)),
        (("run", "table3", "--local", "--workers", "2"), ("--workers 2 needs Ray", "leave --local out")),
        (("run", "table3", "--gpus-per-worker", "nan"), ("--gpus-per-worker = nan", "whole GPUs")),
        (("run", "table3", "--local", "--address", "10.0.0.1:6379"), ("give one of them",)),
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
        (("ingest", "cholec81", "/nowhere"), ("'cholec81' is not one of 'cholec80', 'm2cai16'",)),
        (("ingest", "cholec80", "/nowhere", "--scale", "dmeo"), ("no scale named 'dmeo'",)),
        (("synthesize", "/nowhere", "--minutes", "-1"), ("minutes",)),
    ],
)
def test_a_wrong_request_is_one_sentence_and_exit_code_2(call: Call, arguments: tuple[str, ...], parts: tuple[str]):
    refused(call(*arguments), 2, *parts)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--row", "haed"), ("study table3 has no row 'haed'", "did you mean 'head'?")),
        (("--set", "temprature=1"), ("no hyperparameter 'temprature'", "did you mean 'temperature'?")),
        (("--set", "queue_size=big"), ("queue_size=big does not fit: queue_size takes a whole number or none.",)),
        (("--set", "temperature=nan"), ("temperature=nan does not fit",)),
        (("--set", "temperature=-1"), ("temperature is -1.0: τ must be positive.",)),
        (("--set", "queue_size=33"), ("queue_size is 33: K must be a multiple of the batch size 8",)),
        (("--set", "split=offical"), ("split takes one of selection, official",)),
        (("--set", "teacher_trains=head"), ("teacher_trains is what study table3 varies", "--row")),
    ],
)
def test_a_wrong_row_or_setting_is_one_sentence_and_exit_code_2(
    finished: Path, options: tuple[str, ...], parts: tuple[str]
):
    refused(called(finished, "plan", "table3", "--scale", "tiny", "--dataset", "tiny", *options), 2, *parts)


def test_a_video_without_annotation_is_named(call: Call, own_videos: Path):
    (own_videos / "phase_annotations" / "video02-phase.txt").unlink()
    refused(call("ingest", "cholec80", str(own_videos)), 2, "video02.mp4 has no annotation")


def test_unlabelled_videos_are_ingested_beside_the_annotated_ones(call: Call, own_videos: Path, tmp_path: Path):
    more = tmp_path / "more"
    more.mkdir()
    (own_videos / "videos" / "video04.mp4").rename(more / "of ours.mp4")
    (own_videos / "phase_annotations" / "video04-phase.txt").unlink()
    arguments = ("ingest", "cholec80", str(own_videos), "--unlabelled", str(more), "--name", "ours", "--scale", "tiny")
    result = call(*arguments, "--threads", "1")
    assert result.exit_code == 0
    assert "of ours" in result.output
    planned = call("plan", "table3", "--dataset", "ours", "--scale", "tiny")
    assert "1 unlabelled" in planned.output


def test_a_truncated_video_is_named(call: Call, own_videos: Path):
    video = own_videos / "videos" / "video03.mp4"
    video.write_bytes(video.read_bytes()[:-1000])
    refused(call("ingest", "cholec80", str(own_videos)), 2, "video03.mp4 is truncated", "copy it again")


def test_an_unknown_phase_fails_its_video_by_file_and_line_and_the_others_are_stored(call: Call, own_videos: Path):
    annotation = own_videos / "phase_annotations" / "video02-phase.txt"
    lines = annotation.read_text().splitlines()
    annotation.write_text("\n".join([*lines[:7], "6\tPreparatoin", *lines[8:]]))
    result = call("ingest", "cholec80", str(own_videos), "--scale", "tiny", "--threads", "1")
    assert result.exit_code == 1
    assert f"failed: {annotation}:8 names the unknown phase 'Preparatoin': did you mean 'Preparation'?" in result.output
    assert result.output.count(" done in ") == 3
    assert "Traceback" not in result.output
    last = result.output.strip().splitlines()[-1]
    assert last.startswith("next: mend the videos that failed, then type again: freelunch --home ")


@pytest.mark.parametrize(
    "command", [("run", "table3"), ("plan", "table3", "--scale", "tiny"), ("ingest", "cholec80", "/tmp")]
)
def test_a_home_that_cannot_be_written_is_one_sentence_and_exit_code_3(tmp_path: Path, command: tuple[str, ...]):
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", Path("/proc/freelunch")):
        refused(called(home, *command), 3, "cannot be written", "--home or FREELUNCH_HOME")


def test_damage_is_found_named_and_mended(finished: Path, tmp_path: Path):
    home = Path(shutil.copytree(finished, tmp_path / "home"))
    store = Store(home)
    videos = [m.key for m in store.manifests() if m.title == "Video video01"]
    summary = next(home.glob("artifacts/*/summary.json"))
    frames = home / "artifacts" / videos[0] / "frames.arrow"
    for path in (summary, frames):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    result = called(home, "verify")
    assert result.exit_code == 3
    assert "Traceback" not in result.output
    assert (
        result.stderr.count(f"is damaged (its content changed): remove it with `freelunch --home {home} remove ") == 2
    )
    for key in (videos[0], summary.parent.name):
        assert called(home, "remove", key[:12]).output == f"removed {key}\n"
    assert called(home, *TINY_RUN, "--dataset", "tiny").exit_code == 0
    assert called(home, "verify").exit_code == 0


def test_a_damaged_manifest_in_the_plan_is_exit_code_3(finished: Path, tmp_path: Path):
    home = Path(shutil.copytree(finished, tmp_path / "home"))
    next(home.glob(f"artifacts/*/{MANIFEST}")).write_text("{")
    refused(called(home, "plan", "table3", "--scale", "tiny", "--dataset", "tiny"), 3, "manifest.json is damaged")


def test_a_damaged_request_is_exit_code_3(call: Call, tmp_path: Path):
    (tmp_path / "home" / "studies" / "table3").mkdir(parents=True)
    (tmp_path / "home" / "studies" / "table3" / "request.json").write_text("{")
    refused(call("status"), 3, "request.json is damaged")


# What a user asks


def test_help_needs_neither_torch_nor_numpy_nor_rich():
    code = (
        "import sys\nfrom study.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'numpy', 'rich', 'scipy', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "freelunch run table3 --scale demo" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("name", [None, *main.commands])
def test_the_help_of_every_command_shows_an_example(name: str | None):
    result = CliRunner().invoke(main, ["--help"] if name is None else [name, "--help"])
    assert result.exit_code == 0
    assert f"        freelunch {name or 'run'}" in result.output.replace("      freelunch", "        freelunch")


def test_every_option_is_explained():
    for command in main.commands.values():
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, f"{command.name} {option.name}"


def test_studies_are_listed(call: Call):
    listed = call("list").output
    for name in ("table1", "table2", "table3", "fig3", "lambda", "temperature", "queue", "seeds", "paper"):
        assert f"\n{name} " in listed
    (table3,) = (study for study in json.loads(call("list", "--json").output)["studies"] if study["name"] == "table3")
    assert [row["name"] for row in table3["rows"]][:4] == ["none", "head", "backbone", "all"]


def test_without_datasets_the_way_to_one_is_shown(call: Call):
    assert "next: freelunch --home" in call("datasets").output
    assert json.loads(call("datasets", "--json").output) == []


def test_records_parse_as_json(finished: Path):
    (dataset,) = json.loads(called(finished, "datasets", "--json").output)
    assert (dataset["name"], dataset["videos"]) == ("tiny", 4)
    plan = json.loads(called(finished, "plan", "table3", "--scale", "tiny", "--dataset", "tiny", "--json").output)
    assert len(plan["trials"]) == 8
    assert plan["missing"] == []
    status = json.loads(called(finished, "status", "--json").output)["table3"]
    assert {trial["state"] for trial in status["trials"]} == {"done"}
    assert not status["resumable"]


def test_a_plan_says_what_is_shared_cached_and_next(finished: Path):
    output = called(finished, "plan", "table3", "--scale", "tiny", "--dataset", "tiny", "--seeds", "2").output
    assert "16 trials need" in output
    assert "majority, seed 0 and majority, seed 1 are one trial" in output
    assert output.strip().splitlines()[-1] == (
        f"next: freelunch --home {finished} run table3 --scale tiny --dataset tiny --seeds 2"
    )


def test_public_weights_get_a_name_and_must_fit_the_scale(finished: Path, tmp_path: Path):
    home = Path(shutil.copytree(finished / "datasets", tmp_path / "home" / "datasets")).parent
    assert "next: freelunch --home" in called(home, "weights").output
    file, _ = torchvision_file(tmp_path / "network.pth", Backbone(architecture="resnet18"))
    added = called(home, "weights", "add", str(file), "--name", "public")
    assert added.output.startswith("public: resnet18, of unknown origin (SHA-256 ")
    assert "resnet18" in called(home, "weights").output
    tiny = ("plan", "table3", "--scale", "tiny", "--dataset", "tiny", "--weights")
    refused(called(home, *tiny, "public"), 2, "'public' are a resnet18, but scale tiny trains resnet10")
    refused(called(home, *tiny, "pubic"), 2, "no weights named 'pubic' (registered: public)")
    refused(called(home, "weights", "add", "/nowhere.pth", "--name", "x"), 3, "/nowhere.pth")


# All of table3


def test_all_of_table3_runs_and_reports(finished: Path):
    (folder,) = (finished / "studies" / "table3").glob("*/")
    for name in ("report.html", "report.md", "results.json", "table.csv"):
        assert (folder / name).stat().st_size > 0
    results = json.loads((folder / "results.json").read_text())
    assert len(results["rows"]) == 8
    assert "backbone frozen, head trained" in called(finished, "report", "table3").output


def test_a_second_run_computes_nothing(finished: Path):
    before = {path: path.stat().st_mtime_ns for path in finished.glob("artifacts/*/*")}
    result = called(finished, *TINY_RUN, "--dataset", "tiny")
    assert result.exit_code == 0
    assert "nothing to do" in result.output
    assert " done in " not in result.output
    assert {path: path.stat().st_mtime_ns for path in finished.glob("artifacts/*/*")} == before


def test_logs_are_found_by_row_and_by_key(finished: Path):
    listed = called(finished, "logs", "table3/head").output
    assert "Pretrain DistilledMoCo" in listed
    key = next(line.split()[-3] for line in listed.splitlines() if "DistilledMoCo" in line)
    assert "python" in called(finished, "logs", key).output
    refused(called(finished, "logs", "table3/haed"), 2, "no row 'haed'; did you mean 'head'?")
    refused(called(finished, "logs", "nokey"), 2, "no stage has a key that begins with 'nokey'")


def test_another_setting_is_another_report_and_shares_what_it_can(finished: Path, tmp_path: Path):
    home = Path(shutil.copytree(finished, tmp_path / "home"))
    options = ("--dataset", "tiny", "--row", "head", "--set", "distillation_weight=2")
    result = called(home, *TINY_RUN, *options)
    assert result.exit_code == 0
    assert result.output.count(" done in ") == 8
    assert len(list((home / "studies" / "table3").glob("*/"))) == 2


def test_a_failing_row_is_exit_code_1_and_the_others_are_reported(finished: Path, tmp_path: Path):
    home = Path(shutil.copytree(finished, tmp_path / "home"))
    settings = ("--set", "learning_rate=1e30", "--row", "head", "--row", "public")
    result = called(home, *TINY_RUN, "--dataset", "tiny", *settings)
    assert result.exit_code == 1, result.output
    assert "failed: the loss became" in result.output
    assert "8 stages that need it are left out" in result.output
    assert result.output.strip().splitlines()[-1].startswith("next: mend what failed, then type again: freelunch")
    status = json.loads(called(home, "status", "--json").output)["table3"]
    assert [trial["state"] for trial in status["trials"]] == ["failed", "done"]


# Interrupted


LONG = ("--dataset", "tiny", "--row", "head", "--set", "student_epochs=25")


def test_published_numbers_beside_other_settings_are_told_apart(finished: Path):
    asked = ("plan", "table3", "--scale", "tiny", "--dataset", "tiny")
    said = "Published numbers are of the paper's settings"
    assert said not in called(finished, *asked).output
    assert said in called(finished, *asked, "--set", "distillation_weight=2").output
    assert said not in called(finished, "plan", "seeds", *asked[2:], "--set", "distillation_weight=2").output


@pytest.fixture(scope="module")
def undisturbed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which one row with a longer student was run from the first stage to the last."""
    home = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(finished / "datasets", home / "datasets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SCALES, "tiny", TINY)
        assert called(home, *TINY_RUN, *LONG).exit_code == 0
    return home


def contents(home: Path) -> dict[str, dict[str, tuple[int, str]]]:
    """Size and digest of every file of every artifact but its log, by key."""
    return {
        manifest.key: {name: known for name, known in manifest.files.items() if name != "log.txt"}
        for manifest in Store(home).manifests()
    }


def student_key(home: Path) -> str:
    return next(m.key for m in Store(home).manifests() if m.title == "Pretrain DistilledMoCo")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_students_run_goes_on_to_bit_identical_results(
    undisturbed: Path, tmp_path: Path, number: signal.Signals
):
    home = tmp_path / "home"
    shutil.copytree(undisturbed / "datasets", home / "datasets")
    script = Path(__file__).parents[1] / "tiny_cli.py"
    process = subprocess.Popen(
        [sys.executable, str(script), "--home", str(home), *TINY_RUN, *LONG],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    checkpoint = home / "unfinished" / student_key(undisturbed) / "checkpoint.pt"
    deadline = time.monotonic() + 60
    while not checkpoint.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(number)
    _, errors = process.communicate()
    assert Store(home).find(student_key(undisturbed)) is None, "it was interrupted too late"
    options = "--threads 1 --no-mlflow --scale tiny --dataset tiny --set student_epochs=25 --row head"
    command = f"freelunch --home {home} run table3 --local {options}"
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert errors.strip() == f"interrupted; nothing is lost. To go on, type: {command}"
    status = json.loads(called(home, "status", "--json").output)["table3"]
    assert status["trials"][0]["state"] == "interrupted"
    assert f"next: {command}" in called(home, "status").output
    result = called(home, *command.split()[3:])
    assert result.exit_code == 0, result.output
    assert "Pretrain DistilledMoCo" in result.output
    assert "goes on where it was interrupted" in result.output
    assert contents(home) == contents(undisturbed)
