"""MoCo v2: contrastive learning against a queue of keys from a momentum encoder.

He et al., arXiv 1911.05722, Alg. 1 and eq. 1, with the projection head and the augmentation of Chen et al.,
arXiv 2003.04297: L = −log( exp(q·k₊/τ) / Σ_i exp(q·k_i/τ) ), i = 0…K, where k_0 = k₊ and k_1…k_K are the queue.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from trainers.fields import Channels, Count, Momentum, Temperature
from trainers.networks.architectures import AnyBackbone
from trainers.ssl.encoders import EncoderStage, Trains
from trainers.ssl.frozen import Frozen
from trainers.ssl.losses import dictionary_logits, info_nce
from trainers.ssl.method import ContrastiveConfig, Method, Views, check_queue, check_start
from trainers.ssl.pairs import EncoderPair, random_pair, shuffle_order, started_pair
from trainers.ssl.queue import KEYS, Queue
from trainers.stage import InputError


class MoCoMethod(Method):
    """MoCo's step, in the order of He et al., arXiv 1911.05722, Alg. 1."""

    encoders: EncoderPair

    def __init__(self, config: "MoCo", encoders: EncoderPair, seed: int) -> None:
        super().__init__()
        self.config = config
        self.encoders = encoders
        self.queue = Queue(config.queue_size, {KEYS: config.embedding_size}, seed)
        self.seed = seed

    @property
    def called_once(self) -> tuple[nn.Module, ...]:
        return self.encoders.called_once

    def forward(self, views: Views) -> Mapping[str, Tensor]:
        x_q, x_k = self.encoders.inputs(views.query, views.key)
        q = self.encoders.embed_queries(x_q)  # N×C
        self.encoders.update_key_encoder(self.config.momentum)
        k = self.encoders.embed_keys(x_k, shuffle_order(self.seed, views.step, x_k))  # N×C
        self.note_embeddings(q)
        logits = dictionary_logits(q, k, self.queue.bank(KEYS))  # N×(1+K)
        self.queue.enqueue({KEYS: k}, views.frame_ids)
        return {"contrastive": info_nce(logits, self.config.temperature)}


@dataclass(frozen=True, kw_only=True)
class MoCo(ContrastiveConfig):
    """Hyperparameters of MoCo v2 (Chen et al., arXiv 2003.04297).

    With a `start`, it adapts an existing model: `trains="head"` is the semantic-preserving training of the teacher of
    Ding et al., MICCAI 2022, Sec. 2.2.

    Attributes:
        temperature: τ of the InfoNCE loss.
        queue_size: K, the number of keys in the dictionary besides the positive.
        momentum: m of the key encoder.
        embedding_size: length of the embeddings.
        start: the encoders to start from; random where None.
        trains: which part of the encoders learns; without a `start`, all.
    """

    temperature: Temperature = 0.07
    queue_size: Count = 65536
    momentum: Momentum = 0.999
    embedding_size: Channels = 128
    start: EncoderStage | None = None
    trains: Trains = "all"

    def build(self, backbone: AnyBackbone, inputs: Mapping[str, Path], seed: int) -> Method:
        if self.start is None:
            pair = random_pair(backbone, self.embedding_size, seed=seed)
        else:
            pair = started_pair(backbone, self.start, inputs["start"], trains=self.trains)
        return MoCoMethod(self, pair, seed)

    def check(self, backbone: AnyBackbone, batch_size: int) -> None:
        check_queue(self.queue_size, batch_size)
        if self.start is not None:
            check_start(self.start, backbone, self.embedding_size)
        elif self.trains != "all":
            raise InputError(f"trains is {self.trains}: without a start, everything must learn.")
        if self.trains == "none":
            raise InputError("trains is none: nothing would learn; use the start itself.")

    @property
    def trains_backbone(self) -> bool:
        return self.trains != "head"

    def recordable(self) -> Mapping[str, Frozen]:
        if self.start is None or self.trains != "head":
            return {}
        return {"features": Frozen(self.start.shared_backbone or self.start, "features", module="encoders")}

    @property
    def forward_equivalents(self) -> float:
        return 2 if self.trains == "head" else 4
