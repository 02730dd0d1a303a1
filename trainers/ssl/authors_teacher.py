"""The teacher as the paper's own code trains it; each difference from the paper is a field.

MoCo v2 (He et al., arXiv 1911.05722, Alg. 1 and eq. 1) from given encoders, as in Ding et al., MICCAI 2022, Sec. 2.2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from trainers.fields import Channels, Count, Momentum, Temperature
from trainers.networks.architectures import AnyBackbone
from trainers.ssl.encoders import Encoder, EncoderStage, Trains
from trainers.ssl.losses import dictionary_logits, info_nce
from trainers.ssl.method import ContrastiveConfig, Method, Views, check_queue, check_start
from trainers.ssl.pairs import MomentumPair, separate_encoders, shuffle_order
from trainers.ssl.queue import Queue
from trainers.stage import InputError


class AuthorsTeacherMethod(Method):
    """MoCo's step, on a queue that becomes part of the artifact."""

    encoders: "QueuedPair"

    def __init__(self, config: "AuthorsTeacher", encoders: "QueuedPair", seed: int) -> None:
        super().__init__()
        self.config = config
        self.encoders = encoders
        self.seed = seed

    @property
    def called_once(self) -> tuple[nn.Module, ...]:
        return self.encoders.called_once

    def forward(self, views: Views) -> Mapping[str, Tensor]:
        queue = self.encoders.queue
        x_q, x_k = self.encoders.inputs(views.query, views.key)
        q = self.encoders.embed_queries(x_q)  # N×C
        self.encoders.update_key_encoder(self.config.momentum)
        k = self.encoders.embed_keys(x_k, shuffle_order(self.seed, views.step, x_k))  # N×C
        self.note_embeddings(q)
        logits = dictionary_logits(q, k, queue.bank("teacher"))  # N×(1+K)
        queue.enqueue({"teacher": k}, views.frame_ids)
        return {"contrastive": info_nce(logits, self.config.temperature)}


class QueuedPair(MomentumPair):
    """A pair whose artifact holds the queue too."""

    def __init__(self, query: Encoder, key: Encoder, queue: Queue, *, trains: Trains) -> None:
        super().__init__(query, key, trains=trains)
        self.queue = queue

    def artifact(self) -> dict[str, Any]:
        return {**super().artifact(), "queue": self.queue.state_dict()}


class TrainModePair(QueuedPair):
    """A pair whose frozen parts are in train mode like the rest."""

    def train(self, mode: bool = True) -> "TrainModePair":
        nn.Module.train(self, mode)
        return self


@dataclass(frozen=True, kw_only=True)
class AuthorsTeacher(ContrastiveConfig):
    """Hyperparameters of MoCo v2 from a start whose two encoders may differ.

    Attributes:
        start: the encoders to start from, each in its own role.
        trains: which part of the encoders learns.
        batch_statistics: whether the part that does not learn stays in train mode, as in the authors' code: batch
            statistics normalise it, and its running statistics drift.
        temperature: τ of the InfoNCE loss.
        queue_size: K, the number of keys in the dictionary besides the positive.
        momentum: m of the key encoder.
        embedding_size: length of the embeddings.
    """

    start: EncoderStage
    trains: Trains = "head"
    batch_statistics: bool = True
    temperature: Temperature = 0.07
    queue_size: Count = 65536
    momentum: Momentum = 0.999
    embedding_size: Channels = 128

    def build(self, backbone: AnyBackbone, inputs: Mapping[str, Path], seed: int) -> Method:
        query, key = separate_encoders(backbone, self.start, inputs["start"])
        queue = Queue(self.queue_size, {"teacher": self.embedding_size}, seed)
        mode = TrainModePair if self.batch_statistics else QueuedPair
        return AuthorsTeacherMethod(self, mode(query, key, queue, trains=self.trains), seed)

    def check(self, backbone: AnyBackbone, batch_size: int) -> None:
        check_queue(self.queue_size, batch_size)
        check_start(self.start, backbone, self.embedding_size)
        if self.trains == "none":
            raise InputError("trains is none: nothing would learn; use the start itself.")

    @property
    def trains_backbone(self) -> bool:
        return self.trains != "head"

    @property
    def moves_backbone(self) -> bool:
        return self.trains_backbone or self.batch_statistics

    @property
    def forward_equivalents(self) -> float:
        return 2 if self.trains == "head" else 4
