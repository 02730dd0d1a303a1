"""Pairs of a query encoder and a key encoder, as contrastive learning against a queue trains them."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from trainers.networks.backbones import FeatureExtractor
from trainers.networks.folding import FrozenBackbone
from trainers.runtime import distributed, randomness
from trainers.ssl.encoders import (
    Encoder,
    Encoders,
    EncoderStage,
    FrozenEncoder,
    Trains,
    embed,
    load_encoder,
    random_encoder,
    read_weights,
)


class EncoderPair(Encoders, ABC):
    """A query encoder, and a key encoder that is a moving average of it.

    `trains` says which of the query encoder's parts learn; the other parts get no gradient and stay in eval mode, so
    that neither their parameters nor their buffers move.
    """

    key: Encoder

    def __init__(self, query: Encoder, key: Encoder, *, trains: Trains) -> None:
        super().__init__()
        self.query = query
        self.key = key
        self.learns_backbone = trains in ("backbone", "all")
        self.learns_head = trains in ("head", "all")
        self.key.requires_grad_(False)
        self.query.backbone.requires_grad_(self.learns_backbone)
        self.query.head.requires_grad_(self.learns_head)

    def train(self, mode: bool = True) -> "EncoderPair":
        super().train(mode)
        for encoder in (self.query, self.key):
            encoder.backbone.train(mode and self.learns_backbone)
            encoder.head.train(mode and self.learns_head)
        return self

    def artifact(self) -> dict[str, Any]:
        shared = isinstance(self, SharedBackbonePair)
        return {**super().artifact(), "key": self.key.state_dict(), "shared_backbone": shared}

    @property
    def called_once(self) -> tuple[nn.Module, ...]:
        """The networks that learn or follow, in the order in which a step calls them with a whole batch, once each."""
        return ()

    @abstractmethod
    def inputs(self, query_images: Tensor, key_images: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs of the two encoders: the images, or their features where one frozen backbone serves both.

        Args:
            query_images: N×3×H×W.
            key_images: N×3×H×W, the other view of the same frames.
        """

    @abstractmethod
    def embed_queries(self, inputs: Tensor) -> Tensor:
        """Queries N×C, L2-normalised."""

    @abstractmethod
    def embed_keys(self, inputs: Tensor, permutation: Tensor) -> Tensor:
        """Keys N×C, L2-normalised, without gradient.

        Args:
            inputs: of the key encoder.
            permutation: of all workers' inputs, on the CPU, so that their normalisation splits differ from the queries'
                (He et al., arXiv 1911.05722, Sec. 3.3, Shuffling BN); undone in the result.
        """

    def forward(self, query_images: Tensor, key_images: Tensor, permutation: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys, N×C each, of a pair that does not move."""
        query_inputs, key_inputs = self.inputs(query_images, key_images)
        return self.embed_queries(query_inputs), self.embed_keys(key_inputs, permutation)

    @torch.no_grad()
    def update_key_encoder(self, momentum: float) -> None:
        """θ_k ← m θ_k + (1 − m) θ_q, for the parts that learn; buffers come from the key encoder's own forwards."""
        targets: list[Tensor] = list(self._learning(self.key))
        sources: list[Tensor] = list(self._learning(self.query))
        if targets:
            torch._foreach_mul_(targets, momentum)
            torch._foreach_add_(targets, sources, alpha=1 - momentum)

    def _learning(self, encoder: Encoder) -> Iterable[nn.Parameter]:
        """The parameters of an encoder whose counterparts in the query encoder learn."""
        counterparts = zip(encoder.parameters(), self.query.parameters(), strict=True)
        return (parameter for parameter, counterpart in counterparts if counterpart.requires_grad)


class MomentumPair(EncoderPair):
    """Query and key encoder with a backbone each: MoCo as published (He et al., arXiv 1911.05722, Alg. 1)."""

    @property
    def called_once(self) -> tuple[nn.Module, ...]:
        return (self.query.backbone, self.key.backbone) if self.learns_backbone else ()

    def inputs(self, query_images: Tensor, key_images: Tensor) -> tuple[Tensor, Tensor]:
        return query_images, key_images

    def embed_queries(self, inputs: Tensor) -> Tensor:
        queries: Tensor = self.query(inputs)
        return queries

    @torch.no_grad()
    def embed_keys(self, inputs: Tensor, permutation: Tensor) -> Tensor:
        shuffled = self.key(distributed.reordered(inputs, permutation))
        return distributed.reordered(shuffled, torch.argsort(permutation))


class SharedBackbonePair(EncoderPair):
    """Encoders whose one backbone does not learn: both views share its forward pass, then go through their own heads.

    In eval mode a backbone has no batch statistics, so there is nothing to shuffle.
    """

    def __init__(self, query: Encoder, key: Encoder, *, trains: Literal["none", "head"]) -> None:
        key.backbone = query.backbone
        super().__init__(query, key, trains=trains)
        self._frozen_backbone = FrozenBackbone(query.backbone)

    @torch.no_grad()
    def inputs(self, query_images: Tensor, key_images: Tensor) -> tuple[Tensor, Tensor]:
        query_features, key_features = self._frozen_backbone(torch.cat([query_images, key_images])).chunk(2)
        return query_features, key_features

    def embed_queries(self, inputs: Tensor) -> Tensor:
        return embed(self.query.head, inputs)

    @torch.no_grad()
    def embed_keys(self, inputs: Tensor, permutation: Tensor) -> Tensor:
        return embed(self.key.head, inputs)


def random_pair(backbone: FeatureExtractor, embedding_size: int, *, seed: int) -> EncoderPair:
    """A pair at a random start; the key encoder is a copy of the query encoder."""
    query = random_encoder(backbone, embedding_size, seed)
    return MomentumPair(query, copy.deepcopy(query), trains="all")


def started_pair(backbone: FeatureExtractor, start: EncoderStage, folder: Path, *, trains: Trains) -> EncoderPair:
    """A pair whose two encoders start from another stage's query encoder, with the splits of the given backbone."""
    query = load_encoder(backbone, start.output_size, read_weights(folder)["query"])
    key = copy.deepcopy(query)
    if trains in ("none", "head"):
        return SharedBackbonePair(query, key, trains=trains)
    return MomentumPair(query, key, trains=trains)


def frozen_pair(stage: EncoderStage, folder: Path) -> EncoderPair:
    """Another stage's query and key encoder as they are; nothing of them learns or moves."""
    weights = read_weights(folder)
    query, key = (load_encoder(stage.extractor, stage.output_size, weights[role]) for role in ("query", "key"))
    if weights["shared_backbone"]:
        return SharedBackbonePair(query, key, trains="none").eval()
    frozen = (FrozenEncoder(encoder.backbone, encoder.head) for encoder in (query, key))
    return MomentumPair(*frozen, trains="none").eval()


def shared_pair(stage: EncoderStage, folder: Path) -> SharedBackbonePair:
    """Another stage's query encoder in both roles, on one backbone, as it is."""
    pair = started_pair(stage.extractor, stage, folder, trains="none")
    assert isinstance(pair, SharedBackbonePair)
    return pair.eval()


def frozen_query(stage: EncoderStage, folder: Path) -> Encoder:
    """Another stage's query encoder as it is, in eval mode; nothing of it learns."""
    encoder = load_encoder(stage.extractor, stage.output_size, read_weights(folder)["query"])
    return FrozenEncoder(encoder.backbone, encoder.head)


def separate_encoders(backbone: FeatureExtractor, stage: EncoderStage, folder: Path) -> tuple[Encoder, Encoder]:
    """Another stage's query and key encoder, each in its own role, in backbones of their own with the given splits."""
    weights = read_weights(folder)
    query, key = (load_encoder(backbone, stage.output_size, weights[role]) for role in ("query", "key"))
    return query, key


def shuffle_order(seed: int, step: int, keys: Tensor) -> Tensor:
    """The permutation of a step's inputs of the key encoder, over all workers, on the CPU."""
    (permutation,) = shuffle_orders(seed, step, keys, num_encoders=1)
    return permutation


def shuffle_orders(seed: int, step: int, keys: Tensor, *, num_encoders: int) -> list[Tensor]:
    """Permutations as `shuffle_order` gives them, drawn one after the other; the first does not depend on the rest."""
    generator = randomness.torch_generator(seed, "shuffle", step)
    size = distributed.global_batch(len(keys))
    return [torch.randperm(size, generator=generator) for _ in range(num_encoders)]
