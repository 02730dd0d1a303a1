"""Commands for videos and stored stages: synthesize, ingest, datasets, remove, verify."""

import json
import shlex
import sys
from pathlib import Path

import click

from study.cli.context import HomeContext, existing_store
from study.cli.endings import EXIT_ENVIRONMENT, EXIT_TRIAL_FAILED, exit_code, interruptible, print_error, print_next
from study.cli.group import main
from study.cli.options import LARGEST_SEED, json_option, threads_option
from study.cli.values import Count, Line, Location, Number
from trainers.stage import InputError, MachineError

MOST_VIDEOS, MOST_MINUTES = 10_000, 24 * 60
SHORTEST_KEY = 4
"""Characters of a key that `remove` asks for at least: a single one may name a stage by chance."""


@main.command()
@click.argument("folder", type=Location())
@click.option("--videos", type=Count(1, MOST_VIDEOS), default=16, show_default=True, help="Number of videos.")
@click.option(
    "--minutes",
    type=Number(0, MOST_MINUTES, min_open=True),
    default=1.0,
    show_default=True,
    help="Mean length of a video.",
)
@click.option(
    "--seed", type=Count(-LARGEST_SEED, LARGEST_SEED), default=0, show_default=True, help="Another seed, other videos."
)
@click.option(
    "--layout",
    type=click.Choice(["cholec80", "m2cai16", "autolaparo", "heichole", "cholect50", "frames"]),
    help="The data set whose layout of files they have; cholec80 where not given.",
)
@click.option(
    "--hospital",
    type=click.Choice(["first", "second", "planted", "null"]),
    default="first",
    show_default=True,
    help="The second has eight phases, 29.97 fps, another camera and other instruments. In planted and null, it is "
    "known what tells the phases (docs/statistics.md).",
)
@click.pass_obj
def synthesize(
    context: HomeContext, folder: Path, videos: int, minutes: float, seed: int, layout: str | None, hospital: str
) -> None:
    """Make surgical-like videos: real files and annotations, laid out like Cholec80 or another data set.

    For every hospital but the first, the description by which `ingest` reads the videos is written beside them.

    \b
    Examples:
        freelunch synthesize /tmp/videos --videos 16 --minutes 1
        freelunch synthesize /tmp/autolaparo --layout autolaparo
        freelunch synthesize /tmp/second --hospital second
    """
    from study.cli.videos import make_laid_out, make_videos
    from trainers.data.synthetic.hospitals import HOSPITALS

    source, place = HOSPITALS[hospital], shlex.quote(str(folder))
    if layout and source.description:
        raise InputError(
            f"--layout {layout} is for videos of the first hospital, which those of hospital {hospital} are not: they "
            "have a description of their own; leave one of the two options out."
        )
    options = f"--videos {videos} --minutes {minutes:g} --seed {seed}"
    options += f" --layout {layout}" if layout else ""
    options += f" --hospital {hospital}" if source.description else ""
    with interruptible(f"freelunch synthesize {place} {options}"):
        if source.description:
            make_videos(folder, videos, minutes, seed, source)
        else:
            make_laid_out(folder, videos, minutes, seed, layout or "cholec80")
    described = f"{layout or 'cholec80'} {place}"
    if source.description:
        described = shlex.quote(str(folder / source.description_file))
    print_next(f"{context.program} ingest {described} --name NAME")


