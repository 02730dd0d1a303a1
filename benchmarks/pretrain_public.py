"""Trains the free models that come with the package, from random weights on drawn images.

    python -m benchmarks.pretrain_public --output FOLDER [--frames FOLDER [--compare]] [--images N] [--epochs E]

Writes `demo-self-supervised.safetensors` (MoCo v2), `demo-supervised.safetensors` (a classifier: of scenes where
`--per-scene` asks for several photographs of each, else of the kinds of images) and `pretrain-public.json` (curves,
times, versions). Once they are in `trainers/pretrained/shipped/`, scale `demo` starts from them. `--frames` is a folder
whose folders `training` and `validation` hold ingested videos: then it is said what the features are worth on these, by
nearest neighbours; no training sees them. `--compare` trains candidates of the self-supervised kind first, one on each
core, and goes on with the settings of the best. On one type of machine the same command gives the same bits. It needs
torch, torchvision, timm, OpenCV, PyArrow and safetensors alone.
"""

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks import measuring
from benchmarks.public_models import CANDIDATES, KINDS, SHORT, SMALL, Settings, draw
from benchmarks.public_probe import Probe
from trainers.artifacts.history import read_history
from trainers.pretrained.contents import Kind
from trainers.pretrained.file_metadata import Shipped
from trainers.pretrained.shipped import shipped_with, today, write_shipped
from trainers.ssl.encoders import load_backbone, read_weights
from trainers.stage import EpochEnd, Report, Resources, Work

CURVE = "pretrain-public.json"
SELF_SUPERVISED: tuple[Kind, ...] = ("self-supervised",)


def train(
    asked: Settings, kind: Kind, folder: Path, images: dict[str, Path], resources: Resources, probe: Probe | None
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
    parser.add_argument("--compare", action="store_true", help="compare candidates by these videos, and take the best")
    parser.add_argument("--seconds", type=float, help="choose EPOCHS so that self-supervised training takes about this")
    parser.add_argument("--only", choices=KINDS, help="train one of the two")
    parser.add_argument("--cpu", action="store_true", help="leave a GPU alone")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="cores to use")
    parser.add_argument("--small", action="store_true", help="a smallest training, to see whether it works")
    for name, value in asdict(Settings()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), help=f"{value} where not given")
    options = vars(parser.parse_args())
    given = {name: options[name] for name in asdict(Settings()) if options[name] is not None}
    asked = replace(SMALL if options["small"] else Settings(), **given)
    if options["compare"]:
        if options["frames"] is None:
            parser.error("--compare needs the videos of --frames to compare by")
        asked = replace(asked, **best_candidate(options["output"], options["frames"], options["threads"], CANDIDATES))
    kinds = (options["only"],) if options["only"] else KINDS
    device = torch.device("cpu") if options["cpu"] else measuring.chosen_device()
    resources = Resources(threads=options["threads"], gpus=1 if device.type == "cuda" else 0)
    run(asked, kinds, options["output"], resources, options["frames"], seconds=options["seconds"])


def run(
    asked: Settings,
    kinds: tuple[Kind, ...],
    output: Path,
    resources: Resources,
    frames: Path | None,
    *,
    looks: int = 10,
    seconds: float | None = None,
) -> dict[str, Any]:
    """Draws, trains and writes everything; the figures of the JSON file come back.

    Args:
        asked: the settings.
        kinds: of models.
        output: folder for the files.
        resources: cores, and the GPU if there is one.
        frames: folder of videos to look at, if any.
        looks: how often self-supervised training is looked at, about.
        seconds: that self-supervised training shall take, at the pace of the supervised one before it; as many epochs
            as are asked for where None.
    """
    device = torch.device("cuda" if resources.gpus else "cpu")
    output.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = measuring.machine(device)
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        images = draw(asked.parts(), Path(scratch) / "images", resources.threads)
        figures["drawing_seconds"] = time.perf_counter() - start
        print(f"drew {asked.images:,} images in {figures['drawing_seconds']:.1f} s", flush=True)
        for kind in kinds:
            if seconds and kind == "self-supervised" and "supervised" in figures:
                pace = figures["supervised"]["seconds"] / asked.supervised_epochs
                asked = replace(asked, epochs=max(1, int(seconds / pace)))
            probe = Probe(frames, every_epochs=max(1, asked.epochs // looks)) if frames else None
            print(kind, flush=True)
            encoder, found = train(asked, kind, Path(scratch), images, resources, probe)
            facts = Shipped(
                scale=asked.scale,
                kind=kind,
                method=asked.method(kind),
                architecture=asked.architecture,
                width=asked.width,
                size_px=asked.size_px,
                num_images=asked.images,
                epochs=asked.epochs if kind == "self-supervised" else asked.supervised_epochs,
                images=", ".join({f"{type(part).__name__}, revision {part.revision}" for part in asked.parts()}),
                core_seconds=round((figures["drawing_seconds"] + found["seconds"]) * resources.threads),
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
    figures["asked"] = asdict(asked)
    (output / CURVE).write_text(json.dumps(figures, indent=1) + "\n")
    return figures


def best_candidate(
    output: Path, frames: Path, processes: int, candidates: tuple[dict[str, Any], ...], **budget: int
) -> dict[str, Any]:
    """The settings whose short training, on a core of its own, gives the features that are worth most.

    Args:
        output: folder for what they leave.
        frames: folder of the videos.
        processes: how many are trained at once.
        candidates: the settings.
        budget: what is otherwise than in a short training.
    """
    folders = [output / f"candidate-{number}" for number in range(len(candidates))]
    with ProcessPoolExecutor(min(processes, len(candidates)), mp_context=get_context("spawn")) as pool:
        tried = [
            pool.submit(_tried, Settings(**{**SHORT, **candidate, **budget}), folder, frames)
            for candidate, folder in zip(candidates, folders, strict=True)
        ]
        accuracies = [each.result() for each in tried]
    for accuracy, candidate in sorted(zip(accuracies, candidates, strict=True), key=lambda each: -each[0]):
        print(f"  {accuracy:.1f} % of neighbours: {candidate or 'as usual'}", flush=True)
    compared = [{"knn_accuracy": a, "settings": c} for a, c in zip(accuracies, candidates, strict=True)]
    (output / "candidates.json").write_text(json.dumps(compared, indent=1) + "\n")
    return candidates[accuracies.index(max(accuracies))]


def _tried(asked: Settings, folder: Path, frames: Path) -> float:
    with redirect_stdout(None):
        figures = run(asked, SELF_SUPERVISED, folder, Resources(threads=1), frames, looks=1)
    return float(figures["self-supervised"]["knn_accuracy"])


def file_accuracy(
    asked: Settings, output: Path, kind: Kind, probe: Probe, resources: Resources, device: torch.device
) -> float:
    """Accuracy of the network of a file, read as studies read it."""
    (weights,) = (each for each in shipped_with(asked.backbone, output) if each.kind == kind)
    with tempfile.TemporaryDirectory() as folder:
        stage = weights.encoder()
        stage.run(Work(output=Path(folder)))
        backbone = load_backbone(stage, Path(folder))
    return probe.accuracy(backbone, asked.size_px, device, resources.threads)


if __name__ == "__main__":
    main()
