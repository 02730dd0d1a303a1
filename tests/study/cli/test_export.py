"""`export`: networks of a finished trial as files, with a model card, whole or not at all."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from click.testing import Result
from safetensors.torch import load_file

from study.cli import export_commands, exporting
from study.cli.card_facts import CardFacts
from study.cli.exporting import is_export
from study.cli.history import known_asked_trials
from study.cli.trained_model import find_model, find_trial
from study.core.graph import inputs, key
from study.core.store import Store
from tests.study.tiny_cli import called
from tests.study.tiny_home import copy_of, done, refused, tiny_settings
from tests.trainers.export import parts
from tests.trainers.public_files import moco_file
from trainers.export.parts import PARTS
from trainers.export.writing import FORMATS
from trainers.pretrained import registry
from trainers.pretrained.release import Release
from trainers.recognition.finetune import FineTune
from trainers.ssl.encoders import read_weights
from trainers.stage import MachineError

ROW = "table3/head"


@pytest.fixture(scope="module")
def home(table3_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home in which table3 is finished."""
    with tiny_settings():
        yield copy_of(table3_home, tmp_path_factory.mktemp("table3"))


@pytest.fixture(scope="module")
def student(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of a student."""
    output = tmp_path_factory.mktemp("out") / "student"
    done(command(home, output))
    return output


def command(home: Path, output: Path, *options: str, trial: str = ROW, format_name: str = "safetensors") -> Result:
    return called(home, "export", trial, "--format", format_name, "--output", str(output), *options)


def tuned(home: Path) -> FineTune:
    return find_model(home, ROW).classifier


def weights(home: Path, stage: object) -> dict[str, dict[str, torch.Tensor]]:
    folder = Store(home).find(key(stage))
    assert folder is not None
    return read_weights(folder)


def test_the_command_offers_the_formats_and_parts_that_there_are():
    assert set(export_commands.FORMAT_CHOICES) == set(FORMATS)
    assert export_commands.PART_CHOICES == PARTS


def test_a_student_has_its_weights_to_the_bit(home: Path, student: Path):
    state = load_file(student / "model.safetensors")
    stored = weights(home, tuned(home).encoder)["query"]
    assert state
    for name, tensor in state.items():
        assert torch.equal(tensor, stored[f"backbone.{name}"])
    assert sorted(path.name for path in student.iterdir()) == ["README.md", "export.json", "model.safetensors"]


def test_a_teacher_is_the_one_that_taught_the_student(home: Path, tmp_path: Path):
    done(command(home, tmp_path / "out", "--part", "teacher"))
    state = load_file(tmp_path / "out" / "model.safetensors")
    encoder = tuned(home).encoder
    stored = weights(home, inputs(encoder)["method.teacher"])["query"]
    assert torch.equal(state["conv1.weight"], stored["backbone.conv1.weight"])
    assert not torch.equal(state["conv1.weight"], weights(home, encoder)["query"]["backbone.conv1.weight"])
    assert "the teacher itself was not tested" in (tmp_path / "out" / "README.md").read_text()


def test_a_card_says_what_the_files_are_and_where_they_come_from(home: Path, student: Path):
    card = (student / "README.md").read_text()
    record = json.loads((student / "export.json").read_text())
    for said in (
        "# Student of table3/head, seed 0, as safetensors",
        "RGB images of 24×24 pixels",
        "minus the mean 0.485, 0.456, 0.406",
        "- **preset**: corrected: ",
        "- **scale**: tiny: ",
        "- **data set**: tiny",
        "| teacher_trains | head |",
        "In place of free weights: networks trained on images that freelunch has drawn itself.",
        "freelunch run table3 --scale tiny --dataset tiny",
        "@inproceedings{ding2022free",
        "| Pretrain DistilledMoCo: frames | ",
        "Read back, the files differ by at most 0.0e+00",
    ):
        assert said in card, said
    for use in record["data"]:
        assert use["sha256"] in card
    assert len({use["sha256"] for use in record["data"]}) > 1
    assert str(home) not in card + json.dumps(record), "no folder of this machine"


def test_a_card_names_protocols_and_what_its_spread_is_over(home: Path, student: Path):
    card = (student / "README.md").read_text()
    (trial,) = [asked.trial for asked in known_asked_trials(home) if asked.trial.row.name == "head"]
    summary = json.loads((Store(home).find(key(trial.stage)) / "summary.json").read_text())
    entry = summary["strict"]["accuracy"]
    assert f"| strict | Accuracy | {entry['mean']:.1f} | {entry['std']:.1f} over videos |" in card
    assert "| relaxed, official | " in card
    assert "| strict, frame classifier alone | Accuracy | " in card
    assert json.loads((student / "export.json").read_text())["metrics"]["strict"]["accuracy"] == entry


@pytest.mark.parametrize("part", ["classifier", "pipeline"])
def test_what_knows_phases_lists_them(home: Path, tmp_path: Path, part: str):
    said = done(command(home, tmp_path / "out", "--part", part)).output
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"{ROW}, seed 0: {part} as safetensors in {tmp_path / 'out'}; read back" in said
    for index, phase in enumerate(find_model(home, ROW).like.phases):
        assert f"| {index} | {phase} |" in card
    assert ("It is causal" in card) == (part == "pipeline")


def test_mocos_format_holds_the_heads_of_a_trial(home: Path, tmp_path: Path):
    done(command(home, tmp_path / "out", format_name="moco"))
    state = torch.load(tmp_path / "out" / "checkpoint.pth.tar", weights_only=True)["state_dict"]
    stored = weights(home, tuned(home).encoder)
    assert torch.equal(state["module.encoder_q.fc.2.weight"], stored["query"]["head.output.weight"])
    assert torch.equal(state["module.encoder_k.fc.0.weight"], stored["key"]["head.hidden.weight"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--licence", "CC BY-NC 4.0"), "licence: CC BY-NC 4.0, as it was noted when they were registered"),
        ((), "licence: not noted; look it up where they are published"),
    ],
)
def test_a_card_names_the_weights_behind_it_with_their_licence(
    home: Path, tmp_path: Path, options: tuple[str, ...], said: str
):
    file, _ = moco_file(tmp_path / "free.pth.tar", parts.RESNET18)
    done(called(tmp_path / "home", "weights", "add", str(file), "--name", "free", *options))
    stage = registry.load(tmp_path / "home" / "weights", "free").encoder()
    facts = CardFacts(
        store=Store(tmp_path / "home"),
        found=find_trial(home, ROW),
        part=parts.student(parts.RESNET10, tmp_path),
        format_name="safetensors",
        stage=Release(encoder=stage),
    )
    first, videos, _ = facts.origin()
    assert first.startswith(f"Weights of others: free, of unknown origin (SHA-256 `{stage.digest}`); {said}")
    assert videos.startswith("Learned from videos of tiny: ")


def test_the_folder_is_named_after_the_trial_where_none_is_given(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    said = done(called(home, "export", ROW, "--format", "safetensors")).output
    assert (tmp_path / "exports" / "table3-head-student-safetensors" / "README.md").exists()
    assert "next: read exports/table3-head-student-safetensors/README.md" in said


def test_a_trial_is_named_by_a_key_as_for_predict(home: Path, tmp_path: Path):
    stage = find_model(home, ROW).temporal
    done(command(home, tmp_path / "out", trial=key(stage)[:12]))
    assert json.loads((tmp_path / "out" / "export.json").read_text())["preset"] == "corrected"


def test_nothing_is_overwritten_unless_it_is_asked_for(home: Path, student: Path, tmp_path: Path):
    output = Path(shutil.copytree(student, tmp_path / "out"))
    refused(command(home, output), 2, f"{output} holds an export already", "--overwrite")
    assert (output / "export.json").read_bytes() == (student / "export.json").read_bytes()
    done(command(home, output, "--part", "classifier", "--overwrite"))
    assert json.loads((output / "export.json").read_text())["part"] == "classifier"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_folders_of_others_are_never_replaced(home: Path, tmp_path: Path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    refused(command(home, tmp_path / "thesis", "--overwrite"), 2, "holds files that are no export")
    refused(command(home, tmp_path / "thesis" / "chapter.txt", "--overwrite"), 2, "is no folder")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    done(command(home, tmp_path / "empty"))


@pytest.mark.parametrize(("ending", "exit_code"), [(KeyboardInterrupt(), 130), (MachineError("it is hot."), 3)])
def test_what_is_interrupted_or_fails_leaves_what_was_there(
    home: Path,
    student: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: BaseException,
    exit_code: int,
):
    output = Path(shutil.copytree(student, tmp_path / "out"))

    def half_written(part: object, name: str, folder: Path, metadata: object) -> float:
        (folder / "model.safetensors").write_bytes(b"half")
        raise ending

    monkeypatch.setattr(exporting, "write_part", half_written)
    assert command(home, output, "--overwrite").exit_code == exit_code
    assert command(home, tmp_path / "new").exit_code == exit_code
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (output / "model.safetensors").read_bytes() == (student / "model.safetensors").read_bytes()
    assert is_export(output)


@pytest.mark.parametrize(
    ("trial", "options", "expected"),
    [
        ("table3/majority", (), "majority, seed 0 has no model"),
        ("table3/heads", (), "the last run of table3 has no row 'heads'"),
        ("table1/ours", (), "study 'table1' has not been run"),
        ("table3/moco", ("--part", "teacher"), "table3/moco, seed 0 has no teacher: its student is Pretrain MoCo"),
        ("0000", (), "no stage has a key that begins with '0000'"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    home: Path, tmp_path: Path, trial: str, options: tuple[str, ...], expected: str
):
    refused(command(home, tmp_path / "out", *options, trial=trial), 2, expected)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format_name", ["torchvision", "timm"])
def test_the_small_network_of_freelunch_is_refused_by_libraries_without_it(
    home: Path, tmp_path: Path, format_name: str
):
    said = f"format {format_name} cannot hold the student, a resnet10", "--format takes safetensors, moco or onnx"
    refused(command(home, tmp_path / "out", format_name=format_name), 2, *said)
    assert not (tmp_path / "out").exists()


def test_a_trial_that_is_not_finished_is_refused(home: Path, tmp_path: Path):
    copied = copy_of(home, tmp_path)
    (trial,) = [asked.trial for asked in known_asked_trials(copied) if asked.trial.row.name == "head"]
    store = Store(copied)
    store.remove(key(trial.stage))
    refused(command(copied, tmp_path / "out"), 2, f"{ROW} (head, seed 0) is not finished", "freelunch --home")
    store.remove(key(find_model(copied, ROW).temporal))
    refused(command(copied, tmp_path / "out"), 2, f"{ROW} (head, seed 0) is not trained yet")


def test_a_part_that_was_removed_or_damaged_is_refused(home: Path, tmp_path: Path):
    copied = copy_of(home, tmp_path)
    encoder = tuned(copied).encoder
    store = Store(copied)
    folder = store.find(key(encoder))
    (folder / "encoders.pt").write_bytes(b"x" + (folder / "encoders.pt").read_bytes()[1:])
    refused(command(copied, tmp_path / "out"), 3, "encoders.pt", "is damaged (its content changed)")
    store.remove(key(encoder))
    refused(command(copied, tmp_path / "out"), 2, f"the student (stage {key(encoder)[:12]}) is not stored any more")
    assert not (tmp_path / "out").exists()
