"""A user's method: SEED, which distils without a contrastive loss (Fang et al., arXiv 2101.04731).

The four steps of CONTRIBUTING.md in one file, which does not have to be installed. Run it with
`freelunch run docs/examples/seed_loss.py:seed_loss --scale demo`; docs/own-study.md explains it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes import adapted_teacher, distilled, on_surgical_frames, recognition, teacher_start
from study import Row, Study
from trainers.evaluation.evaluate import Evaluate
from trainers.networks.backbones import Backbone
from trainers.ssl.encoders import EncoderStage, SingleEncoder, random_encoder
from trainers.ssl.losses import dictionary_logits
from trainers.ssl.method import Method, MethodConfig, Views, check_pair, check_queue
from trainers.ssl.pairs import EncoderPair, frozen_pair
from trainers.ssl.queue import Queue
from trainers.stage import InputError

# 1. The loss: a pure function of tensors.


def soft_cross_entropy(
    student_logits: Tensor, teacher_logits: Tensor, *, student_temperature: float, teacher_temperature: float
) -> Tensor:
    """−Σ_j p^t_j log p^s_j over one dictionary of the teacher's embeddings; the mean over frames.

    Source: SEED, Fang et al., arXiv 2101.04731, eq. 5.

    Args:
        student_logits: similarities of the student's embeddings to the dictionary, N×(1+K).
        teacher_logits: those of the teacher's, N×(1+K); no gradient goes there.
        student_temperature: τ of the student's softmax.
        teacher_temperature: τ of the teacher's softmax.
    """
    targets = (teacher_logits.detach() / teacher_temperature).softmax(1)
    return -(targets * F.log_softmax(student_logits / student_temperature, dim=1)).sum(1).mean()


# 2. The method: a module whose `forward` returns named loss terms, and the frozen config that builds it.


class SEEDMethod(Method):
    """One step of SEED: both networks see one view, and only the teacher's embeddings enter the queue."""

    def __init__(self, config: "SEED", student: SingleEncoder, teacher: EncoderPair, seed: int) -> None:
        super().__init__()
        self.config = config
        self.encoders = student
        self.teacher = teacher.query
        self.teacher.requires_grad_(False)
        self.queue = Queue(config.queue_size, {"teacher": config.embedding_size}, seed)

    def train(self, mode: bool = True) -> "SEEDMethod":
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, views: Views) -> Mapping[str, Tensor]:
        z_s = self.encoders.query(views.query)  # N×C
        with torch.no_grad():
            z_t = self.teacher(views.query)  # N×C
        queue = self.queue.bank("teacher")
        loss = soft_cross_entropy(
            dictionary_logits(z_s, z_t, queue),
            dictionary_logits(z_t, z_t, queue),
            student_temperature=self.config.temperature,
            teacher_temperature=self.config.teacher_temperature,
        )
        self.queue.enqueue({"teacher": z_t}, views.frame_ids)
        return {"soft_cross_entropy": loss}


@dataclass(frozen=True, kw_only=True)
class SEED(MethodConfig):
    """SEED: the student learns the teacher's similarities to a queue of the teacher's embeddings.

    Attributes:
        teacher: the encoders that teach; they stay as they are.
        temperature: τ of the student's softmax.
        teacher_temperature: τ of the teacher's softmax.
        queue_size: K, the number of the teacher's embeddings in the dictionary besides that of the same view.
        embedding_size: length of the student's embeddings; the teacher's.
    """

    has_key_encoder: ClassVar[bool] = False

    teacher: EncoderStage
    temperature: float = 0.2
    teacher_temperature: float = 0.07
    queue_size: int = 65536
    embedding_size: int = 128

    def build(self, backbone: Backbone, inputs: Mapping[str, Path], seed: int) -> Method:
        student = SingleEncoder(random_encoder(backbone, self.embedding_size, seed))
        return SEEDMethod(self, student, frozen_pair(self.teacher, inputs["teacher"]), seed)

    def check(self, backbone: Backbone, batch_size: int) -> None:
        check_pair(self.teacher, "teacher")
        check_queue(self.queue_size, batch_size)
        for name, value in (("temperature", self.temperature), ("teacher_temperature", self.teacher_temperature)):
            if value <= 0:
                raise InputError(f"{name} is {value}: τ must be positive.")
        if self.teacher.output_size != self.embedding_size:
            raise InputError(f"embedding_size is {self.embedding_size}: the teacher's is {self.teacher.output_size}.")

    @property
    def forward_equivalents(self) -> float:
        return 4


# 3. The contract: `tests/study/cli/test_own_study.py` checks SEED with the contract of this repository's methods.
# 4. The recipe, whose keyword arguments are what can be searched, and a study that uses it.


def seed_distilled(
    conditions: Conditions,
    *,
    seed: int,
    temperature: float = 0.2,
    teacher_temperature: float = 0.07,
    queue_size: int | None = None,
) -> Evaluate:
    """SEED's student, with the teacher of `distilled`."""
    teacher = adapted_teacher(conditions, teacher_start(conditions), "head", seed, {"queue_size": queue_size})
    method = SEED(
        teacher=teacher,
        temperature=temperature,
        teacher_temperature=teacher_temperature,
        queue_size=conditions.scale.queue_size if queue_size is None else queue_size,
    )
    return recognition(conditions, on_surgical_frames(conditions, method, seed), seed)


seed_loss = Study(
    name="seed_loss",
    title="Does distillation need the contrastive loss?",
    question="SEED's student learns from the teacher's similarities alone, with no InfoNCE and no key encoder.",
    recipe=seed_distilled,
    rows=(Row(name="seed", title="SEED"), Row(name="ours", title="L_con + λ L_dis", recipe=distilled)),
    reference="ours",
)
