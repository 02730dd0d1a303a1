"""CompRess: the student learns the teacher's similarities to other frames; a frame's own view is none of them.

Koohpayegani et al., arXiv 2010.14713, Sec. 3: L = KL(p^t ‖ p^s), where p^t and p^s are the softmax of the teacher's and
the student's similarities to anchor points, each in its own embedding (their "2q": a queue for either).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from trainers.fields import Channels, Count, Momentum, Temperature
from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import FeatureExtractor
from trainers.ssl.distillation_losses import anchor_kl, anchor_similarities
from trainers.ssl.encoders import Encoder, EncoderStage
from trainers.ssl.frozen import Frozen
from trainers.ssl.method import Method, MethodConfig, Views, check_pair, check_queue
from trainers.ssl.pairs import EncoderPair, frozen_query, random_pair, shuffle_order
from trainers.ssl.queue import Queue


class CompRessMethod(Method):
    """One step of CompRess: teacher, student and the student's key encoder see one view, and two queues are aligned.

    Anchor i of the teacher's queue and anchor i of the student's are the same frame view. Columns that are still random
    are no frames, in neither embedding: they are left out.
    """

    encoders: EncoderPair

    def __init__(self, config: "CompRess", student: EncoderPair, teacher: Encoder, seed: int) -> None:
        super().__init__()
        self.config = config
        self.encoders = student
        self.teacher = teacher
        dimensions = {"student": config.embedding_size, "teacher": config.teacher.output_size}
        self.queue = Queue(config.queue_size, dimensions, seed)
        self.seed = seed

    def train(self, mode: bool = True) -> "CompRessMethod":
        super().train(mode)
        self.teacher.eval()
        return self

    @property
    def called_once(self) -> tuple[nn.Module, ...]:
        return self.encoders.called_once

    def forward(self, views: Views) -> Mapping[str, Tensor]:
        config = self.config
        x_q, x_k = self.encoders.inputs(views.query, views.query)
        q_s = self.encoders.embed_queries(x_q)  # N×C
        self.encoders.update_key_encoder(config.momentum)
        k_s = self.encoders.embed_keys(x_k, shuffle_order(self.seed, views.step, x_k))  # N×C
        with torch.no_grad():
            q_t = self.teacher(views.query)  # N×C
        self.note_embeddings(q_s)
        kl = anchor_kl(
            anchor_similarities(q_s, self.queue.bank("student")),  # N×K
            anchor_similarities(q_t, self.queue.bank("teacher")),  # N×K
            temperature=config.temperature,
            num_filled=self.queue.num_filled,
        )
        self.queue.enqueue({"student": k_s, "teacher": q_t}, views.frame_ids)
        return {"distillation": kl}


@dataclass(frozen=True, kw_only=True)
class CompRess(MethodConfig):
    """Hyperparameters of CompRess with a queue for teacher and student each (Koohpayegani et al., arXiv 2010.14713).

    Embeddings are those of the projection heads, as for other methods, so that a teacher's trained head teaches; the
    authors' code compares the backbones' features.

    Attributes:
        teacher: the encoders whose query encoder teaches; it stays as it is.
        temperature: τ of both softmaxes.
        queue_size: K, the number of anchor points.
        momentum: m of the student's key encoder, whose embeddings are the student's anchors.
        embedding_size: length of the student's embeddings.
    """

    teacher_views: ClassVar[int] = 1

    teacher: EncoderStage
    temperature: Temperature = 0.04
    queue_size: Count = 128_000
    momentum: Momentum = 0.999
    embedding_size: Channels = 128

    def build(self, backbone: AnyBackbone, inputs: Mapping[str, Path], seed: int) -> Method:
        student = random_pair(backbone, self.embedding_size, seed=seed)
        return CompRessMethod(self, student, frozen_query(self.teacher, inputs["teacher"]), seed)

    def check(self, backbone: AnyBackbone, batch_size: int) -> None:
        check_queue(self.queue_size, batch_size)
        check_pair(self.teacher, "teacher")

    @property
    def teachers(self) -> tuple[FeatureExtractor, ...]:
        return (self.teacher.extractor,)

    def recordable(self) -> Mapping[str, Frozen]:
        return {"embeddings": Frozen(self.teacher, "query")}

    @property
    def forward_equivalents(self) -> float:
        return 4
