"""Videos at the command line: registration, ingest and synthesis."""

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from search_spaces.protocol.scales import SCALES, Scale
from study.cli.execute import compute_videos
from study.cli.ingest_forecast import THREADS_OF_A_VIDEO, forecast
from study.cli.ingest_record import write_record
from study.cli.progress import progress_bar
from study.cli.resources import ComputeTarget
from study.console.data_tables import audits_table, findings_table, lengths_table
from study.console.terminal import new_console
from study.core.graph import key
from study.core.plan import make_plan
from study.core.store import Store
from study.core.study import standalone
from study.home.sharing import check_shared
from study.home.text import nearest
from trainers.data.datasets import registry as datasets
from trainers.data.datasets.audit import Audit
from trainers.data.datasets.dataset import Dataset
from trainers.data.datasets.description import Description
from trainers.data.datasets.synthetic_mark import MADE
from trainers.data.ingest.findings import refuse_errors
from trainers.data.synthetic.hospitals import FIRST, Hospital
from trainers.data.synthetic.layouts import lay_out
from trainers.data.synthetic.videos import synthesize
from trainers.runtime.cpus import available_cpus
from trainers.runtime.registry import names
from trainers.stage import InputError, MachineError

OWN_LAYOUT = "cholec80"
"""The layout in which synthetic videos are made."""


@dataclass(frozen=True, kw_only=True)
class IngestRequest:
    """Request for an ingest.

    Attributes:
        name: what to call the dataset.
        described: what its folder holds.
        root: the folder.
        unlabelled: a folder of further videos without annotations, where there is one.
        scale: whose sizes frames are stored at.
        threads: how many may compute; None for as many as there are. On a cluster, for each video.
        address: of the Ray cluster that stores the videos; None for this machine.
        dry_run: whether to end after the audit.
    """

    name: str
    described: Description
    root: Path
    unlabelled: Path | None = None
    scale: str = "full"
    threads: int | None = None
    address: str | None = None
    dry_run: bool = False


def ingest_videos(home: Path, asked: IngestRequest) -> bool:
    """Audits a dataset, registers it and computes its video stages; returns whether all is well.

    Raises:
        FoundError: the audit found errors; nothing is registered.
    """
    sizes = find_scale(asked.scale)
    check_shared(home, writing=True)
    store = Store(home)
    store.clean()
    audited = audit_videos(store, asked, fps=sizes.feature_fps)
    if not asked.dry_run:
        write_record(home, asked.name, asked.root, audited.findings, {})
    refuse_errors(audited.findings)
    stages = audited.dataset.videos(fps=sizes.feature_fps, size_px=sizes.store_px)
    videos = standalone(stages)
    if asked.dry_run:
        click.echo(forecast(videos, store, _target(asked)))
        return True
    datasets.write(store.home / "datasets", audited)
    outcome = compute_videos(make_plan(videos, store), store, _target(asked))
    new_console().print(audits_table(videos, store), highlight=False)
    failures = {stage.name: outcome.failures[key(stage)].sentence for stage in stages if key(stage) in outcome.failures}
    write_record(home, asked.name, asked.root, audited.findings, failures)
    return not outcome.failures


def _target(asked: IngestRequest) -> ComputeTarget:
    if asked.address is None:
        return ComputeTarget(local=True, threads=asked.threads, gpus_per_worker=0)
    return ComputeTarget(address=asked.address, threads=asked.threads or THREADS_OF_A_VIDEO, gpus_per_worker=0)


def next_command(home: Path, name: str, scale: str, program: str) -> str:
    """The command that can follow the ingest of a dataset; one without annotations can be pre-trained on alone."""
    folder = home / "datasets"
    if _is_annotated(folder, name):
        return f"{program} plan table3 --dataset {name} --scale {scale}"
    annotated = next((other for other in names(folder) if _is_annotated(folder, other)), None)
    if annotated is None and find_scale(scale).dataset != OWN_LAYOUT:
        return f"{program} plan table3 --pretrain-on {name} --scale {scale}"
    plan = f"{program} plan table3 --dataset {annotated or OWN_LAYOUT} --pretrain-on {name} --scale {scale}"
    return plan if annotated else f"{program} ingest {OWN_LAYOUT} FOLDER --scale {scale}, then {plan}"


def _is_annotated(folder: Path, name: str) -> bool:
    with suppress(InputError, MachineError):
        return any(each.annotation for each in datasets.load(folder, name).recordings)
    return False


def audit_videos(store: Store, asked: IngestRequest, *, fps: float) -> Audit:
    """Audits a dataset, with a progress bar on terminals, and prints what was found."""
    with progress_bar("reading videos", None) as bar:
        audited = datasets.audit(
            store.home / "datasets",
            asked.name,
            asked.described,
            asked.root,
            lambda video: bar.advance(),
            asked.unlabelled,
            fps=fps,
        )
    if asked.described.are_frames and audited.dataset.recordings:
        new_console().print(lengths_table(_lengths(audited.dataset)), highlight=False)
    if audited.findings:
        new_console().print(findings_table(map(asdict, audited.findings)), highlight=False)
    return audited


def _lengths(dataset: Dataset) -> list[tuple[str, int, float, float]]:
    return [(each.name, each.num_images or 0, each.fps, each.num_frames / each.fps) for each in dataset.recordings]


def make_laid_out(folder: Path, num_videos: int, minutes: float, seed: int, layout: str) -> None:
    """Makes synthetic videos in the layout of a built-in description."""
    if layout == OWN_LAYOUT:
        make_videos(folder, num_videos, minutes, seed)
        return
    make_videos(folder / MADE, num_videos, minutes, seed)
    lay_out(folder / MADE, folder, layout)


def make_videos(folder: Path, num_videos: int, minutes: float, seed: int, hospital: Hospital = FIRST) -> None:
    """Makes synthetic videos, with a progress bar on terminals."""
    with progress_bar("making videos", num_videos) as bar:
        synthesize(
            folder,
            num_videos=num_videos,
            minutes=minutes,
            seed=seed,
            hospital=hospital,
            num_processes=available_cpus(),
            report=bar.show,
        )


def register_videos(store: Store, name: str, described: Description, root: Path) -> Dataset:
    """Registers a dataset in the home folder, with a progress bar on terminals."""
    with progress_bar("reading videos", None) as bar:
        return datasets.register(store.home / "datasets", name, described, root, lambda video: bar.advance())


def find_scale(name: str) -> Scale:
    """A scale by its name.

    Raises:
        InputError: there is none.
    """
    if name not in SCALES:
        raise InputError(f"no scale named {name!r}{nearest(name, SCALES)}")
    return SCALES[name]
