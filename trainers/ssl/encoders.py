"""Encoders, and their weights in artifacts."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import FeatureExtractor
from trainers.networks.costs import BYTES_PER_NUMBER, stored_bytes
from trainers.networks.folding import FrozenBackbone
from trainers.ssl.heads import projection_mlp
from trainers.stage import Stage

Trains = Literal["none", "head", "backbone", "all"]
"""Part of an encoder that is trained; the rest stays as it was, in eval mode."""

WEIGHTS = "encoders.pt"


class EncoderStage(Stage):
    """A stage whose artifact is an encoder and, for most, its key encoder, in `encoders.pt`."""

    backbone: AnyBackbone
    """The architecture of both backbones."""

    @property
    def has_key_encoder(self) -> bool:
        """Whether the artifact is a pair as MoCo's, which other methods can take as start or as teacher."""
        return True

    @property
    def extractor(self) -> FeatureExtractor:
        """The network of later stages' features: the backbone, alone or within a larger network."""
        return self.backbone

    @property
    def shared_backbone(self) -> "EncoderStage | None":
        """The stage whose query backbone, as it is, serves both encoders of this one; None where each has its own."""
        return None

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Length of both encoders' embeddings."""

    def expected_bytes(self) -> float:
        num_features, key = self.backbone.num_features, int(self.has_key_encoder)
        head = BYTES_PER_NUMBER * num_features * (num_features + self.output_size)
        return stored_bytes(self.extractor) + key * stored_bytes(self.backbone) + (1 + key) * head


class Encoder(nn.Module):
    """A backbone and its projection head: images N×3×H×W to L2-normalised embeddings N×C."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        return embed(self.head, self.backbone(images))


class FrozenEncoder(Encoder):
    """An encoder that stays as it is, in eval mode; it computes with a folded copy of its backbone."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__(backbone, head)
        self.requires_grad_(False).eval()
        self._frozen_backbone = FrozenBackbone(backbone)

    def train(self, mode: bool = True) -> "FrozenEncoder":
        super().train(False)
        return self

    def forward(self, images: Tensor) -> Tensor:
        return embed(self.head, self._frozen_backbone(images))


def embed(head: nn.Module, features: Tensor) -> Tensor:
    """Projects features and normalises the result to unit length, at least in single precision."""
    projected: Tensor = head(features)
    return F.normalize(projected.to(torch.promote_types(projected.dtype, torch.float32)), dim=1)


class Encoders(nn.Module):
    """The trained encoders of a method: at least one, whose backbone later stages use."""

    query: Encoder

    def artifact(self) -> dict[str, Any]:
        """The content of `encoders.pt`."""
        return {"query": self.query.state_dict()}


class SingleEncoder(Encoders):
    """An encoder without a key encoder, with a head that its method defines."""

    def __init__(self, query: Encoder) -> None:
        super().__init__()
        self.query = query


def random_encoder(backbone: FeatureExtractor, embedding_size: int, seed: int) -> Encoder:
    """An encoder at a random start."""
    head = projection_mlp(backbone.num_features, embedding_size, seed, "head")
    return Encoder(backbone.build(seed), head)


def write_weights(folder: Path, encoders: Encoders) -> None:
    """Writes encoders as an encoder stage's artifact."""
    torch.save(encoders.artifact(), folder / WEIGHTS)


def read_weights(folder: Path) -> dict[str, Any]:
    """The weights that `write_weights` wrote, on the CPU."""
    weights: dict[str, Any] = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
    return weights


def load_backbone(stage: EncoderStage, folder: Path) -> nn.Module:
    """The query backbone of an encoder stage's artifact, whole and in eval mode.

    In further training its normalisation does not split the batch: splits belong to contrastive learning, and the
    last batch of labelled frames need not be divisible.
    """
    backbone = stage.extractor.without_splits().build(seed=0)
    weights = read_weights(folder)["query"]
    prefix = "backbone."  # the head may be of any kind
    backbone.load_state_dict({name[len(prefix) :]: weights[name] for name in weights if name.startswith(prefix)})
    return backbone.eval()


def load_encoder(backbone: FeatureExtractor, embedding_size: int, state: dict[str, Tensor]) -> Encoder:
    """An encoder with the weights of a state dict."""
    encoder = random_encoder(backbone, embedding_size, seed=0)
    encoder.load_state_dict(state)
    return encoder
