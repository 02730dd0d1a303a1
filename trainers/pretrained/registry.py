"""Registered weights: names of public checkpoints whose content was digested and checked once."""

import hashlib
import os
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainers.names import check_case, check_name
from trainers.networks.backbones import Architecture, Backbone
from trainers.pretrained.public_weights import DIGEST, Layout, PublicWeights, inspect, read_file
from trainers.runtime.registry import Stamp, names, read_record, stamp_of, write_record
from trainers.stage import InputError


@dataclass(frozen=True, kw_only=True)
class OfficialFile:
    """A checkpoint as its authors publish it.

    Attributes:
        file_name: its name there.
        title: its content.
        digest: the content digest that its publisher names.
        prefix: the hexadecimal digits of it that are published.
    """

    file_name: str
    title: str
    digest: str
    prefix: str


OFFICIAL = (
    OfficialFile(
        file_name="moco_v2_200ep_pretrain.pth.tar",
        title="MoCo v2, 200 epochs on ImageNet",
        digest="md5",
        prefix="59fd9945",
    ),
    OfficialFile(
        file_name="moco_v2_800ep_pretrain.pth.tar",
        title="MoCo v2, 800 epochs on ImageNet",
        digest="md5",
        prefix="a04e12f8",
    ),
    OfficialFile(
        file_name="resnet50-0676ba61.pth",
        title="ResNet-50, supervised on ImageNet (torchvision, V1)",
        digest=DIGEST,
        prefix="0676ba61",
    ),
    OfficialFile(
        file_name="resnet50-11ad3fa6.pth",
        title="ResNet-50, supervised on ImageNet (torchvision, V2)",
        digest=DIGEST,
        prefix="11ad3fa6",
    ),
    OfficialFile(
        file_name="resnet18-f37072fd.pth",
        title="ResNet-18, supervised on ImageNet (torchvision, V1)",
        digest=DIGEST,
        prefix="f37072fd",
    ),
)
"""Known files. MoCo's authors publish the beginning of an MD5 digest (README of facebookresearch/moco, at a commit
of 2020), torchvision that of a SHA-256 digest, in the file's name."""

UNKNOWN = "of unknown origin"


@dataclass(frozen=True, kw_only=True)
class RegisteredWeights:
    """A checkpoint as it was when it was digested.

    Attributes:
        name: its name on the command line.
        file: its path.
        digest: SHA-256, in hex.
        layout: MoCo's is self-supervised, torchvision's is supervised.
        architecture: of its backbone.
        embedding_size: length of the embeddings.
        title: of the published file, where it is known.
        stamp: of the file.
    """

    name: str
    file: str
    digest: str
    layout: Layout
    architecture: Architecture
    embedding_size: int
    title: str
    stamp: Stamp

    def encoder(self) -> PublicWeights:
        """The stage that makes encoders of the checkpoint."""
        return PublicWeights(
            digest=self.digest,
            layout=self.layout,
            backbone=Backbone(architecture=self.architecture),
            embedding_size=self.embedding_size,
            path=Path(self.file),
        )


def register(folder: Path, name: str, path: Path) -> RegisteredWeights:
    """Digests and checks a checkpoint and registers it under a name.

    Args:
        folder: of the registry.
        name: of the weights.
        path: the file; it stays where it is.

    Raises:
        InputError: the name is no plain word, the file has the name of a published one but another content, or it is no
            checkpoint that can be used.
        MachineError: the file cannot be read.
    """
    check_name(name, "weights")
    check_case(name, names(folder), "weights")
    path = Path(os.path.realpath(path))
    content = read_file(path)
    stamp = stamp_of(path)
    title = _recognised(path, content)
    found = inspect(path, content)
    weights = RegisteredWeights(
        name=name,
        file=str(path),
        digest=hashlib.new(DIGEST, content).hexdigest(),
        layout=found.layout,
        architecture=found.architecture,
        embedding_size=found.embedding_size,
        title=title,
        stamp=stamp,
    )
    write_record(folder, name, asdict(weights))
    return weights


def load(folder: Path, name: str) -> RegisteredWeights:
    """Registered weights.

    Raises:
        InputError: nothing is registered under this name, or the file changed since it was.
        MachineError: its record cannot be read.
    """
    if name not in names(folder):
        known = ", ".join(names(folder)) or "none"
        raise InputError(
            f"no weights named {name!r} (registered: {known}): `freelunch weights add FILE --name {name}` adds them."
        )
    remedy = f"`freelunch weights add FILE --name {name}` registers the weights again."
    weights = read_record(folder, name, _weights, remedy)
    file = Path(weights.file)
    if file.exists() and stamp_of(file) != weights.stamp:
        raise InputError(
            f"{file} changed since weights {name!r} were registered: "
            f"`freelunch weights add {shlex.quote(str(file))} --name {name}` reads it again."
        )
    return weights


def _recognised(path: Path, content: bytes) -> str:
    """The title of the published file with a content.

    Raises:
        InputError: the file has the name of a published one, but another content.
    """
    digests = {
        kind: hashlib.new(kind, content, usedforsecurity=False).hexdigest()
        for kind in {official.digest for official in OFFICIAL}
    }
    for official in OFFICIAL:
        if digests[official.digest].startswith(official.prefix):
            return official.title
    for official in OFFICIAL:
        if path.name == official.file_name:
            raise InputError(
                f"{path} is not {official.title}: its {official.digest} begins with "
                f"{digests[official.digest][: len(official.prefix)]}, not {official.prefix}; "
                "download it again, or rename it if it is another model."
            )
    return UNKNOWN


def _weights(record: dict[str, Any]) -> RegisteredWeights:
    return RegisteredWeights(**{**record, "stamp": tuple(record["stamp"])})
