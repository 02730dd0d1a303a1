"""The command line, and the one place where studies, recipes and trainers are put together.

Everything but click is imported inside the commands, so that `freelunch --help` answers at once.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trainers.stage import InputError, MachineError

if TYPE_CHECKING:
    from rich.console import Console

    from search_spaces.presets import Conditions
    from study.plan import Plan
    from study.request import Request
    from study.spec import Study, Trial
    from study.store import Store

EXIT_TRIAL_FAILED, EXIT_USAGE, EXIT_ENVIRONMENT, EXIT_INTERRUPTED = 1, 2, 3, 130
DEMO = "demo"
DEMO_VIDEOS, DEMO_MINUTES = 16, 1.0


class Commands(click.Group):
    """A group whose commands end with one clear sentence, not a traceback, when their user can mend what is wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(EXIT_ENVIRONMENT if isinstance(error, MachineError) else EXIT_USAGE)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
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
    context.obj = home


def asks_for_a_study(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that decide a study's trials; the command gets them as one request."""
    options = [
        click.argument("study"),
        click.option("--preset", default="corrected", show_default=True, help="The protocol."),
        click.option("--scale", default="full", show_default=True, help="The sizes: full, or demo."),
        click.option("--dataset", help="A registered dataset; demo makes its own where none is named."),
        click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Number of seeds per row."),
        click.option(
            "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Fix a hyperparameter, any number."
        ),
        click.option("--row", "rows", multiple=True, metavar="NAME", help="Only this row; repeat for more."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@main.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_studies(as_json: bool) -> None:
    """Every named study, its question and its rows.

    \b
    Example:
        freelunch list
    """
    from search_spaces.catalogue import STUDIES
    from study.screens import studies_table

    if as_json:
        click.echo(json.dumps([_study_record(study) for study in STUDIES.values()], indent=1))
    else:
        _console().print(studies_table(STUDIES.values()))


@main.command()
@asks_for_a_study
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def plan(home: Path, /, as_json: bool, **asked: Any) -> None:
    """What a study would compute: stages, what is shared and cached, and the time it expects.

    \b
    Examples:
        freelunch plan table3 --scale demo
        freelunch plan table3 --dataset cholec80 --seeds 3 --set queue_size=4096
    """
    from study.screens import plan_record, plan_tables

    session = _Session(home, _request(**asked))
    if as_json:
        click.echo(json.dumps(plan_record(session.plan), indent=1))
        return
    console = _console()
    for table in plan_tables(session.study, session.plan, session.sides()):
        console.print(table, highlight=False)
    console.print(f"next: {session.request.command('run', '--local')}", highlight=False, soft_wrap=True)


@main.command()
@asks_for_a_study
@click.option("--local", is_flag=True, help="Compute stage by stage in this process.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads per stage; all cores where not given.")
@click.option("--gpus", type=click.IntRange(0, 1), help="GPUs per stage; one if the machine has any.")
@click.pass_obj
def run(home: Path, /, local: bool, threads: int | None, gpus: int | None, **asked: Any) -> None:
    """Run a study, or go on with it: what is finished is not computed again.

    \b
    Examples:
        freelunch run table3 --local --scale demo
        freelunch run table3 --local --dataset cholec80 --seeds 3
        freelunch run table3 --local --scale demo --set distillation_weight=2 --row head
    """
    from study.local import run as run_locally
    from study.progress import observer_for
    from study.request import remember
    from study.screens import plan_line

    if not local:
        raise InputError("this version runs on one machine: add --local.")
    session = _Session(home, _request(**asked))
    console = _console()
    console.print(plan_line(session.plan), highlight=False)
    for warning in session.plan.warnings:
        console.print(f"[yellow]note[/] {warning}", highlight=False)
    remember(session.request, session.store.home, {})
    with _interruptible(session.request), observer_for(session.plan, console) as observer:
        outcome = run_locally(session.plan, session.store, _resources(threads, gpus), observer)
    problems = {stage_key: failure.sentence for stage_key, failure in outcome.failures.items()}
    remember(session.request, session.store.home, problems)
    session.show_report(console)
    if problems:
        console.print(f"next: mend what failed, then type again: {session.request.command('run', '--local')}")
        sys.exit(EXIT_TRIAL_FAILED)
    _finish(console, session)


@main.command()
@click.argument("study", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def status(home: Path, study: str | None, as_json: bool) -> None:
    """How far a study is, also while another process runs it.

    \b
    Examples:
        freelunch status
        freelunch status table3
    """
    from study.request import latest, remembered_problems, studies_run
    from study.screens import status_record, status_tables

    names = [study] if study else studies_run(home)
    if not names:
        raise InputError(f"no study has been run in {home}: `freelunch run table3 --local --scale demo` runs one.")
    records = []
    for name in names:
        _study(name)
        session = _Session(home, latest(name, home))
        records.append(status_record(session.plan, session.store, remembered_problems(session.request, home)))
        if not as_json:
            for table in status_tables(name, records[-1], session.request.command("run", "--local")):
                _console().print(table, highlight=False)
    if as_json:
        click.echo(json.dumps(dict(zip(names, records, strict=True)), indent=1))


@main.command()
@click.argument("study")
@click.pass_obj
def report(home: Path, study: str) -> None:
    """Write the report of what the last run of a study has finished so far, and print its table.

    \b
    Example:
        freelunch report table3
    """
    from study.request import latest

    _study(study)
    session = _Session(home, latest(study, home))
    session.show_report(_console())


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--videos", type=click.IntRange(1), default=DEMO_VIDEOS, show_default=True, help="Number of videos.")
@click.option("--minutes", type=float, default=DEMO_MINUTES, show_default=True, help="Mean length of a video.")
@click.option("--seed", type=int, default=0, show_default=True)
def synthesize(folder: Path, videos: int, minutes: float, seed: int) -> None:
    """Make surgical-like videos: real mp4 files and annotations, laid out like Cholec80.

    \b
    Example:
        freelunch synthesize /tmp/videos --videos 16 --minutes 1
    """
    _synthesize(folder, videos, minutes, seed)
    click.echo(f"next: freelunch ingest cholec80 {folder} --name NAME")


@main.command()
@click.argument("layout", type=click.Choice(["cholec80", "m2cai16"]))
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--name", help="What to call the dataset; the layout's name where not given.")
@click.option("--scale", default="full", show_default=True, help="The sizes to store frames at: full, or demo.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads; all cores where not given.")
@click.pass_obj
def ingest(home: Path, layout: str, root: Path, name: str | None, scale: str, threads: int | None) -> None:
    """Register a dataset and cut its frames: one stage per video, audited and stored once.

    \b
    Examples:
        freelunch ingest cholec80 /data/cholec80
        freelunch ingest m2cai16 /data/m2cai16-workflow --name m2cai16
    """
    from search_spaces.presets import SCALES
    from study.local import run as run_locally
    from study.plan import make_plan
    from study.progress import observer_for
    from study.screens import audits_table
    from study.spec import nearest, standalone
    from study.store import Store

    if scale not in SCALES:
        raise InputError(f"no scale named {scale!r}{nearest(scale, SCALES)}")
    store = Store(home)
    dataset = _register(store, name or layout, layout, root)
    sizes = SCALES[scale]
    stages = standalone(dataset.videos(fps=sizes.feature_fps, size_px=sizes.store_px))
    ingestion = make_plan(stages, store)
    console = _console()
    with _interrupts(f"freelunch ingest {layout} {root}"), observer_for(ingestion, console) as observer:
        outcome = run_locally(ingestion, store, _resources(threads, 0), observer)
    console.print(audits_table(stages, store), highlight=False)
    if outcome.failures:
        console.print("next: mend the videos that failed, then type the same command again", highlight=False)
        sys.exit(EXIT_TRIAL_FAILED)
    console.print(f"next: freelunch plan table3 --dataset {dataset.name} --scale {scale}", highlight=False)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def datasets(home: Path, as_json: bool) -> None:
    """The registered datasets.

    \b
    Example:
        freelunch datasets
    """
    from study.screens import datasets_table
    from trainers.data.datasets import load, names

    folder = home / "datasets"
    records = []
    for name in names(folder):
        dataset = load(folder, name)
        seconds = sum(recording.num_frames for recording in dataset.recordings) / 25
        record = {"name": name, "layout": dataset.layout, "videos": len(dataset.recordings), "hours": seconds / 3600}
        records.append({**record, "root": dataset.root})
    if as_json:
        click.echo(json.dumps(records, indent=1))
    else:
        _console().print(datasets_table(records), highlight=False)


@main.command()
@click.argument("target")
@click.pass_obj
def logs(home: Path, target: str) -> None:
    """What a stage printed, and its traceback if it failed.

    TARGET is the beginning of a stage's key, or STUDY/ROW for the stages of a trial.

    \b
    Examples:
        freelunch logs 3f2a91bc
        freelunch logs table3/head
    """
    from study.request import latest
    from study.screens import logs_table
    from study.store import Store

    store = Store(home)
    if "/" not in target:
        path = store.log(_one_key(store, target))
        click.echo(path.read_text() if path else f"stage {target} has not written anything yet.")
        return
    name, _, row = target.partition("/")
    _study(name)
    session = _Session(home, latest(name, home))
    trials = [trial for trial in session.trials if row in (trial.row.name, trial.label)]
    if not trials:
        raise InputError(f"{name} has no trial {row!r}: its rows are {', '.join(t.row.name for t in session.trials)}.")
    _console().print(logs_table(trials[0], session.store), highlight=False)


@main.command()
@click.argument("key")
@click.pass_obj
def remove(home: Path, key: str) -> None:
    """Remove a finished stage, so that it is computed anew when it is next needed.

    \b
    Example:
        freelunch remove 3f2a91bc
    """
    from study.store import Store

    store = Store(home)
    whole = _one_key(store, key)
    store.remove(whole)
    click.echo(f"removed {whole}")


@main.command()
@click.pass_obj
def verify(home: Path) -> None:
    """Compare every file of every finished stage with the digest it was published with.

    \b
    Example:
        freelunch verify
    """
    from study.store import Store

    store = Store(home)
    damaged = 0
    for key in store.keys():
        if store.find(key):
            try:
                store.check(key, whole=True)
            except MachineError as error:
                damaged += 1
                click.echo(f"error: {error}", err=True)
    if damaged:
        sys.exit(EXIT_ENVIRONMENT)
    click.echo("all finished stages are whole")


class _Session:
    """A request put together with everything it names: conditions, trials, store and plan."""

    def __init__(self, home: Path, request: "Request") -> None:
        from study.plan import make_plan
        from study.store import Store

        self.request = request
        self.study: Study = _study(request.study)
        self.store: Store = Store(home)
        self.conditions: Conditions = _conditions(self.store, request)
        self.trials: tuple[Trial, ...] = self.study.trials(
            self.conditions, seeds=range(request.seeds), settings=request.settings, only=request.rows
        )
        self.plan: Plan = make_plan(self.trials, self.store)

    def sides(self) -> dict[str, int]:
        """How many videos train, validate and test."""
        split = self.conditions.videos()
        return {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)}

    def context(self) -> dict[str, str]:
        """What the report says above its table."""
        request, sides = self.request, self.sides()
        return {
            "preset": f"{request.preset}: {self.conditions.preset.description}",
            "scale": f"{request.scale}: {self.conditions.scale.description}",
            "dataset": f"{self.conditions.dataset.name}, "
            + ", ".join(f"{count} {side}" for side, count in sides.items())
            + " videos",
            "seeds": str(request.seeds),
            "command": request.command("run", "--local"),
        }

    def show_report(self, console: "Console") -> None:
        """Writes the report and prints its table and where it lies."""
        from study.report import write_report
        from study.request import remembered_problems
        from study.screens import problems_of, report_table

        problems = problems_of(self.plan, self.store, remembered_problems(self.request, self.store.home))
        folder = self.request.folder(self.store.home)
        written = write_report(self.study, self.trials, self.store, folder, context=self.context(), problems=problems)
        console.print(report_table(written), highlight=False)
        for number, sentence in problems.items():
            console.print(f"[yellow]{self.trials[number].label}[/]: {sentence}", highlight=False, soft_wrap=True)
        console.print(f"report: {folder / 'report.html'}", highlight=False, soft_wrap=True)


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

    for setting in settings:
        if "=" not in setting:
            raise InputError(f"--set {setting} is not NAME=VALUE, such as --set temperature=0.1.")
    values = {name.strip(): value.strip() for name, _, value in (setting.partition("=") for setting in settings)}
    return Request(
        study=study, preset=preset, scale=scale, dataset=dataset, seeds=seeds, settings=values, rows=tuple(rows)
    )


def _study(name: str) -> "Study":
    from search_spaces.catalogue import STUDIES
    from study.spec import nearest

    if name not in STUDIES:
        raise InputError(f"no study named {name!r}{nearest(name, STUDIES)}")
    return STUDIES[name]


def _conditions(store: "Store", request: "Request") -> "Conditions":
    from search_spaces.presets import PRESETS, SCALES, Conditions
    from study.spec import nearest
    from trainers.data.datasets import load, names

    if request.preset not in PRESETS:
        raise InputError(f"no preset named {request.preset!r}{nearest(request.preset, PRESETS)}")
    if request.scale not in SCALES:
        raise InputError(f"no scale named {request.scale!r}{nearest(request.scale, SCALES)}")
    folder = store.home / "datasets"
    name = request.dataset or (DEMO if request.scale == DEMO else "cholec80")
    if name == DEMO and DEMO not in names(folder):
        _make_demo_dataset(store)
    return Conditions(preset=PRESETS[request.preset], scale=SCALES[request.scale], dataset=load(folder, name))


def _make_demo_dataset(store: "Store") -> None:
    click.echo(f"making the demo's {DEMO_VIDEOS} surgical-like videos …", err=True)
    folder = store.home / "demo-videos"
    _synthesize(folder, DEMO_VIDEOS, DEMO_MINUTES, seed=0)
    _register(store, DEMO, "cholec80", folder)


def _synthesize(folder: Path, videos: int, minutes: float, seed: int) -> None:
    from rich.progress import Progress

    from trainers.data.synthetic import synthesize as make_videos

    console = _console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("videos", total=videos)
        make_videos(
            folder,
            num_videos=videos,
            minutes=minutes,
            seed=seed,
            num_processes=os.cpu_count() or 1,
            report=lambda done: progress.update(task, completed=done),
        )


def _register(store: "Store", name: str, layout: str, root: Path) -> Any:
    from rich.progress import Progress

    from trainers.data.datasets import register

    console = _console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("digesting videos", total=None)
        return register(
            store.home / "datasets", name, layout, root, report=lambda video: progress.update(task, advance=1)
        )


def _resources(threads: int | None, gpus: int | None) -> Any:
    import torch

    from trainers.stage import Resources

    has_gpu = torch.cuda.is_available()
    return Resources(threads=threads or os.cpu_count() or 1, gpus=(1 if has_gpu else 0) if gpus is None else gpus)


def _one_key(store: "Store", prefix: str) -> str:
    matching = [key for key in store.keys() if key.startswith(prefix)]
    if len(matching) != 1:
        found = "no stage has a key" if not matching else f"{len(matching)} stages have keys"
        raise InputError(f"{found} that begins with {prefix!r}: `freelunch status STUDY` shows the keys.")
    return matching[0]


def _study_record(study: "Study") -> dict[str, Any]:
    rows = [{"name": row.name, "title": row.title, "baseline": row.baseline} for row in study.all_rows()]
    published = study.published.source if study.published else None
    return {"name": study.name, "title": study.title, "question": study.question, "rows": rows, "published": published}


def _finish(console: "Console", session: _Session) -> None:
    console.print(f"next: freelunch status {session.study.name}, or more seeds: --seeds 3", highlight=False)


def _console(*, stderr: bool = False) -> "Console":
    from rich.console import Console

    # The file is named so that a stage's output, redirected to its log, does not take the display with it.
    return Console(file=sys.stderr if stderr else sys.stdout)


@contextmanager
def _interruptible(request: "Request") -> Iterator[None]:
    with _interrupts(request.command("run", "--local")):
        yield


@contextmanager
def _interrupts(command: str) -> Iterator[None]:
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


if __name__ == "__main__":
    main()
