"""Videos at the command line: registration, ingest and synthesis."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import Progress

from search_spaces.protocol.scales import SCALES, Scale
from study.cli.execute import compute
from study.cli.resources import ComputeTarget
from study.console.data_tables import audits_table
from study.console.terminal import new_console
from study.core.plan import make_plan
from study.core.store import Store
from study.core.study import standalone
from study.home.sharing import check_shared
from study.home.text import nearest
from trainers.data.datasets import registry as datasets
from trainers.data.datasets.dataset import Dataset
from trainers.data.ingest.video_file import NOMINAL_FPS
from trainers.data.synthetic.videos import synthesize
from trainers.runtime.cpus import available_cpus
from trainers.runtime.registry import names
from trainers.stage import InputError


def ingest_videos(
    home: Path, name: str, layout: str, root: Path, unlabelled: Path | None, scale: str, threads: int | None
) -> bool:
    """Registers a dataset and computes its video stages; returns whether all of them are stored."""
    sizes = find_scale(scale)
    check_shared(home, writing=True)
    store = Store(home)
    dataset = register_videos(store, name, layout, root, unlabelled)
    videos = standalone(dataset.videos(fps=sizes.feature_fps, size_px=sizes.store_px))
    target = ComputeTarget(local=True, threads=threads, gpus_per_worker=0)
    outcome = compute(make_plan(videos, store), store, target)
    new_console().print(audits_table(videos, store), highlight=False)
    return not outcome.failures


def make_videos(folder: Path, num_videos: int, minutes: float, seed: int) -> None:
    """Makes synthetic videos, with a progress bar on terminals."""
    with _bar("making videos", num_videos) as (progress, task):
        synthesize(
            folder,
            num_videos=num_videos,
            minutes=minutes,
            seed=seed,
            num_processes=available_cpus(),
            report=lambda done: progress.update(task, completed=done),
        )


def dataset_records(home: Path) -> list[dict[str, Any]]:
    """One record per registered dataset."""
    loaded = [datasets.load(home / "datasets", name) for name in names(home / "datasets")]
    return [
        {
            "name": dataset.name,
            "layout": dataset.layout,
            "videos": len(dataset.recordings),
            "hours": sum(recording.num_frames for recording in dataset.recordings) / NOMINAL_FPS / 3600,
            "root": dataset.root,
        }
        for dataset in loaded
    ]


def register_videos(store: Store, name: str, layout: str, root: Path, unlabelled: Path | None = None) -> Dataset:
    """Registers a dataset in the home folder, with a progress bar on terminals."""
    with _bar("digesting videos", None) as (progress, task):
        return datasets.register(
            store.home / "datasets", name, layout, root, lambda video: progress.advance(task), unlabelled
        )


def find_scale(name: str) -> Scale:
    """A scale by its name.

    Raises:
        InputError: there is none.
    """
    if name not in SCALES:
        raise InputError(f"no scale named {name!r}{nearest(name, SCALES)}")
    return SCALES[name]


@contextmanager
def _bar(title: str, total: int | None) -> Iterator[tuple[Progress, Any]]:
    """A progress bar on standard error, on terminals alone."""
    console = new_console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress, progress.add_task(title, total=total)
