"""Commands for new videos by the models of a finished trial: predict, embed."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from study.cli.context import HomeContext, existing_store
from study.cli.endings import EXIT_TRIAL_FAILED, interruptible, print_next
from study.cli.group import main
from study.cli.options import MOST_GPUS, Command, threads_option, with_options
from study.cli.values import Line, Location, Number
from study.cli.video_request import VideoRequest
from study.home.commands import with_home

if TYPE_CHECKING:
    from study.cli.products import Product

MOST_FPS = 1000


class VideoValues(TypedDict):
    """Values of `video_options`."""

    trial: str
    videos: tuple[Path, ...]
    output: Path
    fps: float | None
    keep_frames: bool
    gpus_per_worker: float | None
    threads: int | None


def video_options(verb: str, output: str) -> Callable[[Command], Command]:
    """Adds what decides about new videos; the command gets it as `asked`.

    Args:
        verb: name of the command.
        output: the folder that is written to where none is given.
    """

    def build(values: VideoValues) -> VideoRequest:
        return VideoRequest(verb=verb, **values)

    def decorate(command: Command) -> Command:
        options = (
            click.argument("trial", type=Line()),
            click.argument("videos", type=Location(), nargs=-1, required=True, metavar="VIDEO..."),
            click.option(
                "--output", type=Location(), default=Path(output), show_default=True, help="Folder to write to."
            ),
            click.option("--fps", type=Number(0, MOST_FPS, min_open=True), help="Rate of images, where VIDEO is some."),
            click.option("--keep-frames", is_flag=True, help="Keep frames and features in the home folder."),
            click.option("--gpus-per-worker", type=Number(0, MOST_GPUS), help="One where there are any; 0 for none."),
            threads_option,
        )
        return with_options(command, options, "asked", VideoValues.__annotations__, build)

    return decorate


@main.command()
@video_options("predict", "predictions")
@click.pass_obj
def predict(context: HomeContext, asked: VideoRequest) -> None:
    """Predict the phases of new videos with the models of a finished trial.

    TRIAL is STUDY/ROW, or the beginning of the key of its temporal model or of a later stage. VIDEO is a file, a folder
    of videos, or a folder of images with --fps. For every video there is a table with the phase of every row and its
    probability (NAME.parquet), a picture (NAME.png) and a phase file in Cholec80's format (NAME-phase.txt).

    \b
    Examples:
        freelunch predict table3/head operation.mp4
        freelunch predict table3/head /data/new-videos --output phases
        freelunch predict 3f2a91bc /data/frames/operation7 --fps 1
    """
    from study.cli.products import Predictions

    _process(context, asked, Predictions())


@main.command()
@video_options("embed", "features")
@click.pass_obj
def embed(context: HomeContext, asked: VideoRequest) -> None:
    """Write the features of new videos, as the temporal model of a finished trial reads them, as Parquet.

    TRIAL and VIDEO are those of `predict`.

    \b
    Example:
        freelunch embed table3/head /data/new-videos --output features
    """
    from study.cli.products import Features

    _process(context, asked, Features())


def _process(context: HomeContext, asked: VideoRequest, product: "Product") -> None:
    from study.cli.predicting import process_videos

    existing_store(context)
    command = with_home(asked.command, context.home)
    with interruptible(command):
        all_well = process_videos(context.home, asked, product)
    if not all_well:
        print_next(f"fix the videos that failed, then run again: {command}")
        sys.exit(EXIT_TRIAL_FAILED)
