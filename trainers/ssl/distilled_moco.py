"""Distilled self-supervision: MoCo v2 that also learns the similarities that a frozen teacher sees.

Ding et al., MICCAI 2022, Sec. 2.3: L = L_con + λ L_dis (eq. 7), where L_con is MoCo's InfoNCE loss and L_dis the
KL divergence between the teacher's and the student's softmax over one dictionary of frame views.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from trainers.fields import Channels, Count, Momentum, Temperature, Weight
from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import FeatureExtractor
from trainers.ssl.distillation_losses import distillation_kl
from trainers.ssl.encoders import EncoderStage
from trainers.ssl.frozen import Frozen, features_of
from trainers.ssl.losses import dictionary_logits, info_nce
from trainers.ssl.method import ContrastiveConfig, Method, Views, check_pair, check_queue, check_start
from trainers.ssl.pairs import EncoderPair, frozen_pair, random_pair, shuffle_order, started_pair
from trainers.ssl.queue import Queue


class DistilledMoCoMethod(Method):
    """One step of student and teacher over one dictionary of frame views.

    Entry i of the teacher's dictionary and entry i of the student's are keys of the same frame view: both banks of the
    queue are filled by one call. Columns that are still random count in L_con, as MoCo's do, but are left out of the
    comparison with the teacher, so that λ = 0 is MoCo v2 step for step.
    """

    encoders: EncoderPair

    def __init__(self, config: "DistilledMoCo", student: EncoderPair, teacher: EncoderPair, seed: int) -> None:
        super().__init__()
        self.config = config
        self.encoders = student
        self.teacher = teacher
        dimensions = {"student": config.embedding_size, "teacher": config.teacher.output_size}
        self.queue = Queue(config.queue_size, dimensions, seed)
        self.seed = seed

    def train(self, mode: bool = True) -> "DistilledMoCoMethod":
        super().train(mode)
        self.teacher.eval()
        return self

    @property
    def called_once(self) -> tuple[nn.Module, ...]:
        return self.encoders.called_once

    def forward(self, views: Views) -> Mapping[str, Tensor]:
        config = self.config
        permutation = shuffle_order(self.seed, views.step, views.key)
        x_q, x_k = self.encoders.inputs(views.query, views.key)
        q_s = self.encoders.embed_queries(x_q)  # N×C
        self.encoders.update_key_encoder(config.momentum)
        k_s = self.encoders.embed_keys(x_k, permutation)  # N×C
        with torch.no_grad():
            q_t, k_t = self.teacher(views.query, views.key, permutation)  # N×C
        self.note_embeddings(q_s)
        logits_s = dictionary_logits(q_s, k_s, self.queue.bank("student"))  # N×(1+K)
        logits_t = dictionary_logits(q_t, k_t, self.queue.bank("teacher"))  # N×(1+K)
        kl = distillation_kl(
            logits_s,
            logits_t,
            student_temperature=config.temperature,
            teacher_temperature=config.teacher_temperature or config.temperature,
            num_filled=self.queue.num_filled,
        )
        self.queue.enqueue({"student": k_s, "teacher": k_t}, views.frame_ids)
        return {
            "contrastive": config.contrastive_weight * info_nce(logits_s, config.temperature),
            "distillation": config.distillation_weight * kl,
        }


@dataclass(frozen=True, kw_only=True)
class DistilledMoCo(ContrastiveConfig):
    """Hyperparameters of the student of Ding et al., MICCAI 2022, Sec. 2.3.

    Attributes:
        teacher: the encoders that teach; they stay as they are.
        distillation_weight: λ.
        contrastive_weight: weight of L_con; 1 in the paper.
        temperature: τ of the InfoNCE loss and of the student's softmax.
        teacher_temperature: τ of the teacher's softmax; the student's where None.
        queue_size: K, the number of keys in each dictionary besides the positive.
        momentum: m of the student's key encoder.
        embedding_size: length of the student's embeddings.
        start: the encoders the student starts from; random where None.
    """

    teacher: EncoderStage
    distillation_weight: Weight = 5.0
    contrastive_weight: Weight = 1.0
    temperature: Temperature = 0.07
    teacher_temperature: Temperature | None = None
    queue_size: Count = 65536
    momentum: Momentum = 0.999
    embedding_size: Channels = 128
    start: EncoderStage | None = None

    def build(self, backbone: AnyBackbone, inputs: Mapping[str, Path], seed: int) -> Method:
        if self.start is None:
            student = random_pair(backbone, self.embedding_size, seed=seed)
        else:
            student = started_pair(backbone, self.start, inputs["start"], trains="all")
        return DistilledMoCoMethod(self, student, frozen_pair(self.teacher, inputs["teacher"]), seed)

    def check(self, backbone: AnyBackbone, batch_size: int) -> None:
        check_queue(self.queue_size, batch_size)
        check_pair(self.teacher, "teacher")
        if self.start is not None:
            check_start(self.start, backbone, self.embedding_size)

    @property
    def teachers(self) -> tuple[FeatureExtractor, ...]:
        return (self.teacher.extractor,)

    def recordable(self) -> Mapping[str, Frozen]:
        return {"embeddings": Frozen(self.teacher, "pair"), **features_of(self.teacher)}

    @property
    def forward_equivalents(self) -> float:
        return 4
