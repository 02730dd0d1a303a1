"""Parts to export, of networks that nothing has trained, but whose normalisation has seen something."""

from pathlib import Path

import torch
from torch import nn

from tests.trainers.tiny import EMBEDDING, PHASES, Recording
from trainers.export.parts import Part, classifier_part, encoder_part, pipeline_part
from trainers.networks.backbones import Backbone
from trainers.recognition import finetune, temporal
from trainers.recognition.authors_code import AuthorsFineTune
from trainers.recognition.extract import ExtractFeatures
from trainers.recognition.finetune import FineTune
from trainers.recognition.multi_stage_tcn import TemporalNetwork
from trainers.recognition.temporal import TrainTemporal
from trainers.runtime.randomness import torch_generator
from trainers.ssl.encoders import EncoderStage, write_weights
from trainers.ssl.pairs import random_pair
from trainers.ssl.untrained import Untrained

SIZE_PX = 40
RESNET18 = Backbone(architecture="resnet18", batch_norm_splits=2)
RESNET10 = Backbone(architecture="resnet10", width=4)
NARROW = Backbone(architecture="resnet18", width=4)
NETWORK = TemporalNetwork(num_stages=2, num_layers=3, num_maps=4)


def encoder(backbone: Backbone, folder: Path) -> tuple[EncoderStage, Path]:
    """An encoder stage and its artifact."""
    pair = random_pair(backbone, EMBEDDING, seed=3)
    spread(pair)
    folder.mkdir(parents=True)
    write_weights(folder, pair)
    return Untrained(backbone=backbone, embedding_size=EMBEDDING, seed=3), folder


def student(backbone: Backbone, folder: Path) -> Part:
    return encoder_part("student", *encoder(backbone, folder / "encoder"), SIZE_PX)


def tuned(stage: EncoderStage, folder: Path, *, as_the_authors: bool = False) -> tuple[FineTune, Path]:
    """A stage of fine-tuning and its artifact: a network and a classifier at random."""
    cls = AuthorsFineTune if as_the_authors else FineTune
    model = cls(encoder=stage, videos=(Recording(),), num_phases=len(PHASES), size_px=SIZE_PX)
    network = model.backbone.build(seed=4)
    spread(network)
    classifier = nn.Linear(model.backbone.num_features, len(PHASES))
    folder.mkdir(parents=True)
    torch.save({"backbone": network.state_dict(), "classifier": classifier.state_dict()}, folder / finetune.WEIGHTS)
    return model, folder


def classifier(stage: EncoderStage, folder: Path, *, as_the_authors: bool = False) -> Part:
    return classifier_part(*tuned(stage, folder / "tuned", as_the_authors=as_the_authors), PHASES)


def pipeline(stage: EncoderStage, folder: Path) -> Part:
    """A fine-tuned network and a temporal model at random on its features."""
    model, _ = tuned(stage, folder / "tuned")
    training = ExtractFeatures(model=model, videos=(Recording(),))  # type: ignore[arg-type]
    trained = TrainTemporal(training=training, network=NETWORK, num_phases=len(PHASES))
    (folder / "temporal").mkdir()
    state = NETWORK.build(model.backbone.num_features, len(PHASES), seed=5).state_dict()
    torch.save(state, folder / "temporal" / temporal.WEIGHTS)
    return pipeline_part(trained, folder / "temporal", classifier_part(model, folder / "tuned", PHASES))


def spread(network: nn.Module) -> None:
    """Gives normalisation statistics and weights that a fresh network does not have."""
    generator = torch_generator(0, "statistics")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=generator)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2, generator=generator)  # type: ignore[union-attr]
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
