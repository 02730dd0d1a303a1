"""SEED: the student learns the teacher's similarities to a queue of the teacher's embeddings, with no contrastive loss.

Fang et al., arXiv 2101.04731, Sec. 3.2: L = −Σ_j p^t_j log p^s_j, where p^t and p^s are the softmax of the teacher's
and the student's similarities to D⁺ = [z^t, d_1 … d_K]: the teacher's embedding of the same view, and its earlier ones.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from trainers.fields import Channels, Count, Temperature
from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import FeatureExtractor
from trainers.ssl.distillation_losses import soft_cross_entropy
from trainers.ssl.encoders import Encoder, EncoderStage, SingleEncoder, random_encoder
from trainers.ssl.frozen import Frozen
from trainers.ssl.losses import dictionary_logits
from trainers.ssl.method import Chance, Method, MethodConfig, Views, check_pair, check_queue, check_taught
from trainers.ssl.pairs import frozen_query
from trainers.ssl.queue import Queue


class SEEDMethod(Method):
    """One step of SEED: both networks see one view, and only the teacher's embeddings enter the queue."""

    advice = "lower learning_rate or raise student_temperature"

    def __init__(self, config: "SEED", student: SingleEncoder, teacher: Encoder, seed: int) -> None:
        super().__init__()
        self.config = config
        self.encoders = student
        self.teacher = teacher
        self.queue = Queue(config.queue_size, {"teacher": config.embedding_size}, seed)

    def train(self, mode: bool = True) -> "SEEDMethod":
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, views: Views) -> Mapping[str, Tensor]:
        z_s = self.encoders.query(views.query)  # N×C
        with torch.no_grad():
            z_t = self.teacher(views.query)  # N×C
        self.note_embeddings(z_s)
        queue = self.queue.bank("teacher")
        loss = soft_cross_entropy(
            dictionary_logits(z_s, z_t, queue),  # N×(1+K)
            dictionary_logits(z_t, z_t, queue),  # N×(1+K)
            student_temperature=self.config.student_temperature,
            teacher_temperature=self.config.teacher_temperature,
        )
        self.queue.enqueue({"teacher": z_t}, views.frame_ids)
        return {"distillation": loss}


@dataclass(frozen=True, kw_only=True)
class SEED(MethodConfig):
    """Hyperparameters of SEED (Fang et al., arXiv 2101.04731).

    Columns of the queue that are still random are compared, too: teacher and student see the same ones.

    Attributes:
        teacher: the encoders whose query encoder teaches; it stays as it is.
        student_temperature: τ^s of the student's softmax.
        teacher_temperature: τ^t of the teacher's softmax.
        queue_size: K, the number of the teacher's embeddings in the dictionary besides that of the same view.
        embedding_size: length of the student's embeddings; the teacher's.
    """

    has_key_encoder: ClassVar[bool] = False
    teacher_views: ClassVar[int] = 1

    teacher: EncoderStage
    student_temperature: Temperature = 0.2
    teacher_temperature: Temperature = 0.01
    queue_size: Count = 65536
    embedding_size: Channels = 128

    def build(self, backbone: AnyBackbone, inputs: Mapping[str, Path], seed: int) -> Method:
        student = SingleEncoder(random_encoder(backbone, self.embedding_size, seed))
        return SEEDMethod(self, student, frozen_query(self.teacher, inputs["teacher"]), seed)

    def check(self, backbone: AnyBackbone, batch_size: int) -> None:
        check_queue(self.queue_size, batch_size)
        check_pair(self.teacher, "teacher")
        check_taught(self.teacher, self.embedding_size)

    def chance(self) -> Mapping[str, Chance]:
        return {"distillation": Chance(math.log(self.queue_size + 1), "ln(K + 1)")}

    @property
    def teachers(self) -> tuple[FeatureExtractor, ...]:
        return (self.teacher.extractor,)

    def recordable(self) -> Mapping[str, Frozen]:
        return {"embeddings": Frozen(self.teacher, "query")}

    @property
    def forward_equivalents(self) -> float:
        return 3
