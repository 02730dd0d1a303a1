"""Release of a trained model: its query encoder, without its queue and its momentum encoder."""

from dataclasses import dataclass

from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import FeatureExtractor
from trainers.ssl.encoders import EncoderStage, write_weights
from trainers.ssl.method import check_pair
from trainers.ssl.pairs import started_pair
from trainers.stage import Work


@dataclass(frozen=True, kw_only=True)
class Release(EncoderStage):
    """Encoders as public checkpoints hold them: the query encoder in both roles, on one frozen backbone.

    Attributes:
        encoder: the trained model.
    """

    encoder: EncoderStage

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pair(self.encoder, "encoder to release")

    @property
    def backbone(self) -> AnyBackbone:  # type: ignore[override]
        """The released backbone's architecture."""
        return self.encoder.backbone

    @property
    def extractor(self) -> FeatureExtractor:
        return self.encoder.extractor

    @property
    def shared_backbone(self) -> EncoderStage:
        return self

    @property
    def output_size(self) -> int:
        return self.encoder.output_size

    def expected_seconds(self) -> float:
        return 0.1

    def run(self, work: Work) -> None:
        start = work.inputs["encoder"]
        write_weights(work.output, started_pair(self.extractor, self.encoder, start, trains="none"))
