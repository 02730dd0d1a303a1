"""Command for networks that leave: export."""

from pathlib import Path

import click

from study.cli.context import HomeContext, existing_store
from study.cli.endings import interruptible, print_next
from study.cli.group import main
from study.cli.values import Line, Location
from study.home.commands import with_home

FORMAT_CHOICES = ("torchvision", "timm", "safetensors", "moco", "onnx")
PART_CHOICES = ("student", "teacher", "classifier", "pipeline")


@main.command()
@click.argument("trial", type=Line())
@click.option("--format", "format_name", type=click.Choice(FORMAT_CHOICES), required=True, help="Format of the files.")
@click.option(
    "--part", type=click.Choice(PART_CHOICES), default="student", show_default=True, help="Which networks of the trial."
)
@click.option("--output", type=Location(), help="Folder to write; exports/STUDY-ROW-PART-FORMAT where not given.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in that folder.")
@click.pass_obj
def export(context: HomeContext, trial: str, format_name: str, part: str, output: Path | None, overwrite: bool) -> None:
    """Export the networks of a finished trial as files that other software loads, with a model card.

    TRIAL is that of `predict`. The student and the teacher are networks from images to features (for moco with their
    heads), the classifier is the student fine-tuned on labelled frames, and the pipeline is the classifier and the
    temporal model. README.md in the folder says how to load the files, what images they take, how good they are, and
    whose weights they come from.

    \b
    Examples:
        freelunch export table3/head --format timm
        freelunch export table3/head --format onnx --part pipeline --output phases-onnx
        freelunch export table3/head --format moco --part teacher
    """
    from study.cli.exporting import ExportRequest, export_trial

    existing_store(context)
    asked = ExportRequest(trial=trial, format_name=format_name, part=part, output=output, overwrite=overwrite)
    with interruptible(with_home(asked.command, context.home)):
        folder = export_trial(context.home, asked)
    print_next(f"read {folder / 'README.md'}")
