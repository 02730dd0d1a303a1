"""Parts of a trained trial that can be exported: their networks, loaded, and the images that these take."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from trainers.networks.backbones import FeatureExtractor
from trainers.networks.features import IMAGENET_MEAN, IMAGENET_STD
from trainers.networks.timm_backbones import TimmBackbone, TimmNetwork
from trainers.recognition.authors_code import UnnormalisedNetwork
from trainers.recognition.finetune import FineTune, load_classifier
from trainers.recognition.multi_stage_tcn import MultiStageTCN, TemporalNetwork
from trainers.recognition.temporal import TrainTemporal, load_temporal
from trainers.ssl.encoders import EncoderStage, load_backbone, read_weights

PartName = Literal["student", "teacher", "classifier", "pipeline"]
PARTS: tuple[PartName, ...] = ("student", "teacher", "classifier", "pipeline")
Colours = tuple[float, float, float]
DIGITS = 9


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """Images as a network takes them: RGB, N×3×S×S, values from 0 to 1, minus `mean`, divided by `std`.

    Attributes:
        size_px: S.
        mean: of every channel.
        std: of every channel.
        before_px: side of the images in the trial, which its network resized to S; None where it did not.
    """

    size_px: int
    mean: Colours = IMAGENET_MEAN
    std: Colours = IMAGENET_STD
    before_px: int | None = None

    @property
    def is_normalised(self) -> bool:
        """Whether values are other than those from 0 to 1."""
        return self.mean != (0, 0, 0) or self.std != (1, 1, 1)

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """The factor and the summand, 3×1×1 each, that take values from 0 to 255 to those of the network."""
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return 1 / (255 * std), -mean / std

    def normalised(self, images: Tensor) -> Tensor:
        """Images N×3×S×S, uint8, as the network takes them."""
        scale, shift = self.scale_and_shift()
        return images.float() * scale + shift


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Networks to export, on the CPU and in eval mode.

    Attributes:
        name: which part of the trial they are.
        extractor: the architecture of `network`.
        network: images as `image` says to features N×C.
        image: the images that `network` takes.
        phases: names of the phases, in index order; empty without a classifier.
        classifier: features N×C to logits N×P.
        temporal: features 1×C×T to logits of every stage, S×1×P×T.
        temporal_network: the architecture of `temporal`.
        encoders: weights of query and key encoder with their heads, where the part is an encoder.
    """

    name: PartName
    extractor: FeatureExtractor
    network: nn.Module
    image: ImageInput
    phases: tuple[str, ...] = ()
    classifier: nn.Linear | None = None
    temporal: MultiStageTCN | None = None
    temporal_network: TemporalNetwork | None = None
    encoders: Mapping[str, Any] | None = None

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """Features N×C of images N×3×S×S, uint8."""
        features: Tensor = self.network(self.image.normalised(images))
        return features

    @torch.inference_mode()
    def frame_probabilities(self, images: Tensor) -> Tensor:
        """The classifier's probability of every phase, N×P."""
        assert self.classifier is not None, "the part has a classifier"
        logits: Tensor = self.classifier(self.features(images))
        return logits.softmax(1)

    @torch.inference_mode()
    def phase_probabilities(self, features: Tensor) -> Tensor:
        """The temporal model's probability of every phase, T×P, for features T×C of one video."""
        assert self.temporal is not None, "the part has a temporal model"
        logits: Tensor = self.temporal(features.T[None])[-1, 0]
        return logits.softmax(0).T

    def result(self, images: Tensor) -> Tensor:
        """The last result for images N×3×S×S, uint8: features or, where there is a classifier, probabilities."""
        if self.temporal is not None:
            return self.phase_probabilities(self.features(images))
        return self.features(images) if self.classifier is None else self.frame_probabilities(images)

    @torch.inference_mode()
    def result_of(self, network: nn.Module, images: Tensor) -> Tensor:
        """The result of a network that gives features, or a classifier's logits, for images as `network` takes them."""
        found: Tensor = network(self.image.normalised(images))
        return found if self.classifier is None else found.softmax(1)


def encoder_part(name: PartName, stage: EncoderStage, folder: Path, size_px: int) -> Part:
    """The query backbone of an encoder stage, as later stages use it, and the weights of its encoders.

    Args:
        name: student or teacher.
        stage: the encoder stage.
        folder: its artifact.
        size_px: side of the images that it is used with.
    """
    extractor = stage.extractor.without_splits()
    network, image = bare(load_backbone(stage, folder), extractor, ImageInput(size_px=size_px))
    return Part(name=name, extractor=extractor, network=network, image=image, encoders=read_weights(folder))


def classifier_part(stage: FineTune, folder: Path, phases: tuple[str, ...], encoder: Path | None = None) -> Part:
    """The fine-tuned backbone and the classifier of frames.

    Args:
        stage: the fine-tuning.
        folder: its artifact.
        phases: names of the phases, in index order.
        encoder: the artifact of its encoder, whose backbone it is where the classifier was trained on stored features.
    """
    network, classifier = load_classifier(stage, folder, encoder)
    image = ImageInput(size_px=stage.size_px)
    if isinstance(network, UnnormalisedNetwork):
        network, image = network.network, ImageInput(size_px=stage.size_px, mean=(0, 0, 0), std=(1, 1, 1))
    extractor = stage.encoder.extractor.without_splits()
    network, image = bare(network, extractor, image)
    return Part(
        name="classifier", extractor=extractor, network=network, image=image, phases=phases, classifier=classifier
    )


def pipeline_part(stage: TrainTemporal, folder: Path, classifier: Part) -> Part:
    """A classifier of frames and the temporal model on its features.

    Args:
        stage: the training of the temporal model.
        folder: its artifact.
        classifier: the part whose features the model was trained on.
    """
    temporal = load_temporal(stage, folder, classifier.extractor.num_features)
    return replace(classifier, name="pipeline", temporal=temporal.eval(), temporal_network=stage.network)


def built(extractor: FeatureExtractor) -> nn.Module:
    """An untrained network of an architecture, as `Part.network` is one."""
    network = extractor.build(seed=0)
    return network.network if isinstance(network, TimmNetwork) else network


def bare(network: nn.Module, extractor: FeatureExtractor, image: ImageInput) -> tuple[nn.Module, ImageInput]:
    """A network as its own library has it, without what fits images to it, and the images that it takes then.

    Args:
        network: as it is trained here.
        extractor: its architecture.
        image: the images that it is given here.
    """
    if not isinstance(network, TimmNetwork) or not isinstance(extractor, TimmBackbone):
        return network, image
    size = extractor.input_px or image.size_px
    before = image.size_px if size != image.size_px else None
    if not network.renormalises:
        return network.network, replace(image, size_px=size, before_px=before)
    mean, std = _composed(image, extractor)
    return network.network, ImageInput(size_px=size, mean=mean, std=std, before_px=before)


def _composed(image: ImageInput, extractor: TimmBackbone) -> tuple[Colours, Colours]:
    """Mean and deviation of a normalisation that is another one, then ImageNet's undone, then the network's own."""
    mean, std = [], []
    for index in range(3):
        ours, theirs = (each[index] for each in (IMAGENET_MEAN, extractor.mean))
        scale = image.std[index] / IMAGENET_STD[index]
        mean.append(round(image.mean[index] + scale * (theirs - ours), DIGITS))
        std.append(round(scale * extractor.std[index], DIGITS))
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
