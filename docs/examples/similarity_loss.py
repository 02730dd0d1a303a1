"""A user's method: similarities within a batch, without a queue (Tung and Mori, ICCV 2019, arXiv 1907.09682).

The four steps of CONTRIBUTING.md in one file, which does not have to be installed. Run it with
`freelunch run docs/examples/similarity_loss.py:similarity_loss --scale demo`; docs/own-study.md explains it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes import adapted_teacher, distilled, on_surgical_frames, recognition, teacher_start
from study import Row, Study
from trainers.evaluation.evaluate import Evaluate
from trainers.fields import Channels, Weight
from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import FeatureExtractor
from trainers.runtime import distributed
from trainers.ssl.encoders import Encoder, EncoderStage, SingleEncoder, random_encoder
from trainers.ssl.method import Method, MethodConfig, Views, check_pair
from trainers.ssl.pairs import frozen_query

# 1. The loss: a pure function of tensors.


def similarity_difference(student: Tensor, teacher: Tensor, everyone_s: Tensor, everyone_t: Tensor) -> Tensor:
    """Σ_j (s_ij − t_ij)², where s_ij and t_ij are the cosines of frames i and j; the mean over frames i.

    Source: similarity-preserving distillation, Tung and Mori, arXiv 1907.09682, eq. 4, on embeddings.

    Args:
        student: the student's embeddings of this worker's frames, L2-normalised, N×C.
        teacher: the teacher's, L2-normalised, N×C'; no gradient goes there.
        everyone_s: the student's embeddings of all workers' frames, B×C; no gradient goes there.
        everyone_t: the teacher's, B×C'; no gradient goes there.
    """
    s, t = student @ everyone_s.detach().T, (teacher @ everyone_t.T).detach()  # N×B
    return (s - t).square().sum(1).mean()


# 2. The method: a module whose `forward` returns named loss terms, and the frozen config that builds it.


class SimilaritiesMethod(Method):
    """One step: both networks see one view, and every frame is compared with the others of its batch."""

    def __init__(self, config: "Similarities", student: SingleEncoder, teacher: Encoder) -> None:
        super().__init__()
        self.config = config
        self.encoders = student
        self.teacher = teacher

    def train(self, mode: bool = True) -> "SimilaritiesMethod":
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, views: Views) -> Mapping[str, Tensor]:
        z_s = self.encoders.query(views.query)  # N×C
        with torch.no_grad():
            z_t = self.teacher(views.query)  # N×C'
        self.note_embeddings(z_s)
        everyone_s, everyone_t = distributed.all_gather(z_s.detach()), distributed.all_gather(z_t)
        difference = similarity_difference(z_s, z_t, everyone_s, everyone_t)
        return {"similarity": self.config.similarity_weight * difference}


@dataclass(frozen=True, kw_only=True)
class Similarities(MethodConfig):
    """The student learns which frames of a batch the teacher finds alike.

    Attributes:
        teacher: the encoders that teach; they stay as they are.
        similarity_weight: factor of the loss.
        embedding_size: length of the student's embeddings, which need not be the teacher's.
    """

    has_key_encoder: ClassVar[bool] = False
    teacher_views: ClassVar[int] = 1

    teacher: EncoderStage
    similarity_weight: Weight = 1.0
    embedding_size: Channels = 128

    def build(self, backbone: AnyBackbone, inputs: Mapping[str, Path], seed: int) -> Method:
        student = SingleEncoder(random_encoder(backbone, self.embedding_size, seed))
        return SimilaritiesMethod(self, student, frozen_query(self.teacher, inputs["teacher"]))

    def check(self, backbone: AnyBackbone, batch_size: int) -> None:
        check_pair(self.teacher, "teacher")

    @property
    def teachers(self) -> tuple[FeatureExtractor, ...]:
        return (self.teacher.extractor,)

    @property
    def forward_equivalents(self) -> float:
        return 3


# 3. The contract: `tests/study/cli/test_own_study.py` checks it with the contract of this repository's methods.
# 4. The recipe, whose keyword arguments are what can be searched, and a study that uses it.


def similarities(conditions: Conditions, *, seed: int, similarity_weight: Weight = 1.0) -> Evaluate:
    """The student of similarities within a batch, with the teacher of `distilled`."""
    teacher = adapted_teacher(conditions, teacher_start(conditions), "head", seed)
    method = Similarities(teacher=teacher, similarity_weight=similarity_weight)
    return recognition(conditions, on_surgical_frames(conditions, method, seed), seed)


similarity_loss = Study(
    name="similarity_loss",
    title="Does distillation need a queue?",
    question="The student learns the similarities that a teacher sees within a batch, with no queue and no InfoNCE.",
    recipe=similarities,
    rows=(Row(name="batch", title="similarities within a batch"), Row(name="ours", title="ours", recipe=distilled)),
    reference="ours",
)
