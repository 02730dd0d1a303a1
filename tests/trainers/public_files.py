"""Small files laid out as the public checkpoints are, with the name of every tensor that these have."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainers.networks.backbones import Backbone
from trainers.ssl.encoders import Encoder, random_encoder

EMBEDDING = 128


def moco_file(path: Path, backbone: Backbone, *, seed: int = 5, keys: int = 32) -> tuple[Path, Encoder]:
    """A checkpoint as MoCo's training script saves it; returns the query encoder in it too."""
    query, key = (random_encoder(backbone, EMBEDDING, seed + offset) for offset in (0, 1))
    state = {
        "module.queue": torch.randn(EMBEDDING, keys),
        "module.queue_ptr": torch.zeros(1, dtype=torch.long),
        **moco_names(query, "module.encoder_q."),
        **moco_names(key, "module.encoder_k."),
    }
    torch.save({"epoch": 200, "arch": "resnet50", "state_dict": state, "optimizer": {"state": {}}}, path)
    return path, query


def torchvision_file(path: Path, backbone: Backbone, *, seed: int = 5, classes: int = 1000) -> tuple[Path, Encoder]:
    """A network's tensors by name, as torchvision's older files have them: without counters of batches."""
    encoder = random_encoder(backbone, EMBEDDING, seed)
    state = {name: tensor for name, tensor in encoder.backbone.state_dict().items() if not counts(name)}
    state |= {"fc.weight": torch.randn(classes, backbone.num_features), "fc.bias": torch.randn(classes)}
    torch.save(state, path)
    return path, encoder


def moco_names(encoder: Encoder, prefix: str) -> dict[str, Tensor]:
    head = encoder.head.state_dict()
    places = {"hidden.weight": "fc.0.weight", "hidden.bias": "fc.0.bias"}
    places |= {"output.weight": "fc.2.weight", "output.bias": "fc.2.bias"}
    named = {**encoder.backbone.state_dict(), **{places[name]: tensor for name, tensor in head.items()}}
    return {prefix + name: tensor for name, tensor in named.items()}


def rewritten(path: Path, changes: dict[str, Any]) -> Path:
    """The file with some tensors changed; None takes one away."""
    checkpoint = torch.load(path, weights_only=True)
    state = checkpoint.get("state_dict", checkpoint)
    for name, value in changes.items():
        if value is None:
            del state[name]
        else:
            state[name] = value
    torch.save(checkpoint, path)
    return path


def counts(name: str) -> bool:
    return name.endswith("num_batches_tracked")
