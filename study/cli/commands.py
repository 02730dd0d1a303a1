"""The commands: what a user types, and what is printed.

Everything but click is imported inside the commands, so that `freelunch --help` answers at once.
"""

import errno
import json
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from trainers.stage import InputError, MachineError

if TYPE_CHECKING:
    from study.request import Request
    from study.spec import Study

EXIT_TRIAL_FAILED, EXIT_USAGE, EXIT_ENVIRONMENT, EXIT_INTERRUPTED = 1, 2, 3, 130
THE_MACHINES_FAULT = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE}


class Commands(click.Group):
    """A group whose commands end with one clear sentence, not a traceback, when their user can mend what is wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(EXIT_ENVIRONMENT if isinstance(error, MachineError) else EXIT_USAGE)
        except KeyboardInterrupt:
            click.echo("\ninterrupted", err=True)
            sys.exit(EXIT_INTERRUPTED)
        except OSError as error:
            if error.errno not in THE_MACHINES_FAULT:
                raise
            click.echo(f"error: {error.filename or 'a file'} cannot be used: {error.strerror}.", err=True)
            sys.exit(EXIT_ENVIRONMENT)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a command works, and what its user types to get there."""

    home: Path
    program: str


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="freelunch")
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    envvar="FREELUNCH_HOME",
    default=".freelunch",
    show_default=True,
    help="Folder of datasets, artifacts and reports (also FREELUNCH_HOME).",
)
@click.pass_context
def main(context: click.Context, home: Path) -> None:
    """Studies of distilled self-supervision on surgical video.

    \b
    A first study on synthetic videos, in minutes and without a GPU:
        freelunch run table3 --local --scale demo
    The same on Cholec80:
        freelunch ingest cholec80 /data/cholec80
        freelunch plan table3 --dataset cholec80
        freelunch run table3 --local --dataset cholec80
    """
    named = context.get_parameter_source("home") is ParameterSource.COMMANDLINE
    context.obj = Place(home=home, program=f"freelunch --home {shlex.quote(str(home))}" if named else "freelunch")