@main.command()
@click.argument("description", type=Line())
@click.argument("root", type=Location(), required=False)
@click.option("--name", type=Line(), help="What to call the dataset; the description's name where not given.")
@click.option(
    "--fps",
    type=Number(0, 1000, min_open=True),
    help="The rate of frames that were cut out already; the description's where not given.",
)
@click.option(
    "--unlabelled",
    type=Location(),
    metavar="FOLDER",
    help="Further videos without annotations, for pre-training alone.",
)
@click.option(
    "--scale",
    type=Line(),
    default="full",
    show_default=True,
    help="The sizes to store frames at: full, small, or demo.",
)
@click.option("--dry-run", is_flag=True, help="End after the audit, with the time and disk that are expected.")
@click.option(
    "--address", type=Line(), envvar="RAY_ADDRESS", help="Store the videos on this Ray cluster (also RAY_ADDRESS)."
)
@threads_option
@click.pass_obj
def ingest(
    context: HomeContext,
    description: str,
    root: Path | None,
    name: str | None,
    fps: float | None,
    unlabelled: Path | None,
    scale: str,
    dry_run: bool,
    address: str | None,
    threads: int | None,
) -> None:
    """Audit a dataset, register it and cut its frames: one stage per video, stored once.

    DESCRIPTION is a file that ends in .toml (docs/datasets.md), or the name of one that is built in: cholec80, m2cai16,
    autolaparo, heichole, cholect50 or frames. ROOT is the folder of the data; the description's own where not given.

    Every file is looked at first: errors end the command before anything is computed, warnings do not. Then several
    videos are stored at once, as many as there are CPU cores, or tasks on the cluster at --address.

    \b
    Examples:
        freelunch ingest cholec80 /data/cholec80
        freelunch ingest m2cai16 /data/m2cai16-workflow --name m2cai16
        freelunch ingest cholec80 /data/annotated --unlabelled /data/more-videos --name ours
        freelunch ingest frames /data/cut-out --name ours --fps 1
        freelunch ingest ours.toml
        freelunch ingest cholec80 /data/cholec80 --dry-run
    """
    from study.cli.videos import IngestRequest, ingest_videos, next_command
    from trainers.data.datasets import description as descriptions

    described = descriptions.find(description)
    described = described if fps is None else described.at_rate(fps)
    asked = IngestRequest(
        name=name or described.name,
        described=described,
        root=descriptions.root_of(described, root),
        unlabelled=unlabelled,
        scale=scale,
        threads=threads,
        address=address,
        dry_run=dry_run,
    )
    name = asked.name
    place = shlex.quote(described.source) + (f" {shlex.quote(str(root))}" if root else "")
    more = f" --fps {fps:g}" if fps else ""
    more += f" --unlabelled {shlex.quote(str(unlabelled))}" if unlabelled else ""
    more += f" --address {shlex.quote(address)}" if address else ""
    command = f"{context.program} ingest {place}{more} --name {name} --scale {scale}"
    with interruptible(command):
        all_stored = ingest_videos(context.home, asked)
    if not all_stored:
        print_next(f"fix the videos that failed, then run again: {command}")
        sys.exit(EXIT_TRIAL_FAILED)
    if dry_run:
        print_next(command)
        return
    print_next(next_command(context.home, name, scale, context.program))


@main.group(invoke_without_command=True)
@json_option
@click.pass_context
def datasets(click_context: click.Context, as_json: bool) -> None:
    """The datasets: what of them is stored, and what failed.

    \b
    Examples:
        freelunch datasets
        freelunch datasets show cholec80
    """
    if click_context.invoked_subcommand is not None:
        return
    from study.cli.dataset_pages import dataset_records
    from study.console.data_tables import datasets_table, failed_videos
    from study.console.terminal import new_console

    context: HomeContext = click_context.obj
    records, faults = dataset_records(context.home)
    for fault in faults:  # the others are shown nevertheless
        print_error(fault, context)
    if as_json:
        click.echo(json.dumps(records, indent=1))
    elif records:
        new_console().print(datasets_table(records), *failed_videos(records), sep="\n", highlight=False)
    elif not faults:
        click.echo(f"no dataset is registered in {context.home}; `--scale demo` makes its own.")
        print_next(f"{context.program} ingest cholec80 FOLDER")
    if faults:
        sys.exit(max(map(exit_code, faults)))


@datasets.command("show")
@click.argument("name", type=Line())
@click.option("--output", type=Location(), metavar="FILE", help="The file to write, instead of one in the home folder.")
@click.pass_obj
def show_dataset(context: HomeContext, name: str, output: Path | None) -> None:
    """Write a page on a dataset: frames of every video, phases over time, what the audit found.

    The page shows frames of patients: keep it as safe as the videos.

    \b
    Example:
        freelunch datasets show cholec80
    """
    from study.cli.dataset_pages import write_page

    click.echo(f"{write_page(context.home, name, output)} shows frames of patients: keep it as safe as the videos.")


@main.command()
@click.argument("key", type=Line())
@click.pass_obj
def remove(context: HomeContext, key: str) -> None:
    """Remove a stage, so that it is computed from its beginning when it is next needed.

    \b
    Example:
        freelunch remove 3f2a91bc
    """
    store = existing_store(context, writing=True)
    if len(key) < SHORTEST_KEY:
        raise InputError(
            f"{key!r} is too short to remove a stage by: give {SHORTEST_KEY} characters of its key or more."
        )
    whole = store.key_beginning(key)
    store.remove(whole)
    click.echo(f"removed {whole}")


@main.command()
@click.pass_obj
def verify(context: HomeContext) -> None:
    """Compare every file of every finished stage with the digest it was published with.

    \b
    Example:
        freelunch verify
    """
    store = existing_store(context)
    finished = [key for key in store.stage_keys() if store.find(key)]
    damaged = 0
    for key in finished:
        try:
            store.check(key, whole=True)
        except MachineError as error:
            damaged += 1
            print_error(error, context)
    if damaged:
        sys.exit(EXIT_ENVIRONMENT)
    click.echo(f"{len(finished)} finished stages, all whole")
