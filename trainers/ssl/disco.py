"""DisCo: MoCo v2 whose embeddings are also drawn to those of a frozen teacher, of both views.

Gao et al., arXiv 2104.09124, Sec. 3: L = L_con + λ L_dis, where L_con is MoCo's InfoNCE loss and
L_dis = ‖z_s − z_t‖² + ‖z'_s − z'_t‖², of the student's and the teacher's embeddings of the two views of a frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trainers.fields import Channels, Count, Momentum, Temperature, Weight
from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import FeatureExtractor
from trainers.ssl.distillation_losses import embedding_distance
from trainers.ssl.encoders import Encoder, EncoderStage
from trainers.ssl.frozen import Frozen
from trainers.ssl.losses import dictionary_logits, info_nce
from trainers.ssl.method import ContrastiveConfig, Method, Views, check_pair, check_queue, check_taught
from trainers.ssl.pairs import EncoderPair, frozen_query, random_pair, shuffle_order
from trainers.ssl.queue import KEYS, Queue


class DisCoMethod(Method):
    """MoCo's step; the query encoders of student and teacher embed the second view, too."""

    encoders: EncoderPair

    def __init__(self, config: "DisCo", student: EncoderPair, teacher: Encoder, seed: int) -> None:
        super().__init__()
        self.config = config
        self.encoders = student
        self.teacher = teacher
        self.queue = Queue(config.queue_size, {KEYS: config.embedding_size}, seed)
        self.seed = seed

    def train(self, mode: bool = True) -> "DisCoMethod":
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, views: Views) -> Mapping[str, Tensor]:
        config = self.config
        x_q, x_k = self.encoders.inputs(views.query, views.key)
        q = self.encoders.embed_queries(x_q)  # N×C
        q_of_k = self.encoders.embed_queries(x_k)  # N×C
        self.encoders.update_key_encoder(config.momentum)
        k = self.encoders.embed_keys(x_k, shuffle_order(self.seed, views.step, x_k))  # N×C
        with torch.no_grad():
            q_t, q_of_k_t = self.teacher(views.query), self.teacher(views.key)  # N×C
        self.note_embeddings(q)
        logits = dictionary_logits(q, k, self.queue.bank(KEYS))  # N×(1+K)
        distance = embedding_distance(q, q_t) + embedding_distance(q_of_k, q_of_k_t)
        self.queue.enqueue({KEYS: k}, views.frame_ids)
        return {
            "contrastive": config.contrastive_weight * info_nce(logits, config.temperature),
            "distillation": config.distillation_weight * distance,
        }


@dataclass(frozen=True, kw_only=True)
class DisCo(ContrastiveConfig):
    """Hyperparameters of DisCo (Gao et al., arXiv 2104.09124) on MoCo v2.

    The authors' code takes the mean over channels in place of the sum, which is λ = 1/C here. The wider hidden layer of
    their students' heads is not part of it.

    Attributes:
        teacher: the encoders whose query encoder teaches; it stays as it is.
        distillation_weight: λ.
        contrastive_weight: weight of L_con; 1 in the paper.
        temperature: τ of the InfoNCE loss.
        queue_size: K, the number of keys in the dictionary besides the positive.
        momentum: m of the student's key encoder.
        embedding_size: length of the student's embeddings; the teacher's.
    """

    teacher: EncoderStage
    distillation_weight: Weight = 1.0
    contrastive_weight: Weight = 1.0
    temperature: Temperature = 0.2
    queue_size: Count = 65536
    momentum: Momentum = 0.999
    embedding_size: Channels = 128

    def build(self, backbone: AnyBackbone, inputs: Mapping[str, Path], seed: int) -> Method:
        student = random_pair(backbone, self.embedding_size, seed=seed)
        return DisCoMethod(self, student, frozen_query(self.teacher, inputs["teacher"]), seed)

    def check(self, backbone: AnyBackbone, batch_size: int) -> None:
        check_queue(self.queue_size, batch_size)
        check_pair(self.teacher, "teacher")
        check_taught(self.teacher, self.embedding_size)

    @property
    def teachers(self) -> tuple[FeatureExtractor, ...]:
        return (self.teacher.extractor,)

    def recordable(self) -> Mapping[str, Frozen]:
        return {"embeddings": Frozen(self.teacher, "queries")}

    @property
    def forward_equivalents(self) -> float:
        return 7