def asks_for_a_study(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that decide a study's trials; the command gets them as one request."""
    options = [
        click.argument("study"),
        click.option("--preset", default="corrected", show_default=True, help="The protocol; so far the only one."),
        click.option("--scale", default="full", show_default=True, help="The sizes: full, or demo."),
        click.option("--dataset", help="A registered dataset; where not given, cholec80, or the demo's own."),
        click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Number of seeds per row."),
        click.option(
            "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Fix a hyperparameter, any number."
        ),
        click.option("--row", "rows", multiple=True, metavar="NAME", help="Only this row; repeat for more."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
threads_option = click.option("--threads", type=click.IntRange(1), help="CPU threads; all cores where not given.")


@main.command("list")
@as_json
def list_studies(as_json: bool) -> None:
    """Every named study, its question and its rows.

    \b
    Example:
        freelunch list
    """
    from search_spaces.catalogue import STUDIES
    from study.screens import new_console, studies_table

    if as_json:
        click.echo(json.dumps([_study_record(study) for study in STUDIES.values()], indent=1))
    else:
        new_console().print(studies_table(STUDIES.values()))


@main.command()
@asks_for_a_study
@as_json
@click.pass_obj
def plan(place: Place, /, as_json: bool, **asked: Any) -> None:
    """What a study would compute: stages, what is shared and cached, and the time it expects.

    \b
    Examples:
        freelunch plan table3 --scale demo
        freelunch plan table3 --dataset cholec80 --seeds 3 --set queue_size=4096
    """
    from study.cli.session import Session
    from study.screens import new_console, plan_record, plan_tables

    session = Session(place.home, _request(**asked))
    if as_json:
        click.echo(json.dumps(plan_record(session.plan), indent=1))
        return
    console = new_console()
    for table in plan_tables(session.study, session.plan, session.sides()):
        console.print(table, highlight=False)
    _say_next(session.request.command("run", "--local", program=place.program))


@main.command()
@asks_for_a_study
@click.option("--local", is_flag=True, help="Compute stage by stage in this process.")
@threads_option
@click.option("--gpus", type=click.IntRange(0, 1), help="GPUs per stage; one if the machine has any.")
@click.pass_obj
def run(place: Place, /, local: bool, threads: int | None, gpus: int | None, **asked: Any) -> None:
    """Run a study, or go on with it: what is finished is not computed again.

    \b
    Examples:
        freelunch run table3 --local --scale demo
        freelunch run table3 --local --dataset cholec80 --seeds 3
        freelunch run table3 --local --scale demo --set distillation_weight=2 --row head
    """
    from study.cli.session import Session
    from study.request import remember

    if not local:
        raise InputError("this version runs on one machine: add --local.")
    request = _request(**asked)
    granted = [f"--{name} {value}" for name, value in (("threads", threads), ("gpus", gpus)) if value is not None]
    command = request.command("run", "--local", *granted, program=place.program)
    with _interruptible(command):
        session = Session(place.home, request)
        remember(request, place.home, {})
        problems = session.compute(threads, gpus)
        remember(request, place.home, problems)
        session.show_report()
    if problems:
        _say_next(f"mend what failed, then type again: {command}")
        sys.exit(EXIT_TRIAL_FAILED)
    if request.seeds == 1:
        again = replace(request, seeds=3).command("run", "--local", *granted, program=place.program)
        _say_next(f"see how much the seed matters: {again}")


@main.command()
@click.argument("study", required=False)
@as_json
@click.pass_obj
def status(place: Place, study: str | None, as_json: bool) -> None:
    """How far a study is, also while another process runs it.

    \b
    Examples:
        freelunch status
        freelunch status table3
    """
    from study.cli.session import Session, named_study
    from study.request import latest, remembered_problems, studies_run
    from study.screens import new_console, status_record, status_tables

    names = [named_study(study).name] if study else studies_run(place.home)
    if not names:
        raise InputError(
            f"no study has been run in {place.home}: `freelunch run table3 --local --scale demo` runs one."
        )
    records = {}
    for name in names:
        session = Session(place.home, latest(name, place.home))
        problems = remembered_problems(session.request, place.home)
        records[name] = status_record(session.plan, session.store, problems)
        if not as_json:
            for table in status_tables(name, records[name]):
                new_console().print(table, highlight=False)
            if records[name]["resumable"]:
                _say_next(session.request.command("run", "--local", program=place.program))
    if as_json:
        click.echo(json.dumps(records, indent=1))


@main.command()
@click.argument("study")
@click.pass_obj
def report(place: Place, study: str) -> None:
    """Write the report of what the last run of a study has finished so far, and print its table.

    \b
    Example:
        freelunch report table3
    """
    from study.cli.session import Session, named_study
    from study.request import latest

    Session(place.home, latest(named_study(study).name, place.home)).show_report()


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--videos", type=click.IntRange(1), default=16, show_default=True, help="Number of videos.")
@click.option("--minutes", type=float, default=1.0, show_default=True, help="Mean length of a video.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, other videos.")
@click.pass_obj
def synthesize(place: Place, folder: Path, videos: int, minutes: float, seed: int) -> None:
    """Make surgical-like videos: real mp4 files and annotations, laid out like Cholec80.

    \b
    Example:
        freelunch synthesize /tmp/videos --videos 16 --minutes 1
    """
    from study.cli.session import make_videos

    with _interruptible(
        f"freelunch synthesize {shlex.quote(str(folder))} --videos {videos} --minutes {minutes:g} --seed {seed}"
    ):
        make_videos(folder, videos, minutes, seed)
    _say_next(f"{place.program} ingest cholec80 {shlex.quote(str(folder))} --name NAME")


@main.command()
@click.argument("layout", type=click.Choice(["cholec80", "m2cai16"]))
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--name", help="What to call the dataset; the layout's name where not given.")
@click.option("--scale", default="full", show_default=True, help="The sizes to store frames at: full, or demo.")
@threads_option
@click.pass_obj
def ingest(place: Place, layout: str, root: Path, name: str | None, scale: str, threads: int | None) -> None:
    """Register a dataset and cut its frames: one stage per video, audited and stored once.

    \b
    Examples:
        freelunch ingest cholec80 /data/cholec80
        freelunch ingest m2cai16 /data/m2cai16-workflow --name m2cai16
    """
    from study.cli.session import ingest_videos

    name = name or layout
    command = f"{place.program} ingest {layout} {shlex.quote(str(root))} --name {name} --scale {scale}"
    with _interruptible(command):
        all_stored = ingest_videos(place.home, name, layout, root, scale, threads)
    if not all_stored:
        _say_next(f"mend the videos that failed, then type again: {command}")
        sys.exit(EXIT_TRIAL_FAILED)
    _say_next(f"{place.program} plan table3 --dataset {name} --scale {scale}")


@main.command()
@as_json
@click.pass_obj
def datasets(place: Place, as_json: bool) -> None:
    """The registered datasets.

    \b
    Example:
        freelunch datasets
    """
    from study.cli.session import dataset_records
    from study.screens import datasets_table, new_console

    records = dataset_records(place.home)
    if as_json:
        click.echo(json.dumps(records, indent=1))
    elif records:
        new_console().print(datasets_table(records), highlight=False)
    else:
        click.echo(f"no dataset is registered in {place.home}; `--scale demo` makes its own.")
        _say_next(f"{place.program} ingest cholec80 FOLDER")


@main.command()
@click.argument("target")
@click.pass_obj
def logs(place: Place, target: str) -> None:
    """What a stage printed, and its traceback if it failed.

    TARGET is the beginning of a stage's key, or STUDY/ROW for the stages of a trial.

    \b
    Examples:
        freelunch logs 3f2a91bc
        freelunch logs table3/head
    """
    from study.cli.session import Session, named_study
    from study.request import latest
    from study.screens import logs_table, new_console
    from study.spec import nearest
    from study.store import Store

    if "/" not in target:
        store = Store(place.home)
        path = store.log(store.key_beginning(target))
        click.echo(path.read_text() if path else f"stage {target} has not written anything yet.")
        return
    study, _, row = target.partition("/")
    session = Session(place.home, latest(named_study(study).name, place.home))
    trials = [trial for trial in session.trials if row in (trial.row.name, trial.label)]
    if not trials:
        rows = dict.fromkeys(trial.row.name for trial in session.trials)
        raise InputError(f"the last run of {study} has no row {row!r}{nearest(row, rows)}")
    for trial in trials:
        new_console().print(f"[bold]{trial.label}[/]", logs_table(trial, session.store), highlight=False)


@main.command()
@click.argument("key")
@click.pass_obj
def remove(place: Place, key: str) -> None:
    """Remove a stage, so that it is computed from its beginning when it is next needed.

    \b
    Example:
        freelunch remove 3f2a91bc
    """
    from study.store import Store

    store = Store(place.home)
    whole = store.key_beginning(key)
    store.remove(whole)
    click.echo(f"removed {whole}")


@main.command()
@click.pass_obj
def verify(place: Place) -> None:
    """Compare every file of every finished stage with the digest it was published with.

    \b
    Example:
        freelunch verify
    """
    from study.store import Store

    store = Store(place.home)
    finished = [key for key in store.stage_keys() if store.find(key)]
    damaged = 0
    for key in finished:
        try:
            store.check(key, whole=True)
        except MachineError as error:
            damaged += 1
            click.echo(f"error: {error}", err=True)
    if damaged:
        sys.exit(EXIT_ENVIRONMENT)
    click.echo(f"{len(finished)} finished stages, all whole")


def _request(
    study: str,
    preset: str,
    scale: str,
    dataset: str | None,
    seeds: int,
    settings: tuple[str, ...],
    rows: tuple[str, ...],
) -> "Request":
    from study.request import Request

    return Request(
        study=study,
        preset=preset,
        scale=scale,
        dataset=dataset,
        seeds=seeds,
        settings=dict(map(_setting, settings)),
        rows=rows,
    )


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise InputError(f"--set {text} is not NAME=VALUE, such as --set temperature=0.1.")
    return name, value


def _study_record(study: "Study") -> dict[str, Any]:
    rows = [{"name": row.name, "title": row.title, "baseline": row.baseline} for row in study.all_rows()]
    published = study.published.source if study.published else None
    return {"name": study.name, "title": study.title, "question": study.question, "rows": rows, "published": published}


def _say_next(what: str) -> None:
    click.echo(f"next: {what}")


@contextmanager
def _interruptible(command: str) -> Iterator[None]:
    """Ends on Ctrl-C and on SIGTERM with a sentence; what was computed stays, and the stage at work goes on later."""

    def terminate(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\ninterrupted; nothing is lost. To go on, type: {command}", err=True)
        sys.exit(EXIT_INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, previous)
