"""Public checkpoints as encoders: MoCo v2's own files and torchvision's ResNets, checked tensor by tensor."""

import copy
import hashlib
import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from trainers.fields import Channels
from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import Architecture, Backbone
from trainers.runtime.loss_watch import not_finite
from trainers.runtime.randomness import derived_seed
from trainers.ssl.encoders import EncoderStage, random_encoder, write_weights
from trainers.ssl.pairs import SharedBackbonePair
from trainers.stage import InputError, MachineError, Work

Layout = Literal["moco", "torchvision"]
"""Layout of a checkpoint: a `state_dict` of `module.encoder_q.*`, or a network's tensors by their names."""

DIGEST = "sha256"
Shape = tuple[int, ...]

QUERY, KEY = "module.encoder_q.", "module.encoder_k."
QUEUE = ("module.queue", "module.queue_ptr")
IMAGENET_CLASSES = 1000
MOCO_HEAD = {"head.hidden": "fc.0", "head.output": "fc.2"}
OPTIONAL = ".num_batches_tracked"
"""Ends the names of the counters that files older than torch 0.4.1 do not have; they start at 0 then."""
VARIANCE = ".running_var"


@dataclass(frozen=True, kw_only=True)
class PublicWeights(EncoderStage):
    """A downloaded checkpoint in the roles that later stages know, as `Release` leaves them.

    Query and key encoder are both the checkpoint's query encoder, on one frozen backbone: parameters, running
    statistics, and the public projection head where there is one. MoCo's own key encoder and queue are checked and
    left out: training from the weights starts with a copy of the query encoder and an empty queue. A supervised
    checkpoint has no projection head, so that one is drawn from a fixed seed; its classifier of ImageNet's
    classes is left out.

    Attributes:
        digest: SHA-256 of the file, in hex: it identifies the weights, independently of the path.
        layout: how the checkpoint is laid out.
        backbone: the architecture it holds.
        embedding_size: length of the embeddings.
        path: the file.
    """

    digest: str
    layout: Layout
    backbone: AnyBackbone
    embedding_size: Channels = 128
    path: Path = field(compare=False)

    @property
    def output_size(self) -> int:
        return self.embedding_size

    @property
    def title(self) -> str:
        return f"{self.kind} {self.path.name}"

    def expected_seconds(self) -> float:
        return 5.0

    def run(self, work: Work) -> None:
        content = read_file(self.path)
        if hashlib.new(DIGEST, content).hexdigest() != self.digest:
            raise InputError(
                f"{self.path} is not the file that was registered: `freelunch weights add` it again under its name."
            )
        state = checked_state(parse(self.path, content), self.path, self.layout, self.backbone, self.embedding_size)
        query = random_encoder(self.backbone, self.embedding_size, derived_seed(0, "public weights"))
        query.load_state_dict({**query.state_dict(), **state})
        pair = SharedBackbonePair(query, copy.deepcopy(query), trains="none")
        write_weights(work.output, pair)


@dataclass(frozen=True, kw_only=True)
class Found:
    """Content of a checkpoint."""

    layout: Layout
    architecture: Architecture
    embedding_size: Channels


def inspect(path: Path, content: bytes) -> Found:
    """Recognises a checkpoint and checks all of it.

    Args:
        path: what errors call it.
        content: the file's bytes.

    Raises:
        InputError: it is neither MoCo v2's nor torchvision's ResNet-50 or ResNet-18, or some tensor does not fit.
    """
    checkpoint = parse(path, content)
    layout: Layout = "moco" if "state_dict" in checkpoint else "torchvision"
    state = _tensors(checkpoint, path, layout)
    prefix = QUERY if layout == "moco" else ""
    if f"{prefix}conv1.weight" not in state:
        raise InputError(
            f"{path} holds no {prefix}conv1.weight: give MoCo v2's checkpoint or torchvision's ResNet, as published."
        )
    architecture: Architecture = "resnet50" if f"{prefix}layer1.0.conv3.weight" in state else "resnet18"
    embedding_size = _length(state, f"{QUERY}fc.2.weight", 0, PublicWeights.embedding_size)
    checked_state(checkpoint, path, layout, Backbone(architecture=architecture), embedding_size)
    return Found(layout=layout, architecture=architecture, embedding_size=embedding_size)


