"""Trains the free models that come with the package, from random weights on drawn images.

    python -m benchmarks.pretrain_public --output FOLDER [--images N] [--epochs E] [--frames FOLDER] [--small]

Writes `demo-self-supervised.safetensors` (MoCo v2), `demo-supervised.safetensors` (a classifier of the kinds of images)
and `pretrain-public.json` (curves, times, versions). Once they are in `trainers/pretrained/shipped/`, scale `demo`
starts from them. With `--frames`, a folder whose folders `training` and `validation` hold ingested videos, the curve
has the accuracy of nearest neighbours, too; no training sees these frames. On one type of machine the same command
gives the same bits. It needs torch, torchvision, timm, OpenCV, PyArrow and safetensors alone.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks import measuring
from search_spaces.protocol.scales import SCALES, Scale
from trainers.artifacts.history import read_history
from trainers.data.augmentation import MoCoAugmentation
from trainers.data.frames import FrameSource
from trainers.data.synthetic.drawn_images import DrawnImages
from trainers.networks.backbones import Backbone
from trainers.pretrained.contents import Kind
from trainers.pretrained.shipped import Shipped, shipped_with, today, write_shipped
from trainers.pretrained.supervised import CROP_AND_FLIP, TrainClassifier
from trainers.ssl.encoders import load_backbone, read_weights
from trainers.ssl.loop import Optimisation
from trainers.ssl.moco import MoCo
from trainers.ssl.pretrain import Pretrain
from trainers.ssl.probe import KnnProbe, Prober
from trainers.stage import EpochEnd, Report, Resources, Work

IMAGES_PER_PART = 2048
CURVE = "pretrain-public.json"
METHODS: dict[Kind, str] = {"self-supervised": "MoCo v2", "supervised": "classifier of their kinds"}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is trained, and on what.

    Attributes:
        scale: whose network is trained, on views of its size.
        images: number of drawn images.
        per_theme: images that share a theme.
        epochs: of self-supervised training.
        supervised_epochs: of supervised training, which sees two views of an image as well.
        batch_size: images per step.
        learning_rate: of self-supervised training, at the start.
        queue_size: K.
        momentum: m.
        seed: of everything drawn.
    """

    scale: str = "demo"
    images: int = 65536
    per_theme: int = 1
    epochs: int = 20
    supervised_epochs: int = 10
    batch_size: int = 256
    learning_rate: float = 0.12
    queue_size: int = 4096
    momentum: float = 0.99
    seed: int = 0

    @property
    def sizes(self) -> Scale:
        """Sizes of the scale."""
        return SCALES[self.scale]

    @property
    def backbone(self) -> Backbone:
        """The scale's network."""
        return Backbone(architecture=self.sizes.architecture, width=self.sizes.width)

    def parts(self) -> tuple[DrawnImages, ...]:
        """The images, in parts that are drawn each by one process."""
        whole = DrawnImages(
            num_images=self.images, size_px=self.sizes.store_px, per_theme=self.per_theme, seed=self.seed
        )
        return tuple(
            replace(whole, first=first, num_images=min(IMAGES_PER_PART, self.images - first))
            for first in range(0, self.images, IMAGES_PER_PART)
        )

    def stage(self, kind: Kind, probe: KnnProbe | None) -> Pretrain | TrainClassifier:
        """The training."""
        if kind == "supervised":
            return TrainClassifier(
                frames=self.parts(),
                backbone=self.backbone,
                augmentation=replace(CROP_AND_FLIP, size_px=self.sizes.size_px),
                epochs=self.supervised_epochs,
                batch_size=self.batch_size,
                seed=self.seed,
            )
        return Pretrain(
            frames=self.parts(),
            method=MoCo(queue_size=self.queue_size, momentum=self.momentum),
            backbone=self.backbone,
            augmentation=MoCoAugmentation(size_px=self.sizes.size_px),
            optimisation=Optimisation(epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate),
            probe=probe,
            seed=self.seed,
        )


SMALL = Asked(images=96, epochs=2, supervised_epochs=1, batch_size=32, queue_size=64)


@dataclass(frozen=True)
class StoredVideo(FrameSource):
    """A video whose frames are in a folder already."""

    name: str

    @property
    def num_source_frames(self) -> int:
        return 0

    def expected_seconds(self) -> float:
        return 0.0

    def run(self, work: Work) -> None:
        raise NotImplementedError("its frames are there")


class Probe:
    """Accuracy of nearest neighbours on the ingested videos of a folder."""

    def __init__(self, folder: Path, epochs: int) -> None:
        sides = [sorted((folder / side).iterdir()) for side in ("training", "validation")]
        self.training, self.validation = sides
        training, validation = (tuple(StoredVideo(path.name) for path in side) for side in sides)
        self.config = KnnProbe(
            training=training, validation=validation, sample_every=1, every_epochs=max(1, epochs // 10)
        )

    @property
    def inputs(self) -> dict[str, Path]:
        """The folders, as inputs of a `Pretrain`."""
        sides = {"training": self.training, "validation": self.validation}
        return {f"probe.{side}.{index}": path for side, paths in sides.items() for index, path in enumerate(paths)}

    def accuracy(self, backbone: torch.nn.Module, size_px: int, device: torch.device, threads: int) -> float:
        """Accuracy of a network that is trained."""
        with Prober(
            self.config, self.training, self.validation, size_px=size_px, device=device, threads=threads
        ) as prober:
            return prober.accuracy(backbone.to(device))


def draw(parts: tuple[DrawnImages, ...], folder: Path, processes: int) -> dict[str, Path]:
    """Draws all parts, in several processes, and returns their folders as inputs of a training."""
    folders = {f"frames.{index}": folder / str(index) for index in range(len(parts))}
    for each in folders.values():
        each.mkdir(parents=True)
    works = [Work(output=each) for each in folders.values()]
    if processes == 1:
        for part, work in zip(parts, works, strict=True):
            part.run(work)
        return folders
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(DrawnImages.run, parts, works))
    return folders


