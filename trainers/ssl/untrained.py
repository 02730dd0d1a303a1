"""Encoders that were never trained, as a stage."""

from dataclasses import dataclass

from trainers.fields import Channels, Seed
from trainers.networks.architectures import AnyBackbone
from trainers.ssl.encoders import EncoderStage, write_weights
from trainers.ssl.pairs import random_pair
from trainers.stage import Work


@dataclass(frozen=True, kw_only=True)
class Untrained(EncoderStage):
    """Encoders at their random start, a baseline of training.

    Attributes:
        backbone: the architecture.
        embedding_size: length of the embeddings.
        seed: of the initialisation; the same start as a `pretrain.Pretrain` of this seed.
    """

    backbone: AnyBackbone
    embedding_size: Channels = 128
    seed: Seed = 0

    @property
    def output_size(self) -> int:
        return self.embedding_size

    def expected_seconds(self) -> float:
        return 0.1

    def run(self, work: Work) -> None:
        write_weights(work.output, random_pair(self.backbone, self.embedding_size, seed=self.seed))
