"""A short study at scale `full`, stage by stage on this machine: the paper's row with one or two passes each.

    python -m benchmarks.full_scale [--small] [--output FILE]

Frames are drawn, and stored as those of ingested videos are; what follows is the product: a stand-in of public weights,
a teacher whose head is trained, the student, features, classifier, temporal model, evaluation. Of the numbers that come
out, the speeds alone mean anything.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks import measuring
from benchmarks.data_path import frame_like
from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import PRESETS
from search_spaces.protocol.scales import SCALES, Scale
from search_spaces.recipes.distillation import distilled
from study.core.graph import key
from study.core.manifest import Manifest
from study.core.plan import make_plan
from study.core.store import Store
from study.core.study import standalone
from study.execution.events import Observer, Progressed, StageEvent
from study.execution.local import run
from study.execution.resources import Profile
from trainers.data.datasets.cholec80 import PHASES
from trainers.data.datasets.dataset import Dataset, RegisteredVideo
from trainers.data.frames import Frame, write_frames
from trainers.data.ingest.video import Ingest
from trainers.stage import MachineError, Resources, Stage

NUM_VIDEOS, SECONDS_PER_VIDEO = 10, 300
SMALL_SECONDS = 16
NUM_PICTURES = 64
SOURCE_FPS = 25


def drawn_dataset(folder: Path, num_seconds: int) -> Dataset:
    """A dataset of videos that are not there: their stored frames will be."""
    annotation = folder / "annotation.txt"
    rows = num_seconds * SOURCE_FPS
    lines = [f"{row}\t{PHASES[row * len(PHASES) // rows]}" for row in range(rows)]
    annotation.write_text("\n".join(["Frame\tPhase", *lines]) + "\n")
    return Dataset(
        name="drawn",
        layout="cholec80",
        root=str(folder),
        phases=PHASES,
        recordings=tuple(
            RegisteredVideo(
                name=f"video{number:02}",
                video=str(folder / f"video{number:02}.mp4"),
                annotation=str(annotation),
                subset=None,
                video_digest=f"{number:032x}",
                annotation_digest=f"{1000 + number:032x}",
                num_frames=rows,
                video_stamp=(1, number),
                annotation_stamp=(2, number),
            )
            for number in range(1, NUM_VIDEOS + 1)
        ),
    )


def store_frames(video: Ingest, store: Store, pictures: list[np.ndarray], every: int) -> None:
    """Publishes drawn frames as a video's artifact."""
    rows = range(0, video.num_source_frames, every)
    with store.claim(key(video), lambda: None) as folder:
        frames = (
            Frame(row, row * len(PHASES) // video.num_source_frames, pictures[index % len(pictures)])
            for index, row in enumerate(rows)
        )
        write_frames(folder, frames, source=video.name, label_names=PHASES)
        store.publish(video, folder, 0.0)


@dataclass
class Paces(Observer):
    """The last reported speed and share of waiting of every stage, by key."""

    by_key: dict[str, dict[str, float]] = field(default_factory=dict)

    def on_event(self, stage: Stage, event: StageEvent) -> None:
        if isinstance(event, Progressed) and event.progress.speed():
            self.by_key[event.key] = event.progress.speed()


def scale_of(small: bool) -> Scale:
    """Scale `full` with a short training of the stand-in, or a network that takes seconds."""
    scale = replace(SCALES["full"], generic_images=128 if small else 1024, generic_epochs=1, queue_size=1024)
    if not small:
        return scale
    return replace(
        scale, architecture="resnet10", width=8, size_px=32, store_px=40, batch_size=32, queue_size=256,
        finetune_epochs=2, temporal_layers=4, temporal_maps=8, temporal_epochs=2,
    )  # fmt: skip


def measure(device: torch.device, small: bool) -> dict[str, Any]:
    """Runs the study, prints a line for every stage, and returns them."""
    scale = scale_of(small)
    with tempfile.TemporaryDirectory() as folder:
        dataset = drawn_dataset(Path(folder), SMALL_SECONDS if small else SECONDS_PER_VIDEO)
        conditions = Conditions(preset=PRESETS["corrected"], scale=scale, dataset=dataset, stand_in=True)
        evaluate = distilled(conditions, seed=0, teacher_epochs=1, student_epochs=1 if small else 2)
        store = Store(Path(folder) / "home")
        plan = make_plan(standalone([evaluate]), store)
        pictures = [cv2.resize(frame_like(seed), (scale.store_px, scale.store_px)) for seed in range(NUM_PICTURES)]
        for stage in plan.stages.values():
            if isinstance(stage, Ingest):
                store_frames(stage, store, pictures, SOURCE_FPS // 5)
        paces = Paces()
        plan = make_plan(standalone([evaluate]), store)
        outcome = run(plan, store, profile(device, small).grant, paces)
        for failure in outcome.failures.values():
            raise MachineError(f"{failure.title}: {failure.sentence} {' '.join(failure.last_lines)}")
        lines = [line_of(plan.stages[each], store.manifest(each), paces.by_key.get(each, {})) for each in plan.missing]
    for line in lines:
        rate, waited = line["frames_per_second"], line["data_wait"]
        pace = "" if rate is None else f"{rate:9.0f} frames/s, {100 * (waited or 0):3.0f} % waiting for data"
        print(f"{line['stage']:34s}{line['seconds']:8.1f} s{line['megabytes']:9.1f} MB{pace}")
    return {"benchmark": "full_scale", "stages": lines}


def profile(device: torch.device, small: bool) -> Profile:
    """A stage at a time, with all cores (small networks: with one), and the GPU where there is one."""
    cpus = 1 if small else len(os.sched_getaffinity(0))
    return Profile(default=Resources(threads=cpus, gpus=1 if device.type == "cuda" else 0))


def line_of(stage: Stage, manifest: Manifest, pace: Mapping[str, float]) -> dict[str, Any]:
    """What a stage took and left."""
    return {
        "stage": stage.title,
        "seconds": manifest.seconds,
        "megabytes": sum(size for size, _ in manifest.files.values()) / 1e6,
        "frames_per_second": pace.get("frames_per_second"),
        "data_wait": pace.get("data_wait"),
    }


def main() -> None:
    measuring.run(measure, (__doc__ or "").splitlines()[0])


if __name__ == "__main__":
    main()
