"""MoCo v2 on the sum or the concatenation of a student's and a frozen teacher's features.

Ding et al., MICCAI 2022, Table 2 (Addition, Concatenation): q = h_q(F_t(v_q) + F_s(v_q)), or [F_t(v_q), F_s(v_q)] in
place of the sum, and likewise for k; the loss is MoCo's (He et al., arXiv 1911.05722, eq. 1).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor, nn

from trainers.fields import Channels, Count, Momentum, Temperature
from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import FeatureExtractor
from trainers.ssl.encoders import Encoder, EncoderStage, load_backbone
from trainers.ssl.heads import projection_mlp
from trainers.ssl.losses import dictionary_logits, info_nce
from trainers.ssl.method import ContrastiveConfig, Method, Views, check_queue
from trainers.ssl.pairs import EncoderPair, MomentumPair, shuffle_order
from trainers.ssl.queue import KEYS, Queue
from trainers.stage import InputError

Combination = Literal["sum", "concatenation"]
"""The sum of teacher's and student's features, `F_t + F_s`, N×C, or their concatenation, N×2C."""


class CombinedMoCoMethod(Method):
    """MoCo's step on combined features; query and key encoder share the teacher."""

    encoders: EncoderPair

    def __init__(self, config: "CombinedMoCo", encoders: EncoderPair, seed: int) -> None:
        super().__init__()
        self.config = config
        self.encoders = encoders
        self.queue = Queue(config.queue_size, {KEYS: config.embedding_size}, seed)
        self.seed = seed

    def forward(self, views: Views) -> Mapping[str, Tensor]:
        x_q, x_k = self.encoders.inputs(views.query, views.key)
        q = self.encoders.embed_queries(x_q)  # N×C
        self.encoders.update_key_encoder(self.config.momentum)
        k = self.encoders.embed_keys(x_k, shuffle_order(self.seed, views.step, x_k))  # N×C
        self.note_embeddings(q)
        logits = dictionary_logits(q, k, self.queue.bank(KEYS))  # N×(1+K)
        self.queue.enqueue({KEYS: k}, views.frame_ids)
        return {"contrastive": info_nce(logits, self.config.temperature)}


class CombinedNetwork(nn.Module):
    """Teacher and student together: images N×3×H×W to their combined features.

    A teacher whose parameters do not learn stays in eval mode, so that its buffers do not move either.
    """

    def __init__(self, teacher: nn.Module, student: nn.Module, combine: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.teacher = teacher
        self.student = student
        self.combine = combine

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.teacher.train(mode and any(parameter.requires_grad for parameter in self.teacher.parameters()))
        return self

    def forward(self, images: Tensor) -> Tensor:
        return self.combine(self.teacher(images), self.student(images))


@dataclass(frozen=True, kw_only=True)
class Combined(FeatureExtractor):
    """A teacher and a student that see the same image, their pooled features combined.

    Pooling is a mean over positions: pooled features combined are the combined feature maps pooled.

    Attributes:
        teacher: the network F_t.
        student: the network F_s.
        combination: sum or concatenation.
    """

    teacher: FeatureExtractor
    student: FeatureExtractor
    combination: Combination

    @property
    def num_features(self) -> int:
        if self.combination == "sum":
            return self.student.num_features
        return self.teacher.num_features + self.student.num_features

    @property
    def gflops_at_224(self) -> float:
        return self.gflops_at(224)

    def gflops_at(self, size_px: int) -> float:
        return self.teacher.gflops_at(size_px) + self.student.gflops_at(size_px)

    @property
    def num_numbers(self) -> int:
        return self.teacher.num_numbers + self.student.num_numbers

    def build(self, seed: int) -> nn.Module:
        return self.join(self.teacher.build(seed), self.student.build(seed))

    def check_size(self, size_px: int) -> None:
        self.teacher.check_size(size_px)
        self.student.check_size(size_px)

    def join(self, teacher: nn.Module, student: nn.Module) -> nn.Module:
        """The network made of these two."""
        return CombinedNetwork(teacher, student, COMBINE[self.combination])

    def without_splits(self) -> Self:
        return replace(self, teacher=self.teacher.without_splits(), student=self.student.without_splits())


def concatenate(teacher_features: Tensor, student_features: Tensor) -> Tensor:
    """The teacher's features N×C, then the student's N×C': N×(C+C')."""
    return torch.cat([teacher_features, student_features], dim=1)


COMBINE: Mapping[Combination, Callable[[Tensor, Tensor], Tensor]] = {"sum": torch.add, "concatenation": concatenate}


@dataclass(frozen=True, kw_only=True)
class CombinedMoCo(ContrastiveConfig):
    """Hyperparameters of MoCo v2 on combined features: Ding et al., MICCAI 2022, Table 2.

    `sum` is the table's Addition, `concatenation` its Concatenation. Both encoders of the pair embed combined features,
    q = h_q(F_t(v_q) + F_s(v_q)) and likewise for k; the momentum update is of the student and the head. Later stages
    use the combined network, teacher included: its weights are in the artifact, and features are C long after a sum,
    2C after a concatenation. The table's Initialization is `MoCo` with the teacher for its `start`.

    Attributes:
        teacher: the encoders whose query backbone is F_t; it does not learn.
        combination: sum or concatenation of the feature maps.
        temperature: τ of the InfoNCE loss.
        queue_size: K, the number of keys in the dictionary besides the positive.
        momentum: m of the key encoder.
        embedding_size: length of the embeddings.
    """

    teacher: EncoderStage
    combination: Combination
    temperature: Temperature = 0.07
    queue_size: Count = 65536
    momentum: Momentum = 0.999
    embedding_size: Channels = 128

    def extractor(self, backbone: AnyBackbone) -> Combined:
        return Combined(teacher=self.teacher.extractor, student=backbone, combination=self.combination)

    def build(self, backbone: AnyBackbone, inputs: Mapping[str, Path], seed: int) -> Method:
        teacher = load_backbone(self.teacher, inputs["teacher"])
        query, key = (self._encoder(teacher, backbone, seed) for _ in range(2))
        pair = MomentumPair(query, key, trains="all")
        teacher.requires_grad_(False)
        return CombinedMoCoMethod(self, pair, seed)

    def check(self, backbone: AnyBackbone, batch_size: int) -> None:
        check_queue(self.queue_size, batch_size)
        theirs, ours = self.teacher.extractor.num_features, backbone.num_features
        if self.combination == "sum" and theirs != ours:
            raise InputError(
                f"combination is sum, but the teacher has {theirs} features and the student {ours}: "
                "give both one architecture and width, or concatenate them."
            )

    @property
    def teachers(self) -> tuple[FeatureExtractor, ...]:
        return (self.teacher.extractor,)

    @property
    def forward_equivalents(self) -> float:
        return 4

    def _encoder(self, teacher: nn.Module, backbone: AnyBackbone, seed: int) -> Encoder:
        combined = self.extractor(backbone)
        head = projection_mlp(combined.num_features, self.embedding_size, seed, "head")
        return Encoder(combined.join(teacher, backbone.build(seed)), head)
