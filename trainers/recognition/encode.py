"""Features of every frame of a set of videos, from an encoder as it is: classifiers and temporal models share them."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from trainers.data.ingest.video import Ingest
from trainers.fields import Count, Kept, Pixels, Precision, added
from trainers.networks.backbones import FeatureExtractor
from trainers.recognition.sequences import FeatureStage, write_features_of
from trainers.ssl.encoders import EncoderStage, load_backbone
from trainers.stage import Work


@dataclass(frozen=True, kw_only=True)
class EncoderFeatures(FeatureStage):
    """Pooled features of an encoder's query backbone, in one Parquet file per video.

    No classifier decides them: whatever is trained on a frozen backbone reads the rows that it needs. Frames without a
    label, in holes of the annotation, are among the rows: the temporal model sees all of a video.

    Attributes:
        encoder: the pre-trained encoders; their query backbone is used.
        videos: whose frames are read; each has a label somewhere, where it must.
        size_px: side of the square input.
        sample_every: keep every n-th source frame.
        precision: of the forward pass.
        kept: type that features are stored as.
        needs_labels: whether a video without any label is refused.
    """

    encoder: EncoderStage
    videos: tuple[Ingest, ...]
    size_px: Pixels = 224
    sample_every: Count = 5
    precision: Precision = "fp32"
    kept: Kept = "fp32"
    needs_labels: bool = added(True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.network.check_size(self.size_px)

    @property
    def network(self) -> FeatureExtractor:
        return self.encoder.extractor

    @property
    def input_px(self) -> int:
        return self.size_px

    def started(self, folder: Path) -> nn.Module:
        """The network, from the encoder's artifact."""
        return load_backbone(self.encoder, folder)

    def run(self, work: Work) -> None:
        write_features_of(self, self.started(work.inputs["encoder"]), work)
