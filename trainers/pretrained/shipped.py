"""Free models that come with the package: small networks trained on drawn images, found by their architecture."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import Backbone
from trainers.pretrained.contents import EMBEDDING_SIZE
from trainers.pretrained.file_metadata import SHIPPED_FACTS, Shipped
from trainers.pretrained.public_weights import DIGEST, SHIPPED, digests_of
from trainers.pretrained.registry import RegisteredWeights
from trainers.records import checked
from trainers.runtime.registry import Stamp, stamp_of

BACKBONE, HEAD = "backbone.", "projector."
HEAD_LAYERS = {"hidden": "0", "output": "2"}
"""Layers of the head by the names of ours: solo-learn's names, which are read of any file."""


def write_shipped(path: Path, encoder: Mapping[str, Tensor], facts: Shipped) -> None:
    """Writes the backbone of an encoder, and of a self-supervised one its head, with what is to be said of them.

    Weights of layers are in half precision, as the largest of their rounding errors is far below what training moves.
    """
    tensors = {name: value for name, value in encoder.items() if name.startswith(BACKBONE)}
    if facts.kind == "self-supervised":
        for ours, theirs in HEAD_LAYERS.items():
            tensors |= {f"{HEAD}{theirs}.{part}": encoder[f"head.{ours}.{part}"] for part in ("weight", "bias")}
    stored = {name: (value.half() if value.dim() > 1 else value).contiguous() for name, value in tensors.items()}
    save_file(stored, path, {SHIPPED_FACTS: json.dumps(asdict(facts))})


def shipped_with(backbone: AnyBackbone, folder: Path | None = None) -> tuple[RegisteredWeights, ...]:
    """The free models that come with the package and have this network, as if they had been registered.

    Args:
        backbone: the network; how it normalises a batch does not count.
        folder: of the files; the package's where None.
    """
    if not isinstance(backbone, Backbone):
        return ()
    paths = sorted((folder or SHIPPED).glob("*.safetensors"))
    found = [_registered(path, stamp_of(path)) for path in paths]
    return tuple(each for each in found if (each.architecture, each.width) == (backbone.architecture, backbone.width))


def facts_of(path: Path) -> Shipped:
    """What a file says of itself."""
    with safe_open(path, framework="pt") as file:
        return checked(Shipped(**json.loads(file.metadata()[SHIPPED_FACTS])))


@cache
def _registered(path: Path, stamp: Stamp) -> RegisteredWeights:
    facts = facts_of(path)
    with safe_open(path, framework="pt") as file:
        num_tensors = len(file.keys())
    return RegisteredWeights(
        name=path.stem,
        file=str(path),
        digest=digests_of(path, (DIGEST,))[DIGEST],
        layout="other",
        architecture=facts.architecture,
        width=facts.width,
        embedding_size=EMBEDDING_SIZE,
        title=facts.title,
        stamp=stamp,
        kind=facts.kind,
        prefix=BACKBONE,
        has_head=facts.kind == "self-supervised",
        num_used=num_tensors,
        licence=facts.licence,
    )


def today() -> str:
    """The date of a training that ends now."""
    return time.strftime("%Y-%m-%d")
