"""Free models that teachers are made of: public weights by their names, or stand-ins that differ in kind."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes.building_blocks import (
    free_weights,
    generic_classifier,
    plain_network,
    public_start,
    supervised_weights,
)
from search_spaces.recipes.settings import USUAL, TeacherSettings
from study.home.text import nearest
from trainers.networks.architectures import backbone_of
from trainers.recognition.authors_code import AuthorsStart
from trainers.runtime.randomness import derived_seed
from trainers.ssl.encoders import EncoderStage
from trainers.ssl.untrained import Untrained
from trainers.stage import InputError


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """Free model that is computed here, where no public weights are given.

    Attributes:
        title: in words.
        training: how it was trained, in words.
        make: its last stage; it depends on the scale alone.
    """

    title: str
    training: str
    make: Callable[[Conditions], EncoderStage]


def vision_transformer(conditions: Conditions) -> EncoderStage:
    """A small vision transformer that classifies generic images, which it sees in an input size of its own."""
    backbone = backbone_of(conditions.scale.vision_transformer)
    return generic_classifier(conditions, backbone, derived_seed(0, "vision transformer"))


def untrained_network(conditions: Conditions) -> EncoderStage:
    """The scale's network at a random start, the same for all seeds of trials."""
    return Untrained(backbone=plain_network(conditions), seed=derived_seed(0, "untrained free model"))


SELF_SUPERVISED, SUPERVISED = "self-supervised on drawn images", "supervised on drawn images"
STAND_INS = {
    "self-supervised": StandIn(title="self-supervised ResNet", training=SELF_SUPERVISED, make=free_weights),
    "supervised": StandIn(title="supervised ResNet", training=SUPERVISED, make=supervised_weights),
    "transformer": StandIn(title="small vision transformer", training=SUPERVISED, make=vision_transformer),
    "untrained": StandIn(title="untrained ResNet", training="at its random start", make=untrained_network),
}
"""All but the last are trained on the same drawn images."""


def free_model_named(conditions: Conditions, name: str) -> EncoderStage:
    """The free model of a name: public weights of these conditions, else a stand-in.

    Raises:
        InputError: there is none of that name.
    """
    public = conditions.named(name)
    if public is not None:
        return public.encoder()
    if name not in STAND_INS:
        given = [each.name for each in conditions.weights]
        raise InputError(
            f"no free model named {name!r}{nearest(name, [*given, *STAND_INS])} `--weights NAME` takes public weights."
        )
    return STAND_INS[name].make(replace(conditions, weights=()))


def teacher_start(conditions: Conditions, settings: TeacherSettings = USUAL) -> EncoderStage:
    """The free model that teachers start from, whole or, as the preset has it, in part."""
    preset, name = conditions.preset, settings.get("free_model")
    free = public_start(conditions) if name is None else free_model_named(conditions, name)
    if preset.start_running_statistics and not preset.heads_apart:
        return free
    return AuthorsStart(
        encoder=free,
        running_statistics=preset.start_running_statistics,
        heads_apart=preset.heads_apart,
        seed=derived_seed(0, "teacher's start"),
    )
