"""Tiny real things that the tests of the training code share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from trainers.data.frames import Frame, FrameSource, write_frames
from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import Backbone
from trainers.networks.timm_backbones import TimmBackbone
from trainers.runtime.randomness import torch_generator
from trainers.ssl.encoders import write_weights
from trainers.ssl.method import Method, Views
from trainers.ssl.pairs import EncoderPair
from trainers.ssl.regioncl import RegionCLMethod
from trainers.ssl.untrained import Untrained
from trainers.stage import EpochEnd, Listener, Report, Resources, Work, ignore_report

SIZE_PX = 32
SMALL_PX = 16
"""Side of the small views, of which every batch has two."""
STEPS_PER_EPOCH = 2
REGIONS_PX = 96
"""Side of the views of a method that swaps regions: its feature maps are of 3×3 cells."""
BATCH = 8
EMBEDDING = 6
BACKBONE = Backbone(architecture="resnet10", width=4, batch_norm_splits=2)
ONE_SPLIT = BACKBONE.without_splits()
"""For methods that normalise over the whole batch."""
VIT = TimmBackbone(model="test_vit", input_px=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
"""A small vision transformer, which can only teach."""
CONVNEXT, TIMM_RESNET = (
    TimmBackbone(model=model, batch_norm_splits=BACKBONE.batch_norm_splits)
    for model in ("test_convnext", "test_resnet")
)
PHASES = ("first", "second", "third")


@dataclass(frozen=True, kw_only=True)
class Recording(FrameSource):
    """A frame store that a test has written."""

    name: str = "video01"

    @property
    def num_source_frames(self) -> int:
        return 100

    def expected_seconds(self) -> float:
        return 0.0

    def run(self, work: Work) -> None:
        raise AssertionError("the test has written it")


def write_recording(
    folder: Path, labels: Sequence[int], *, name: str = "video01", contrast: float = 1.0
) -> tuple[Recording, Path]:
    """A store of 40-px images, each the colour of its phase under noise."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(len(name) + sum(map(ord, name)))
    colours = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])
    frames = []
    for index, label in enumerate(labels):
        noise = generator.integers(0, 256, (5, 5, 3))
        coarse = contrast * colours[label] + (1 - contrast) * noise if label >= 0 else noise
        frames.append(Frame(index, label, cv2.resize(coarse.astype(np.uint8), (40, 40))))
    write_frames(folder, frames, source=f"digest of {name}", label_names=PHASES)
    return Recording(name=name), folder


def untrained(folder: Path, *, seed: int = 3, backbone: AnyBackbone = BACKBONE) -> Untrained:
    """An encoder stage that has been run into `folder`."""
    stage = Untrained(backbone=backbone, embedding_size=EMBEDDING, seed=seed)
    folder.mkdir(parents=True)
    stage.run(Work(output=folder))
    return stage


def write_pair(folder: Path, pair: EncoderPair) -> Path:
    folder.mkdir(parents=True)
    write_weights(folder, pair)
    return folder


def work(
    output: Path,
    inputs: Mapping[str, Path] | None = None,
    *,
    listener: Listener = ignore_report,
    threads: int = 1,
) -> Work:
    output.mkdir(parents=True, exist_ok=True)
    return Work(output=output, inputs=inputs or {}, listener=listener, resources=Resources(threads=threads))


def raising(error: type[BaseException], *, after: int) -> Listener:
    """A listener that raises after an epoch (1-based)."""

    def listen(report: Report) -> None:
        if isinstance(report, EpochEnd) and report.number == after:
            raise error

    return listen


def views(step: int, *, batch_size: int = BATCH, dtype: torch.dtype = torch.float32, size_px: int = SIZE_PX) -> Views:
    """A batch that depends on the step alone."""
    query, key = torch.randn(2, batch_size, 3, size_px, size_px, generator=torch_generator(0, "test", step))
    small = torch.randn(2, batch_size, 3, SMALL_PX, SMALL_PX, generator=torch_generator(0, "small", step))
    return Views(
        query=query.to(dtype),
        key=key.to(dtype),
        frame_ids=torch.arange(batch_size) + step * batch_size,
        step=step,
        epoch=step // STEPS_PER_EPOCH,
        small=tuple(small.to(dtype)),
    )


def views_for(method: Method, step: int, *, batch_size: int = BATCH, dtype: torch.dtype = torch.float32) -> Views:
    """A batch of views that the method takes."""
    size_px = REGIONS_PX if isinstance(method, RegionCLMethod) else SIZE_PX
    return views(step, batch_size=batch_size, dtype=dtype, size_px=size_px)


def new_optimiser(method: nn.Module) -> torch.optim.SGD:
    learning = [parameter for parameter in method.parameters() if parameter.requires_grad]
    return torch.optim.SGD(learning, lr=0.05, momentum=0.9, weight_decay=1e-4)


def training_embeddings(encoders, batch, permutation, momentum=0.9):
    """Queries and keys as a training step embeds them: the key encoder follows in between."""
    query_inputs, key_inputs = encoders.inputs(batch.query, batch.key)
    queries = encoders.embed_queries(query_inputs)
    encoders.update_key_encoder(momentum)
    return queries, encoders.embed_keys(key_inputs, permutation)


def take_steps(
    method: Method, steps: Sequence[int], optimiser: torch.optim.SGD | None = None, dtype: torch.dtype = torch.float32
) -> list[dict[str, float]]:
    """Trains on the steps' batches; the loss terms of each."""
    optimiser = optimiser or new_optimiser(method)
    method.train()
    losses = []
    for step in steps:
        terms = method(views_for(method, step, dtype=dtype))
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimiser.step()
        losses.append({name: value.item() for name, value in terms.items()})
    return losses


def copied(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.clone() if isinstance(value, Tensor) else value for name, value in state.items()}


def assert_same_state(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    """Equal to the last bit, at any depth."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        if isinstance(value, Mapping):
            assert_same_state(value, second[name])
        elif isinstance(value, Tensor):
            assert torch.equal(value, second[name]), name
        else:
            assert value == second[name], name
