"""Features of every frame of a set of videos, from a fine-tuned backbone."""

from dataclasses import dataclass

from trainers.data.ingest.video import Ingest
from trainers.fields import Count, Kept, Precision, added
from trainers.networks.backbones import FeatureExtractor
from trainers.recognition.finetune import FineTune, load_classifier
from trainers.recognition.sequences import FeatureStage, write_features_of
from trainers.stage import InputError, Work


@dataclass(frozen=True, kw_only=True)
class ExtractFeatures(FeatureStage):
    """Pooled features and the classifier's frame-wise phase, in one Parquet file per video.

    Frames without a label, in holes of the annotation, are among the rows: the temporal model sees all of a video.

    Attributes:
        model: the fine-tuned network.
        videos: whose frames are read; each has a label somewhere, where it must.
        sample_every: keep every n-th source frame.
        needs_labels: whether a video without any label is refused.
        precision: of the forward pass.
        kept: type that features are stored as.

    Raises:
        InputError: the network was trained on features that are stored already.
    """

    model: FineTune
    videos: tuple[Ingest, ...]
    sample_every: Count = 5
    needs_labels: bool = added(True)
    precision: Precision = added("fp32")
    kept: Kept = added("fp32")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model.features is not None:
            raise InputError("the classifier was trained on EncoderFeatures: the temporal model reads those, too.")

    @property
    def network(self) -> FeatureExtractor:
        return self.model.backbone

    @property
    def input_px(self) -> int:
        return self.model.size_px

    def run(self, work: Work) -> None:
        backbone, classifier = load_classifier(self.model, work.inputs["model"])
        write_features_of(self, backbone, work, classifier)