def read_file(path: Path) -> bytes:
    """The bytes of a checkpoint.

    Raises:
        InputError: it is a folder, a pipe or a device.
        MachineError: it cannot be read here.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no file: name the checkpoint itself.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise MachineError(
            f"{path} cannot be read on this machine ({error.strerror}): put it where all of them see it."
        ) from None


def parse(path: Path, content: bytes) -> Mapping[str, Any]:
    """A checkpoint's top level; no code in it is run.

    Raises:
        InputError: it is no checkpoint of tensors.
    """
    try:
        checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError):
        checkpoint = None
    if not isinstance(checkpoint, dict):
        raise InputError(f"{path} is no torch checkpoint of tensors alone: download the file again, as published.")
    return checkpoint


def checked_state(
    checkpoint: Mapping[str, Any], path: Path, layout: Layout, backbone: AnyBackbone, embedding_size: int
) -> dict[str, Tensor]:
    """A checkpoint's query encoder under the names of ours: the backbone, and the head where there is one.

    Raises:
        InputError: a tensor is missing, has another shape, does not belong, or holds what no training leaves; the
            sentence names the first.
    """
    state = _tensors(checkpoint, path, layout)
    encoder = random_encoder(backbone, embedding_size, seed=0).state_dict()
    ours = {_public_name(name, layout): name for name in encoder}
    query = {public: tuple(encoder[name].shape) for public, name in ours.items() if public}
    _check(state, {**query, **_companions(state, query, layout, backbone, embedding_size)}, path, backbone)
    return {ours[public]: state[public] for public in query if public in state}


def _tensors(checkpoint: Mapping[str, Any], path: Path, layout: Layout) -> Mapping[str, Tensor]:
    state = checkpoint.get("state_dict") if layout == "moco" else checkpoint
    if not isinstance(state, dict) or not state:
        raise InputError(f"{path} has an empty state_dict: download the file again, as published.")
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise InputError(f"{path} holds {name}, which is no tensor: give the file as published.")
    return state


def _public_name(name: str, layout: Layout) -> str:
    """The name in a checkpoint of one of our tensors; empty where it has none."""
    if name.startswith("backbone."):
        return (QUERY if layout == "moco" else "") + name.removeprefix("backbone.")
    part, _, kind = name.rpartition(".")
    return f"{QUERY}{MOCO_HEAD[part]}.{kind}" if layout == "moco" else ""


def _companions(
    state: Mapping[str, Tensor], query: Mapping[str, Shape], layout: Layout, backbone: AnyBackbone, embedding_size: int
) -> dict[str, Shape]:
    """The shapes of the tensors beside the query encoder: a classifier, or key encoder and queue, each whole or absent.

    The file itself says how many classes and how many keys there are.
    """
    if layout == "torchvision":
        classes = _length(state, "fc.bias", -1, IMAGENET_CLASSES)
        return {"fc.weight": (classes, backbone.num_features), "fc.bias": (classes,)}
    companions: dict[str, Shape] = {}
    if any(name.startswith(KEY) for name in state):
        companions |= {KEY + name.removeprefix(QUERY): shape for name, shape in query.items()}
    if any(name in state for name in QUEUE):
        companions |= dict(zip(QUEUE, ((embedding_size, _length(state, QUEUE[0], -1, 0)), (1,)), strict=True))
    return companions


def _length(state: Mapping[str, Tensor], name: str, dimension: int, otherwise: int) -> int:
    tensor = state.get(name)
    return otherwise if tensor is None or not tensor.dim() else tensor.shape[dimension]


def _check(state: Mapping[str, Tensor], wanted: Mapping[str, Shape], path: Path, backbone: AnyBackbone) -> None:
    has = f"{backbone.architecture} has"
    for name, shape in wanted.items():
        if name not in state:
            if name.endswith(OPTIONAL):
                continue
            raise InputError(f"{path} lacks {name}, which {has}: give the file as published.")
        if state[name].shape != shape:
            found, expected = (_spelled(each) for each in (tuple(state[name].shape), shape))
            raise InputError(f"{path} holds {name} as {found} where {has} {expected}: give the file as published.")
    for name in state:
        if name not in wanted:
            raise InputError(f"{path} holds {name}, which {has} not: give the file as published.")
    _check_values(state, path)


def _check_values(state: Mapping[str, Tensor], path: Path) -> None:
    name = not_finite(state)
    if name is not None:
        raise InputError(f"{path} holds NaN or an infinite value in {name}: download the file again, as published.")
    for name, value in state.items():
        if name.endswith(VARIANCE) and bool((value < 0).any()):
            raise InputError(f"{path} holds a negative variance in {name}: download the file again, as published.")


def _spelled(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "a single number"
