"""Export of a trial's networks: its parts found in the home folder, written in a format, with a model card."""

import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click

from study.cli.card_facts import CardFacts
from study.cli.card_page import describe_export
from study.cli.trained_model import KEY_SHOWN, FoundTrial, find_trial
from study.core.disk import translate_disk_errors
from study.core.graph import inputs, key
from study.core.store import Store
from study.home.files import parse_object
from study.home.new_folder import check_free, filling
from study.home.sharing import check_writable_output
from study.report.model_card import render_card
from trainers.evaluation.evaluate import Evaluate
from trainers.export.onnx_files import check_packages
from trainers.export.parts import Part, PartName, classifier_part, encoder_part, pipeline_part
from trainers.export.writing import check_holds, write_part
from trainers.ssl.encoders import EncoderStage
from trainers.stage import InputError, Stage

CARD, RECORD = "README.md", "export.json"
TEACHER = "method.teacher"
"""Path of the teacher among the inputs of the stage of a student that has one."""
EXPORTS = Path("exports")


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """Request for an export.

    Attributes:
        trial: the trial.
        format_name: the format.
        part: the part.
        output: the folder to write; None for one that is named after the rest.
        overwrite: whether to replace an earlier export.
    """

    trial: str
    format_name: str
    part: str
    output: Path | None
    overwrite: bool

    @property
    def folder(self) -> Path:
        """The folder to write."""
        name = re.sub(r"[^\w.=+-]+", "-", f"{self.trial}-{self.part}-{self.format_name}")
        return self.output or EXPORTS / name

    @property
    def command(self) -> str:
        """The command line that asks for this, without the home folder."""
        options = [f"--format {self.format_name}", f"--part {self.part}"]
        options += [f"--output {shlex.quote(str(self.output))}"] if self.output else []
        options += ["--overwrite"] if self.overwrite else []
        return " ".join(["freelunch", "export", shlex.quote(self.trial), *options])


def export_trial(home: Path, asked: ExportRequest) -> Path:
    """Writes a part of a trial and its card, whole or not at all; returns the folder.

    Raises:
        InputError: the trial is not finished or has no such part, the format cannot hold it, or the folder is taken.
        MachineError: packages or files are missing, or damaged, or the folder cannot be written.
    """
    check_free(asked.folder, overwrite=asked.overwrite, is_ours=is_export)
    check_writable_output(asked.folder.parent)
    store = Store(home, create=False)
    found = find_trial(home, asked.trial)
    _check_finished(store, found, asked.trial)
    part = load_part(store, found, asked.part)
    check_holds(part, asked.format_name)
    if asked.format_name == "onnx":
        check_packages()
    facts = CardFacts(
        store=store, found=found, part=part, format_name=asked.format_name, stage=_stage(found, part.name)
    )
    with translate_disk_errors(asked.folder.parent), filling(asked.folder) as folder:
        difference = write_part(part, asked.format_name, folder, facts.metadata())
        _write_beside(folder, facts, difference)
    click.echo(
        f"{found.model.label}: {asked.part} as {asked.format_name} in {asked.folder}; read back, it differs by at most "
        f"{difference:.1e} of the largest value"
    )
    return asked.folder


def is_export(folder: Path) -> bool:
    """Whether a folder holds an export of this command."""
    try:
        return {"part", "format", "files"} <= parse_object((folder / RECORD).read_bytes()).keys()
    except (OSError, ValueError):
        return False


def load_part(store: Store, found: FoundTrial, name: str) -> Part:
    """The networks of a part of a trial.

    Raises:
        InputError: the trial has no such part, or what it was made of is not stored any more.
        MachineError: an artifact is damaged.
    """
    assert name in get_args(PartName), "click has checked it"
    temporal, phases = found.model.temporal, found.model.like.phases
    if name in ("student", "teacher"):
        stage = _stage(found, name)
        assert isinstance(stage, EncoderStage), "a student's teacher is an encoder"
        size_px = temporal.training.input_px
        return encoder_part(name, stage, _folder(store, stage, name), size_px)  # type: ignore[arg-type]
    tuned = found.model.classifier
    encoder = _folder(store, tuned.encoder, "encoder") if tuned.features is not None else None
    classifier = classifier_part(tuned, _folder(store, tuned, "classifier"), phases, encoder)
    if name == "classifier":
        return classifier
    return pipeline_part(temporal, _folder(store, temporal, "temporal model"), classifier)


def _stage(found: FoundTrial, name: str) -> Stage:
    """The last stage of a part."""
    temporal = found.model.temporal
    encoder = found.model.encoder
    if name == "teacher":
        teacher = inputs(encoder).get(TEACHER)
        if teacher is None:
            raise InputError(
                f"{found.model.label} has no teacher: its student is {encoder.kind}; "
                "name a trial with one, or another --part."
            )
        return teacher
    if name == "classifier":
        return found.model.classifier
    return {"student": encoder, "pipeline": temporal}[name]


def _folder(store: Store, stage: Stage, what: str) -> Path:
    """The artifact of a stage, all of its files compared with the manifest."""
    if store.find(key(stage)) is None:
        raise InputError(
            f"the {what} (stage {key(stage)[:KEY_SHOWN]}) is not stored any more: run the study again, which computes "
            "what is missing."
        )
    return store.check(key(stage), whole=True)


def _check_finished(store: Store, found: FoundTrial, target: str) -> None:
    stage = found.trial.stage
    if isinstance(stage, Evaluate) and store.find(key(stage)) is None:
        raise InputError(
            f"{target} ({found.trial.label}) is not finished: its test videos are not evaluated yet; run its study "
            "first; `freelunch status` shows the command."
        )


def _write_beside(folder: Path, facts: CardFacts, difference: float) -> None:
    """Writes the card and the record beside the files of a format."""
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    record: Mapping[str, Any] = {**facts.record(), "read_back_difference": difference, "files": files}
    (folder / CARD).write_text(render_card(describe_export(facts, files, difference)), encoding="utf-8")
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
