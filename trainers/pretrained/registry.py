"""Registered weights: names of public checkpoints whose content was digested and checked once."""

import os
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from trainers.fields import Channels
from trainers.names import alike, check_case, check_name
from trainers.networks.architectures import backbone_of
from trainers.networks.backbones import Backbone
from trainers.networks.timm_backbones import PREFIX, licence_note
from trainers.pretrained.checkpoint_file import Checkpoint, read_checkpoint
from trainers.pretrained.contents import Content, Kind, Layout, grouped, inspect
from trainers.pretrained.downloads import is_source
from trainers.pretrained.file_metadata import said_in
from trainers.pretrained.public_weights import PublicWeights
from trainers.pretrained.published import OfficialFile, recognised
from trainers.runtime.registry import Stamp, names, read_record, stamp_of, write_record
from trainers.stage import InputError

UNKNOWN = "of unknown origin"
CHANGED = "has changed"
KINDS: dict[Layout, Kind] = {"moco": "self-supervised", "torchvision": "supervised"}
"""Kinds of weights that were registered when layouts told them apart."""
TUPLES = ("stamp", "left_out", "others", "from_metadata")
"""Fields of a record that JSON has as lists."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is said of a checkpoint when it is registered; what is None or empty, the file shows or says.

    Attributes:
        architecture: of its backbone.
        kind: whether it was trained with labels.
        prefix: of the backbone, where the file holds several.
        licence: of the weights.
        origin: what the weights are, in the user's words.
        source: the name that it was downloaded by.
        title: what they are, in the publisher's words.
    """

    architecture: str | None = None
    kind: Kind | None = None
    prefix: str | None = None
    licence: str = ""
    origin: str = ""
    source: str = ""
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class RegisteredWeights:
    """A checkpoint as it was when it was digested.

    Attributes:
        name: its name on the command line.
        file: its path.
        digest: SHA-256, in hex.
        layout: how the file is laid out.
        architecture: of its backbone.
        embedding_size: length of the embeddings.
        title: what the weights are, in words.
        stamp: of the file.
        kind: whether it was trained with labels.
        prefix: what stands before the names of the backbone's tensors.
        has_head: whether its projection head is used.
        num_used: number of tensors that are used; 0 in records of earlier versions.
        left_out: names of the others, many of them put together by their beginnings.
        others: prefixes of further networks in the file.
        licence: of the weights, as far as it was said.
        source: the name that it was downloaded by; empty for a user's own file.
        width: channels of its first stage.
        from_metadata: which of title, licence and kind nobody but the file's metadata says.
    """

    name: str
    file: str
    digest: str
    layout: Layout
    architecture: str
    embedding_size: int
    title: str
    stamp: Stamp
    kind: Kind
    prefix: str = ""
    has_head: bool = False
    num_used: int = 0
    left_out: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    licence: str = ""
    source: str = ""
    width: Channels = Backbone.width
    from_metadata: tuple[str, ...] = ()

    def encoder(self) -> PublicWeights:
        """The stage that makes encoders of the checkpoint."""
        return PublicWeights(
            digest=self.digest,
            layout=self.layout,
            backbone=backbone_of(self.architecture, width=self.width),
            embedding_size=self.embedding_size,
            prefix=self.prefix if self.layout == "other" else "",
            path=Path(self.file),
        )


def register(folder: Path, name: str, path: Path, asked: Asked = Asked()) -> RegisteredWeights:
    """Checks and digests a checkpoint and registers it under a name.

    Args:
        folder: of the registry.
        name: of the weights.
        path: the file; it stays where it is.
        asked: what is said of it.

    Raises:
        InputError: the name is no plain word, the file has the name of a published one but another content, it is no
            checkpoint that can be used, or it does not show whether it was trained with labels.
        MachineError: the file cannot be read.
    """
    check_name(name, "weights")
    check_case(name, names(folder), "weights")
    path = Path(os.path.realpath(path))
    checkpoint = read_checkpoint(path)
    content = inspect(checkpoint.tensors, path, asked.architecture, asked.prefix)
    stamp = stamp_of(path)
    digest, official = recognised(path)
    origin = _origin(checkpoint, path, asked, content, official)
    weights = RegisteredWeights(
        name=name,
        file=str(path),
        digest=digest,
        layout=content.layout,
        architecture=content.architecture,
        embedding_size=content.embedding_size,
        title=origin.title,
        stamp=stamp,
        kind=origin.kind,
        prefix=content.prefix,
        has_head=content.has_head,
        num_used=len(content.used),
        left_out=grouped(content.left_out),
        others=content.others,
        licence=origin.licence or _noted(content.architecture),
        source=asked.source,
        width=content.width,
        from_metadata=origin.from_metadata,
    )
    write_record(folder, name, asdict(weights))
    return weights


