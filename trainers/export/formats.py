"""Interface of the formats of exported files, and what they can hold."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from trainers.export.parts import Part
from trainers.networks.backbones import TORCHVISIONS_WIDTH, Backbone, FeatureExtractor
from trainers.networks.timm_backbones import TimmBackbone
from trainers.ssl.transfer import Combined

TORCHVISION = ("resnet50", "resnet18")
"""Architectures of `Backbone` that torchvision and timm have, in one width, under the same names of parameters."""


class Format(ABC):
    """A format of exported files."""

    name: ClassVar[str]
    """Its name on the command line."""
    tolerance: ClassVar[float] = 1e-6
    """Largest difference of results, relative to the largest value, that reading back may show."""

    @abstractmethod
    def refusal(self, part: Part) -> str:
        """Why the format cannot hold a part, in words that continue "cannot hold …: "; empty where it can."""

    @abstractmethod
    def write(self, part: Part, folder: Path, metadata: dict[str, str]) -> None:
        """Writes the files of a part.

        Args:
            part: the networks.
            folder: an empty folder.
            metadata: for formats that have a place for it.
        """

    @abstractmethod
    def read_back(self, part: Part, folder: Path, images: Tensor) -> Tensor:
        """What written files make of images, loaded as users of the format load them.

        Args:
            part: the networks that were written.
            folder: the files.
            images: N×3×S×S, uint8.

        Returns:
            What `Part.result` returns.
        """

    @abstractmethod
    def usage(self, part: Part) -> str:
        """Python code that loads the files and applies them to `images`."""


def named(extractor: FeatureExtractor) -> str:
    """The architecture in words, for sentences."""
    if isinstance(extractor, Combined):
        return f"{named(extractor.student)} beside its teacher, {named(extractor.teacher)}"
    if isinstance(extractor, Backbone) and extractor.architecture in TORCHVISION and not is_torchvisions(extractor):
        return extractor.described
    if isinstance(extractor, Backbone | TimmBackbone):
        return extractor.architecture
    return type(extractor).__name__


def is_torchvisions(backbone: Backbone) -> bool:
    """Whether torchvision and timm have a network, in its width."""
    return backbone.architecture in TORCHVISION and backbone.width == TORCHVISIONS_WIDTH


def foreign(extractor: FeatureExtractor, library: str) -> str:
    """Why a library of networks cannot load an architecture; empty where it can."""
    if isinstance(extractor, Combined):
        return f"the features are those of two networks, teacher and student, and {library} loads one"
    if isinstance(extractor, Backbone) and is_torchvisions(extractor):
        return ""
    if isinstance(extractor, Backbone) and extractor.architecture in TORCHVISION:
        return f"{library} has {extractor.architecture} of width {TORCHVISIONS_WIDTH} alone"
    if isinstance(extractor, Backbone):
        return f"{extractor.architecture} is a small network of freelunch's own, which {library} does not have"
    if isinstance(extractor, TimmBackbone):
        return "" if library == "timm" else f"{extractor.architecture} is a network of timm"
    return f"{library} does not have it"


def input_lines(part: Part) -> list[str]:
    """Lines of code that turn `frames` (N×S×S×3, uint8, RGB, a numpy array) into `images` as a network takes them."""
    size, image = part.image.size_px, part.image
    lines = [f"images = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255  # N×3×{size}×{size}"]
    if image.is_normalised:
        lines.append(
            f"images = (images - torch.tensor({image.mean}).view(3, 1, 1)) / torch.tensor({image.std}).view(3, 1, 1)"
        )
    return lines
