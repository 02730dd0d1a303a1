"""Networks as they are exported whole: from images with values from 0 to 255 to features and probabilities."""

from typing import Self

import torch
from torch import Tensor, nn

from trainers.export.parts import Colours, ImageInput, Part, built
from trainers.networks.backbones import FeatureExtractor
from trainers.recognition.multi_stage_tcn import TemporalNetwork

FRAMES_AT_ONCE = 64


class FrameNetwork(nn.Module):
    """Images N×3×S×S (uint8, RGB) to features N×C and, with a classifier, to probabilities N×P too."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, classifier: nn.Module | None, image: ImageInput) -> None:
        super().__init__()
        self.network = network
        self.classifier = classifier
        scale, shift = image.scale_and_shift()
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        features: Tensor = self.network(images.float() * self.scale + self.shift)
        if self.classifier is None:
            return features
        return features, self.classifier(features).softmax(1)


class PhaseNetwork(nn.Module):
    """Features T×C of one video to probabilities T×P; a row sees itself and earlier rows alone."""

    def __init__(self, temporal: nn.Module) -> None:
        super().__init__()
        self.temporal = temporal

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.temporal(features.T[None])[-1, 0]
        return logits.softmax(0).T


class Pipeline(nn.Module):
    """Phase recognition as a trial has learned it: the frames of one video to the probability of every phase."""

    def __init__(self, network: nn.Module, classifier: nn.Module, temporal: nn.Module, image: ImageInput) -> None:
        super().__init__()
        self.network = network
        self.classifier = classifier
        self.temporal = temporal
        self._image = image

    @classmethod
    def untrained(
        cls,
        extractor: FeatureExtractor,
        temporal: TemporalNetwork,
        *,
        num_phases: int,
        size_px: int,
        mean: Colours,
        std: Colours,
    ) -> Self:
        """The networks that exported weights fit, in eval mode."""
        network = built(extractor)
        classifier = nn.Linear(extractor.num_features, num_phases)
        model = temporal.build(extractor.num_features, num_phases, seed=0)
        return cls(network, classifier, model, ImageInput(size_px=size_px, mean=mean, std=std)).eval()

    @classmethod
    def of(cls, part: Part) -> Self:
        """The networks of a part."""
        assert part.classifier is not None, "a pipeline has a classifier"
        assert part.temporal is not None, "a pipeline has a temporal model"
        return cls(part.network, part.classifier, part.temporal, part.image)

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """Features N×C of images N×3×S×S (uint8, RGB)."""
        batches = [self.network(self._image.normalised(batch)) for batch in torch.split(images, FRAMES_AT_ONCE)]
        return torch.cat(batches)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """Probabilities T×P of one video's frames T×3×S×S (uint8, RGB), in order of time."""
        probabilities: Tensor = PhaseNetwork(self.temporal)(self.features(images))
        return probabilities