def _noted(architecture: str) -> str:
    """The licence that timm notes of the weights that an architecture's tag names; empty where there is none."""
    tagged = architecture.startswith(PREFIX) and "." in architecture
    return licence_note(architecture.removeprefix(PREFIX)) if tagged else ""


def load(folder: Path, name: str) -> RegisteredWeights:
    """Registered weights.

    Raises:
        InputError: nothing is registered under this name, or the file changed since it was.
        MachineError: its record cannot be read.
    """
    weights = recorded(folder, name)
    if fault_of_file(weights) == CHANGED:
        raise InputError(
            f"{weights.file} changed since weights {name!r} were registered: "
            f"`freelunch weights add {shlex.quote(weights.file)} --name {name}` reads it again."
        )
    return weights


def recorded(folder: Path, name: str) -> RegisteredWeights:
    """Weights as they were registered, whatever has become of their file.

    Raises:
        InputError: nothing is registered under this name.
        MachineError: its record cannot be read.
    """
    if name not in names(folder):
        known = names(folder)
        near = alike(name, known)
        added = name if is_source(name) else f"FILE --name {name}"
        remedy = f"did you mean {near[0]!r}?" if near else f"`freelunch weights add {added}` adds them."
        if Path(name).is_file():
            file = shlex.quote(name)
            raise InputError(f"{name!r} is a file: `freelunch weights add {file} --name NAME` gives it a name to use.")
        if not is_source(name):
            check_name(name, "weights")
        raise InputError(f"no weights named {name!r} (registered: {', '.join(known) or 'none'}): {remedy}")
    remedy = f"`freelunch weights add FILE --name {name}` registers the weights again."
    return read_record(folder, name, _weights, remedy)


def fault_of_file(weights: RegisteredWeights) -> str:
    """What has become of the file of registered weights; empty where it is what it was."""
    file = Path(weights.file)
    if not file.exists():
        return "is not on this machine"
    return CHANGED if stamp_of(file) != weights.stamp else ""


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """Origin of weights: what `RegisteredWeights` has under the same names."""

    title: str
    licence: str
    kind: Kind
    from_metadata: tuple[str, ...]


def _origin(
    checkpoint: Checkpoint, path: Path, asked: Asked, content: Content, official: OfficialFile | None
) -> _Origin:
    """What the user says of weights, then what is known of a published file, its publisher, its metadata, its tensors.

    Raises:
        InputError: nothing shows whether labels trained them.
    """
    said = said_in(checkpoint.metadata)
    title = asked.origin or (official.title if official else asked.title)
    kind = asked.kind or (official.kind if official else None)
    given = {"title": title, "licence": asked.licence, "kind": kind or (said.kind == content.kind)}
    return _Origin(
        title=title or said.title or UNKNOWN,
        licence=asked.licence or said.licence,
        kind=kind or said.kind or content.kind or _refuse_unknown_kind(path, content),
        from_metadata=tuple(name for name, known in given.items() if not known and vars(said)[name]),
    )


def _refuse_unknown_kind(path: Path, content: Content) -> NoReturn:
    raise InputError(
        f"{path} holds a {content.architecture} without classifier or projection head: nothing shows whether "
        "labels trained it, so say --kind self-supervised or --kind supervised."
    )


def _weights(record: dict[str, Any]) -> RegisteredWeights:
    kind = record["kind"] if "kind" in record else KINDS[record["layout"]]
    lists: dict[str, Any] = {name: tuple(record[name]) for name in TUPLES if name in record}
    return RegisteredWeights(**{**record, "kind": kind, **lists})
