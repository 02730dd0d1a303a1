"""The student as the paper's own code trains it; each difference from the paper is a field.

Ding et al., MICCAI 2022, Sec. 2.3: L = w L_con + λ L_dis (eq. 7, where w is 1).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainers.fields import Channels, Count, Momentum, Temperature, Weight
from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import FeatureExtractor
from trainers.ssl.distillation_losses import distillation_kl
from trainers.ssl.encoders import Encoder, EncoderStage, read_weights
from trainers.ssl.losses import dictionary_logits, info_nce
from trainers.ssl.method import ContrastiveConfig, Method, Views, check_pair, check_queue
from trainers.ssl.pairs import EncoderPair, MomentumPair, frozen_pair, random_pair, separate_encoders, shuffle_orders
from trainers.ssl.queue import Queue
from trainers.stage import InputError


class AuthorsStudentMethod(Method):
    """One step of student and teacher, each on its dictionary."""

    encoders: EncoderPair

    def __init__(
        self,
        config: "AuthorsStudent",
        student: EncoderPair,
        teacher: EncoderPair,
        queue: "Queue | SeparateQueues",
        seed: int,
    ) -> None:
        super().__init__()
        self.config = config
        self.encoders = student
        self.teacher = teacher
        self.queue = queue
        self.seed = seed

    def train(self, mode: bool = True) -> "AuthorsStudentMethod":
        super().train(mode)
        self.teacher.train(mode and self.config.moving_teacher)
        return self

    @property
    def called_once(self) -> tuple[nn.Module, ...]:
        return (*self.encoders.called_once, *self.teacher.called_once)

    def forward(self, views: Views) -> Mapping[str, Tensor]:
        config = self.config
        shuffle_s, *others = shuffle_orders(self.seed, views.step, views.key, num_encoders=1 + config.shuffles_apart)
        shuffle_t = others[0] if others else shuffle_s
        x_q, x_k = self.encoders.inputs(views.query, views.key)
        q_s = self.encoders.embed_queries(x_q)  # N×C
        self.encoders.update_key_encoder(config.momentum)
        k_s = self.encoders.embed_keys(x_k, shuffle_s)  # N×C
        with torch.no_grad():
            x_q, x_k = self.teacher.inputs(views.query, views.key)
            q_t = self.teacher.embed_queries(x_q)  # N×C
            self.teacher.update_key_encoder(config.momentum)  # no effect on a frozen teacher
            k_t = self.teacher.embed_keys(x_k, shuffle_t)  # N×C
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


class MovingTeacher(MomentumPair):
    """A teacher without gradient, but in train mode, whose key encoder follows its query encoder."""

    def train(self, mode: bool = True) -> "MovingTeacher":
        nn.Module.train(self, mode)
        return self

    @property
    def called_once(self) -> tuple[nn.Module, ...]:
        return self.query.backbone, self.key.backbone

    def _learning(self, encoder: Encoder) -> Iterable[nn.Parameter]:
        return encoder.parameters()


class SeparateQueues(nn.Module):
    """One queue per encoder, each with its own pointer; random columns count as filled."""

    def __init__(self, size: int, dimensions: Mapping[str, int], seed: int) -> None:
        super().__init__()
        self.num_filled = size
        self.queues = nn.ModuleDict(
            {name: Queue(size, {name: dimension}, seed) for name, dimension in dimensions.items()}
        )

    def queue(self, name: str) -> Queue:
        """The queue of one encoder."""
        queue = self.queues[name]
        assert isinstance(queue, Queue)
        return queue

    def load(self, name: str, state: Mapping[str, Any] | None) -> None:
        """Loads one queue's columns from another training; without a state they stay random.

        Raises:
            InputError: that queue was of another size.
        """
        if state is None:
            return
        if state[name].shape != self.queue(name).bank(name).shape:
            raise InputError(
                f"queue_size is {self.num_filled}, but the teacher was trained with {state[name].shape[1]}: "
                "give both one size."
            )
        self.queue(name).load_state_dict(state)

    def bank(self, name: str) -> Tensor:
        """The columns of one encoder, C×K."""
        return self.queue(name).bank(name)

    def enqueue(self, keys: Mapping[str, Tensor], frame_ids: Tensor) -> None:
        """Replaces the oldest columns of every queue by all workers' keys."""
        for name, own in keys.items():
            self.queue(name).enqueue({name: own}, frame_ids)


@dataclass(frozen=True, kw_only=True)
class AuthorsStudent(ContrastiveConfig):
    """Hyperparameters of distilled self-supervision from a random start, with a teacher that may move.

    Attributes:
        teacher: the encoders that teach.
        moving_teacher: whether the teacher stays in train mode and its key encoder goes on following its query
            encoder, as in the authors' code.
        queues_apart: whether teacher and student keep queues of their own, as there: the teacher's goes on from its
            training, the student's starts random at column 0, and all columns are compared.
        shuffles_apart: whether student and teacher draw a shuffle of the batch each, the student first, as there, so
            that their keys are normalised in different splits; otherwise they share one.
        distillation_weight: λ.
        contrastive_weight: weight of L_con; 2 in the authors' code, whose sum adds it in place.
        temperature: τ of the InfoNCE loss and of the student's softmax.
        teacher_temperature: τ of the teacher's softmax; the student's where None.
        queue_size: K, the number of keys in each dictionary besides the positive.
        momentum: m of the key encoders.
        embedding_size: length of the student's embeddings.
    """

    teacher: EncoderStage
    moving_teacher: bool = True
    queues_apart: bool = True
    shuffles_apart: bool = True
    distillation_weight: Weight = 5.0
    contrastive_weight: Weight = 2.0
    temperature: Temperature = 0.2
    teacher_temperature: Temperature | None = None
    queue_size: Count = 65536
    momentum: Momentum = 0.999
    embedding_size: Channels = 128

    def build(self, backbone: AnyBackbone, inputs: Mapping[str, Path], seed: int) -> Method:
        student = random_pair(backbone, self.embedding_size, seed=seed)
        dimensions = {"student": self.embedding_size, "teacher": self.teacher.output_size}
        queue = (SeparateQueues if self.queues_apart else Queue)(self.queue_size, dimensions, seed)
        if isinstance(queue, SeparateQueues):
            queue.load("teacher", read_weights(inputs["teacher"]).get("queue"))
        return AuthorsStudentMethod(self, student, self._teacher(backbone, inputs["teacher"]), queue, seed)

    def check(self, backbone: AnyBackbone, batch_size: int) -> None:
        check_queue(self.queue_size, batch_size)
        check_pair(self.teacher, "teacher")
        if self.moving_teacher and self.teacher.extractor != self.teacher.backbone:
            raise InputError("the teacher is a student beside its own teacher: it cannot move; take moving_teacher=no.")

    @property
    def teachers(self) -> tuple[FeatureExtractor, ...]:
        return (self.teacher.extractor,)

    @property
    def moving_teachers(self) -> tuple[FeatureExtractor, ...]:
        return self.teachers if self.moving_teacher else ()

    @property
    def forward_equivalents(self) -> float:
        return 4

    def _teacher(self, backbone: AnyBackbone, folder: Path) -> EncoderPair:
        if not self.moving_teacher:
            return frozen_pair(self.teacher, folder)
        theirs = self.teacher.backbone.normalised_in(backbone.batch_norm_splits, backbone.running_statistics)
        query, key = separate_encoders(theirs, self.teacher, folder)
        return MovingTeacher(query, key, trains="none")
