"""Architectures by name: our ResNets, and the models of timm."""

import typing
from typing import Annotated

from trainers.fields import Form
from trainers.networks.backbones import Architecture, Backbone
from trainers.networks.timm_backbones import PREFIX, TimmBackbone, timm_backbone
from trainers.networks.timm_models import timm_name
from trainers.stage import InputError

AnyBackbone = Backbone | TimmBackbone
"""A network that can be trained alone, and be saved and loaded as one."""

OURS: tuple[Architecture, ...] = typing.get_args(Architecture)

ArchitectureName = Annotated[
    str,
    Form(
        rf"{'|'.join(OURS)}|{PREFIX}[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?(@[0-9]+)?",
        f"{', '.join(OURS)} or {PREFIX}NAME, a model of timm such as timm:convnext_tiny",
    ),
]


def backbone_of(architecture: str, *, width: int = 64, resizes: bool = True) -> AnyBackbone:
    """The backbone that a name stands for: `resnet50`, `resnet18`, `resnet10`, or `timm:NAME`.

    Args:
        architecture: the name; after `timm:`, `.TAG` names weights, and `@PIXELS` another input size than theirs.
        width: channels of the first stage, of `resnet10` and `resnet18`.
        resizes: whether a model of timm resizes images to the input size of its weights, as a teacher does; a student
            takes them as they come.

    Raises:
        InputError: there is no such architecture, or it has no pooled features.
    """
    if architecture.startswith(PREFIX):
        return timm_backbone(architecture.removeprefix(PREFIX), resizes=resizes)
    for ours in OURS:
        if architecture == ours:
            return Backbone(architecture=ours, width=width)
    meant = timm_name(architecture)
    remedy = f"did you mean {PREFIX}{meant}?" if meant else f"take one of {', '.join(OURS)}, or {PREFIX}NAME."
    raise InputError(f"there is no architecture {architecture!r}: {remedy}")
