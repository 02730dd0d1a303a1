"""Content of a checkpoint: the network in it, its head, and what of the file is left out."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from trainers.fields import Channels
from trainers.networks.architectures import AnyBackbone, backbone_of
from trainers.pretrained.guesses import family, guessed, stem_width
from trainers.pretrained.prefixes import Place, is_copy, places
from trainers.pretrained.public_heads import PublicHead, has_classifier, is_self_supervised, projection_head
from trainers.runtime.loss_watch import not_finite
from trainers.stage import InputError

Layout = Literal["moco", "torchvision", "other"]
"""Layout of a checkpoint: that of MoCo's own files, that of torchvision's, or a network under some prefix."""
Kind = Literal["self-supervised", "supervised"]

PREFIXES: Mapping[Layout, str] = {"moco": "state_dict.module.encoder_q.", "torchvision": ""}
"""Prefixes of the layouts that have one of their own."""
EMBEDDING_SIZE = 128
"""Length of embeddings where a file has no head that ours can take over."""
VARIANCE = ".running_var"
POSITIONS = "pos_embed as "
"""In the fault of a vision transformer of another input size."""
MOST_LISTED = 40
"""Number of lines that name what is left out; further names are put together by their beginnings."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """Network of a checkpoint.

    Attributes:
        layout: how the checkpoint is laid out.
        prefix: what stands before the names of its backbone's tensors.
        architecture: of its backbone.
        width: channels of its first stage.
        embedding_size: length of the embeddings of its head; the usual one where it has none that ours can take over.
        has_head: whether it has such a head.
        kind: whether it was trained with labels, where the file shows it.
        used: names of the tensors that are used.
        left_out: names of the others.
        others: prefixes of further networks of the same architecture.
    """

    layout: Layout
    prefix: str
    architecture: str
    width: Channels
    embedding_size: Channels
    has_head: bool
    kind: Kind | None
    used: tuple[str, ...]
    left_out: tuple[str, ...]
    others: tuple[str, ...]


def inspect(
    tensors: Mapping[str, Tensor], path: Path, architecture: str | None = None, prefix: str | None = None
) -> Content:
    """Recognises a checkpoint and checks all that is used of it.

    Args:
        tensors: of the file.
        path: what errors call it.
        architecture: of the backbone; what its names show where None.
        prefix: of the backbone, or the end of it, where there are several; the usual one where None.

    Raises:
        InputError: there is no such network in it, or some tensor of it does not fit.
    """
    name = architecture or guessed(tensors)
    if name is None:
        raise InputError(f"{path} holds no ResNet under names that are known here{_advice(tensors)}.")
    width = stem_width(tensors, name)
    backbone = backbone_of(name, width=width)
    found = _places(tensors, path, backbone)
    place = _meant(found, path) if prefix is None else _asked(found, path, prefix)
    head = projection_head(tensors, place.prefix, backbone.num_features)
    _state(tensors, path, place, head)
    used = {*place.names.values(), *(head.names.values() if head else ())}
    return Content(
        layout=_layout(tensors, place.prefix, head),
        prefix=place.prefix,
        architecture=name,
        width=width,
        embedding_size=head.embedding_size if head else EMBEDDING_SIZE,
        has_head=head is not None,
        kind=_kind(tensors, place.prefix, head, backbone.num_features),
        used=tuple(each for each in tensors if each in used),
        left_out=tuple(each for each in tensors if each not in used),
        others=tuple(
            each.prefix for each in found if not each.fault and each is not place and not _same(tensors, each, place)
        ),
    )


def encoder_state(
    tensors: Mapping[str, Tensor], path: Path, backbone: AnyBackbone, prefix: str, *, needs_head: bool = False
) -> dict[str, Tensor]:
    """The tensors of an encoder under the names of ours: the backbone, and the head where there is one.

    Args:
        tensors: of the file.
        path: what errors call it.
        backbone: the architecture.
        prefix: of the backbone in the file.
        needs_head: whether a file without a head is refused.

    Raises:
        InputError: a tensor is missing, has another shape, does not belong, or holds what no training leaves; the
            sentence names the first.
    """
    place = next((each for each in places(tensors, backbone) if each.prefix == prefix), None)
    if place is None or place.fault:
        fault = place.fault if place else f"holds no {backbone.architecture} under {prefix!r}"
        raise InputError(f"{path} {fault}: give the file as published.")
    head = projection_head(tensors, prefix, backbone.num_features)
    if needs_head and head is None:
        raise InputError(f"{path} lacks {prefix}fc.0.weight or the rest of MoCo v2's head: give the file as published.")
    return _state(tensors, path, place, head)


def grouped(names: Iterable[str], most: int = MOST_LISTED) -> tuple[str, ...]:
    """Names of tensors, put together by their beginnings where there are many: `optimizer.state.* (161 tensors)`."""
    every = list(names)
    depth = max((name.count(".") + 1 for name in every), default=0)
    while depth > 1 and len({_beginning(name, depth) for name in every}) > most:
        depth -= 1
    counts = Counter(_beginning(name, depth) for name in every)
    first = {_beginning(name, depth): name for name in every}
    return tuple(first[start] if count == 1 else f"{start}.* ({count} tensors)" for start, count in counts.items())


def _state(tensors: Mapping[str, Tensor], path: Path, place: Place, head: PublicHead | None) -> dict[str, Tensor]:
    """Copies of the tensors of a backbone and its head, by the names of ours, once their values are checked."""
    names = {f"backbone.{ours}": theirs for ours, theirs in place.names.items()}
    names |= {f"head.{ours}": theirs for ours, theirs in head.names.items()} if head is not None else {}
    state = {ours: tensors[theirs].clone() for ours, theirs in names.items()}
    _check_values({theirs: state[ours] for ours, theirs in names.items()}, path)
    return state


def _places(tensors: Mapping[str, Tensor], path: Path, backbone: AnyBackbone) -> list[Place]:
    """The networks of an architecture in a file, whole or not.

    Raises:
        InputError: there is none.
    """
    found = places(tensors, backbone)
    if not found:
        raise InputError(f"{path} holds no {backbone.architecture} under any prefix{_advice(tensors)}.")
    return found


def _advice(tensors: Mapping[str, Tensor]) -> str:
    known, looks = guessed(tensors), family(tensors)
    if known is not None:
        return f": it looks like {known}, which --architecture {known} says"
    about = f", it looks like {looks}" if looks else f", its first tensor is {next(iter(tensors))}"
    return f"{about}: name the network that it holds with --architecture timm:NAME"


def _meant(found: list[Place], path: Path) -> Place:
    """The usual network of a file; a copy, such as MoCo's key encoder, does not stand in for one with a fault.

    Raises:
        InputError: the network has a fault.
    """
    originals = [each for each in found if not is_copy(each.prefix)] or found
    return _whole(originals[0], path)


def _asked(found: list[Place], path: Path, prefix: str) -> Place:
    """The network whose prefix is, or ends with, the one that is asked for.

    Raises:
        InputError: there is none or there are several, or the network has a fault.
    """
    start = f"{prefix.rstrip('.')}." if prefix.rstrip(".") else ""
    ending = [each for each in found if each.prefix == start] or [
        each for each in found if start and f".{each.prefix}".endswith(f".{start}")
    ]
    if len(ending) != 1:
        known = ", ".join(each.prefix.rstrip(".") or "no prefix" for each in found)
        number = len(ending) or "no"
        raise InputError(
            f"--prefix {prefix} is that of {number} network{'s' if ending else ''} in {path}: name one of {known}."
        )
    return _whole(ending[0], path)


def _whole(place: Place, path: Path) -> Place:
    if place.fault:
        remedy = "give the file as published, or name its network with --architecture"
        if POSITIONS in place.fault:
            remedy = "it is made for images of another size; --architecture takes the model, or the tag, of that size"
        raise InputError(f"{path} {place.fault}: {remedy}.")
    return place


def _layout(tensors: Mapping[str, Tensor], prefix: str, head: PublicHead | None) -> Layout:
    if prefix == PREFIXES["moco"] and head is not None and "state_dict.module.encoder_q.fc.0.weight" in tensors:
        return "moco"
    return "torchvision" if prefix == "" and {"conv1.weight", "fc.weight", "fc.bias"} <= tensors.keys() else "other"


def _kind(tensors: Mapping[str, Tensor], prefix: str, head: PublicHead | None, num_features: int) -> Kind | None:
    if head is not None or is_self_supervised(tensors):
        return "self-supervised"
    return "supervised" if has_classifier(tensors, prefix, num_features) else None


def _same(tensors: Mapping[str, Tensor], one: Place, other: Place) -> bool:
    """Whether two places hold the same values, as files do that name one network twice."""
    return all(torch.equal(tensors[name], tensors[other.names[ours]]) for ours, name in one.names.items())


def _check_values(used: Mapping[str, Tensor], path: Path) -> None:
    for name, value in used.items():
        plain = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
        if not plain or (not value.is_floating_point() and value.dim()):
            raise InputError(
                f"{path} holds {name} as no tensor of plain numbers: give the weights in float32 or float16."
            )
    wrong = not_finite(used)
    if wrong is not None:
        raise InputError(f"{path} holds NaN or an infinite value in {wrong}: download the file again, as published.")
    for name, value in used.items():
        if name.endswith(VARIANCE) and bool((value < 0).any()):
            raise InputError(f"{path} holds a negative variance in {name}: download the file again, as published.")


def _beginning(name: str, depth: int) -> str:
    return ".".join(name.split(".")[:depth])
