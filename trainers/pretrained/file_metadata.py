"""Metadata of a checkpoint: what the file itself says of its origin, its licence, and whether labels trained it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from trainers.names import fault_of_line
from trainers.pretrained.contents import Kind
from trainers.records import checked

LICENCE = "Apache-2.0"
SHIPPED_FACTS = "freelunch"
"""The only entry in the metadata of a file that comes with the package, as several come in no certain order."""
EXPORTED_PART, EXPORTED_TRIAL, KIND = "freelunch.part", "freelunch.trial", "freelunch.kind"
"""Entries in the metadata of exported files."""
ORIGINS, LICENCES = ("origin", "modelspec.title"), ("licence", "license", "modelspec.license")
"""Entries of other files; those of modelspec are a convention for safetensors."""
LONGEST = 300
"""Characters of an entry that is shown; longer ones are passed over."""


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """What a file says of itself in its metadata.

    Attributes:
        scale: whose network it holds.
        kind: whether classes of the drawn images were learned.
        method: of training, in words.
        architecture: of the network.
        width: channels of its first stage.
        size_px: side of the views that it was trained on.
        num_images: number of drawn images.
        epochs: passes over them.
        images: the stage that draws them, with its revision.
        core_seconds: time of drawing and training, by all cores that were held for them.
        gpu_seconds: time of training on a GPU; 0 without one.
        device: that computed it.
        date: of the training.
        licence: of the weights.
    """

    scale: str
    kind: Kind
    method: str
    architecture: str
    width: int
    size_px: int
    num_images: int
    epochs: int
    images: str
    core_seconds: int
    gpu_seconds: int
    device: str
    date: str
    licence: str = LICENCE

    @property
    def title(self) -> str:
        """The model in words."""
        cost = f"{self.core_seconds / 3600:.2g} core-hours"
        cost += f" and {self.gpu_seconds / 60:.2g} minutes of one {self.device}" if self.gpu_seconds else ""
        epochs = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        training = f"{self.num_images:,} drawn images, {epochs}, {cost}"
        return f"free model of the {self.scale} scale: {self.method}, {training}"


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a file says of itself; empty or None where it does not.

    Attributes:
        title: what the weights are, in words.
        licence: of the weights.
        kind: whether labels trained them.
    """

    title: str = ""
    licence: str = ""
    kind: Kind | None = None


def said_in(metadata: Mapping[str, str]) -> Said:
    """What is said in the metadata of a file: of one that comes with the package, of an export, or of any other."""
    facts = _shipped(metadata.get(SHIPPED_FACTS, ""))
    if facts is not None:
        return Said(title=facts.title, licence=facts.licence, kind=facts.kind)
    part, trial = _line(metadata, (EXPORTED_PART,)), _line(metadata, (EXPORTED_TRIAL,))
    kind = next((each for each in get_args(Kind) if each == metadata.get(KIND)), None)
    exported = f"{part} of {trial}, as freelunch exported it" if part and trial else ""
    return Said(title=_line(metadata, ORIGINS) or exported, licence=_line(metadata, LICENCES), kind=kind)


def _line(metadata: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The first entry of some names that is one line of text; empty where there is none."""
    lines = (metadata.get(name, "").strip() for name in names)
    return next((line for line in lines if not fault_of_line(line, LONGEST)), "")


def _shipped(text: str) -> Shipped | None:
    """The facts of a file that comes with the package, or is made in the same way; None where these are none."""
    try:
        facts = checked(Shipped(**json.loads(text)))
    except (ValueError, TypeError, RecursionError):
        return None
    return None if fault_of_line(facts.title, LONGEST) or fault_of_line(facts.licence, LONGEST) else facts
