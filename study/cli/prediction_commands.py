"""Commands for predictions: evaluate."""

import json
from pathlib import Path

import click

from study.cli.group import main
from study.cli.options import json_option
from study.cli.values import Line, Location, Number

MOST_FPS = 1000.0
PROTOCOL_CHOICES = ("all", "strict", "relaxed_fixed", "relaxed_official")
FORMAT_CHOICES = ("frame-rows", "csv", "second-rows", "intervals")
ABSENT_CHOICES = ("undefined_if_absent", "undefined_if_empty", "scored")


@main.command()
@click.option("--predictions", type=Location(), required=True, help="Folder of predictions, a file per video.")
@click.option("--annotations", type=Location(), required=True, help="Folder of annotations, a file per video.")
@click.option(
    "--phases", type=Line(), required=True, metavar="NAME|FILE", help="cholec80, m2cai16, …, or a file of names."
)
@click.option(
    "--fps", type=Number(0, MOST_FPS, min_open=True), required=True, help="Rows per second of the predictions."
)
@click.option(
    "--protocol", type=click.Choice(PROTOCOL_CHOICES), default="all", show_default=True, help="How frames count."
)
@click.option("--against", type=Location(), metavar="DIR", help="Another folder of predictions to compare with.")
@click.option(
    "--relaxed-fps",
    type=Number(0, MOST_FPS, min_open=True),
    help="Rows per second that the relaxed window of 10 s assumes, if not --fps; in print it is 25 for rows at 5.",
)
@click.option(
    "--absent",
    type=click.Choice(ABSENT_CHOICES),
    default="undefined_if_absent",
    show_default=True,
    help="How a phase that a video lacks counts in strict metrics.",
)
@click.option(
    "--annotation-format", type=click.Choice(FORMAT_CHOICES), help="Format of annotations; found where not given."
)
@click.option(
    "--annotation-fps",
    type=Number(0, MOST_FPS, min_open=True),
    help="Rows per second of annotations; 25 or --fps, whichever fits, where not given.",
)
@json_option
def evaluate(
    predictions: Path,
    annotations: Path,
    phases: str,
    fps: float,
    protocol: str,
    against: Path | None,
    relaxed_fps: float | None,
    absent: str,
    annotation_format: str | None,
    annotation_fps: float | None,
    as_json: bool,
) -> None:
    """Evaluate anybody's predictions by the metrics of the studies, and compare them with others'.

    \b
    Examples:
        freelunch evaluate --predictions ours --annotations phase_annotations --phases cholec80 --fps 1
        freelunch evaluate --predictions ours --against theirs --annotations gt --phases names.txt --fps 5 --json
    """
    from study.cli.evaluating import EvaluationRequest, evaluate_folders
    from study.console.evaluation_tables import evaluation_record, evaluation_tables
    from study.console.terminal import new_console
    from trainers.artifacts.evaluation import PROTOCOLS

    evaluated = evaluate_folders(
        EvaluationRequest(
            predictions=predictions,
            annotations=annotations,
            phases=phases,
            fps=fps,
            protocols=PROTOCOLS if protocol == "all" else (protocol,),
            against=against,
            relaxed_fps=relaxed_fps,
            absent=absent,  # type: ignore[arg-type]  # click has checked it
            annotation_format=annotation_format,  # type: ignore[arg-type]
            annotation_fps=annotation_fps,
        )
    )
    if as_json:
        click.echo(json.dumps(evaluation_record(evaluated), indent=1, allow_nan=False))
        return
    console = new_console()
    for title, table in evaluation_tables(evaluated):
        console.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
        console.print(table, highlight=False)
        console.print()
    for note in evaluated.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
