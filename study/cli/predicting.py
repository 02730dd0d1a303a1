"""Predictions and features of new videos by the models of a trial: one plan, whose outputs appear while it runs."""

from pathlib import Path

import click

from study.cli.new_frames import MARKS, NewFrames
from study.cli.products import Product
from study.cli.progress import Bar, progress_bar
from study.cli.resources import ComputeTarget
from study.cli.trained_model import TrainedModel, find_model
from study.cli.video_request import VideoRequest
from study.core.graph import key, walk
from study.core.plan import make_plan
from study.core.store import Store
from study.core.study import standalone
from study.execution.events import Failure, Observer
from study.execution.executor import check_granted
from study.execution.local import run
from study.home.commands import expand_commands
from study.home.runs import register_run
from study.home.sharing import check_shared, check_writable_output
from study.report.predicted_files import is_written
from trainers.data.datasets.new_videos import find_videos, ingest_like
from trainers.data.datasets.registry import SCANS
from trainers.data.datasets.scan import Scans
from trainers.data.ingest.video import Ingest
from trainers.recognition.sequences import FeatureStage
from trainers.runtime.cpus import available_cpus
from trainers.runtime.machine import num_gpus
from trainers.stage import InputError, Progress, Stage


def process_videos(home: Path, asked: VideoRequest, product: Product) -> bool:
    """Makes a product of every video; returns whether all of them are well.

    A video whose files were written from the same stage is passed over; one whose last stage is stored is written
    without being computed again.

    Raises:
        InputError: the trial has no trained model, or not one video can be read.
        MachineError: the home folder or the output cannot be used.
    """
    check_shared(home, writing=True)
    check_writable_output(asked.output)
    model = find_model(home, asked.trial)
    store = Store(home)
    videos, faults = _ingested(store, asked, model)
    for fault in faults:
        click.echo(f"error: {expand_commands(str(fault), home)}", err=True)
    asked.output.mkdir(parents=True, exist_ok=True)
    left = {key(stage): (stage, video) for video in videos for stage in [product.stage(model, video)]}
    left = {k: (s, video) for k, (s, video) in left.items() if not is_written(asked.output, video.name, k)}
    with register_run(home, MARKS, asked.command) as process:
        frames = NewFrames(store, model, process, keep=asked.keep_frames)
        failures = _compute(store, asked, product, model, left, frames)
        failed = {video.name for video in videos} & failures.keys()
        frames.end([video for video in videos if video.name not in failed])
    written, before = len(left) - len(failures), len(videos) - len(left)
    click.echo(
        f"{written} of {len(videos)} videos written to {asked.output}" + (f", {before} before" if before else "")
    )
    return not failures and not faults


def _ingested(store: Store, asked: VideoRequest, model: TrainedModel) -> tuple[list[Ingest], list[InputError]]:
    """The stages of the videos that can be read, and why others cannot."""
    found = find_videos(asked.videos, image_fps=asked.fps)
    with progress_bar("reading videos", len(found)) as bar:
        read = ingest_like(
            found,
            model.like,
            Scans(store.home / "datasets" / SCANS),
            image_fps=asked.fps,
            report=lambda name: bar.advance(),
        )
    videos = [each for each in read if isinstance(each, Ingest)]
    faults = [each for each in read if isinstance(each, InputError)]
    if not videos:
        raise faults[0]
    return videos, faults


def _compute(
    store: Store,
    asked: VideoRequest,
    product: Product,
    model: TrainedModel,
    left: dict[str, tuple[Stage, Ingest]],
    frames: NewFrames,
) -> dict[str, Failure]:
    """Computes what is left, and writes it; returns why videos have no files, by their name."""
    frames.need([video for _, video in left.values()])
    plan = make_plan(standalone([stage for stage, _ in left.values()]), store)
    frames.mark([video for _, video in left.values()], plan.missing)
    target = ComputeTarget(local=True, threads=asked.threads, gpus_per_worker=asked.gpus_per_worker)
    profile = target.profile_of(available_cpus(), num_gpus())
    for stage_key in plan.missing:
        check_granted(plan.stages[stage_key], profile.grant)
    with progress_bar("", len(left)) as bar:
        work = _Work(store=store, asked=asked, product=product, model=model, left=left, frames=frames, bar=bar)
        for stage_key in [k for k in left if k in plan.cached]:
            work.write(stage_key)
        run(plan, store, profile.grant, work)
    return work.failures


class _Work(Observer):
    """Follows the computation; files are written as soon as the last stage of a video is finished."""

    def __init__(
        self,
        *,
        store: Store,
        asked: VideoRequest,
        product: Product,
        model: TrainedModel,
        left: dict[str, tuple[Stage, Ingest]],
        frames: NewFrames,
        bar: Bar,
    ) -> None:
        self._store, self._asked, self._product, self._model = store, asked, product, model
        self._left, self._frames, self._bar = left, frames, bar
        self._num_done = 0
        self.failures: dict[str, Failure] = {}
        self._show()

    def on_progress(self, stage: Stage, progress: Progress) -> None:
        half = 0.5 if isinstance(stage, FeatureStage) else 0.0  # a video is decoded, then read by the network
        self._bar.show(self._num_done + half + 0.5 * progress.fraction)

    def on_finished(self, stage: Stage, seconds: float) -> None:
        self.write(key(stage))

    def on_found(self, stage: Stage) -> None:
        self.write(key(stage))

    def on_failed(self, stage: Stage, failure: Failure) -> None:
        for last, video in self._left.values():
            if key(stage) in walk(last):
                self._fail(video, failure)

    def write(self, stage_key: str) -> None:
        """Writes the files of the video whose last stage has this key, where it is one's."""
        if stage_key not in self._left:
            return
        _, video = self._left[stage_key]
        said = self._product.write(self._model, video, self._store.check(stage_key), self._asked.output)
        self._frames.remove([video])
        self._bar.say(f"{video.name}: {said}")
        self._num_done += 1
        self._show()

    def _fail(self, video: Ingest, failure: Failure) -> None:
        self.failures[video.name] = failure
        log = f" (`freelunch logs {failure.key[:12]}` shows more)" if failure.fault == "program" else ""
        self._bar.say(expand_commands(f"error: {video.name}: {failure.sentence}{log}", self._store.home), error=True)
        self._num_done += 1
        self._show()

    def _show(self) -> None:
        self._bar.show(self._num_done, f"{self._num_done} of {len(self._left)} videos")