def train(
    asked: Asked, kind: Kind, folder: Path, images: dict[str, Path], resources: Resources, probe: Probe | None
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Trains one model: the weights of its encoder, and its curves."""
    output = folder / kind
    output.mkdir()
    stage = asked.stage(kind, probe.config if probe else None)
    inputs = images | (probe.inputs if probe else {})
    start = time.perf_counter()

    def told(report: Report) -> None:
        if isinstance(report, EpochEnd):
            passed = time.perf_counter() - start
            rate = report.number * asked.images / passed
            values = ", ".join(f"{name} {value:.3f}" for name, value in report.metrics.items() if name != "epoch")
            print(f"  epoch {report.number:3d}{passed:8.1f} s{rate:8.0f} images/s  {values}", flush=True)

    stage.run(Work(output=output, inputs=inputs, resources=resources, listener=told))
    seconds = time.perf_counter() - start
    curves = {name: list(values.items()) for name, values in read_history(output).items()}
    return read_weights(output)["query"], {"seconds": seconds, "curves": curves}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder for the files")
    parser.add_argument("--frames", type=Path, help="ingested videos, to look at what the features are worth")
    parser.add_argument("--only", choices=list(METHODS), help="train one of the two")
    parser.add_argument("--cpu", action="store_true", help="leave a GPU alone")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="cores to use")
    parser.add_argument("--small", action="store_true", help="a smallest training, to see whether it works")
    for name, value in asdict(Asked()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), help=f"{value} where not given")
    options = vars(parser.parse_args())
    given = {name: options[name] for name in asdict(Asked()) if options[name] is not None}
    asked = replace(SMALL if options["small"] else Asked(), **given)
    kinds = (options["only"],) if options["only"] else tuple(METHODS)
    device = torch.device("cpu") if options["cpu"] else measuring.chosen_device()
    resources = Resources(threads=options["threads"], gpus=1 if device.type == "cuda" else 0)
    run(asked, kinds, options["output"], resources, options["frames"])


def run(asked: Asked, kinds: tuple[Kind, ...], output: Path, resources: Resources, frames: Path | None) -> None:
    """Draws, trains and writes everything."""
    device = torch.device("cuda" if resources.gpus else "cpu")
    output.mkdir(parents=True, exist_ok=True)
    probe = Probe(frames, asked.epochs) if frames else None
    figures: dict[str, Any] = {**measuring.machine(device), "asked": asdict(asked)}
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        images = draw(asked.parts(), Path(scratch) / "images", resources.threads)
        figures["drawing_seconds"], drawing = time.perf_counter() - start, core_seconds()
        print(f"drew {asked.images:,} images in {figures['drawing_seconds']:.1f} s", flush=True)
        for kind in kinds:
            before = core_seconds()
            print(kind, flush=True)
            encoder, found = train(asked, kind, Path(scratch), images, resources, probe)
            facts = Shipped(
                scale=asked.scale,
                kind=kind,
                method=METHODS[kind],
                architecture=asked.sizes.architecture,
                width=asked.sizes.width,
                size_px=asked.sizes.size_px,
                num_images=asked.images,
                epochs=asked.epochs if kind == "self-supervised" else asked.supervised_epochs,
                images=f"DrawnImages, revision {DrawnImages.revision}",
                core_seconds=round(drawing + core_seconds() - before),
                gpu_seconds=round(found["seconds"]) if resources.gpus else 0,
                device=figures["device"],
                date=today(),
            )
            path = output / f"{asked.scale}-{kind}.safetensors"
            write_shipped(path, encoder, facts)
            found |= {"facts": asdict(facts), "bytes": path.stat().st_size}
            if probe:
                found["knn_accuracy"] = file_accuracy(asked, output, kind, probe, resources, device)
                print(f"  accuracy of nearest neighbours {found['knn_accuracy']:.1f} %")
            figures[kind] = found
            print(f"{path}: {facts.title}")
    (output / CURVE).write_text(json.dumps(figures, indent=1) + "\n")


def file_accuracy(
    asked: Asked, output: Path, kind: Kind, probe: Probe, resources: Resources, device: torch.device
) -> float:
    """Accuracy of the network of a file, read as studies read it."""
    (weights,) = (each for each in shipped_with(asked.backbone, output) if each.kind == kind)
    with tempfile.TemporaryDirectory() as folder:
        stage = weights.encoder()
        stage.run(Work(output=Path(folder)))
        backbone = load_backbone(stage, Path(folder))
    return probe.accuracy(backbone, asked.sizes.size_px, device, resources.threads)


def core_seconds() -> float:
    """Processor time of this process and of those that it has ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main()
