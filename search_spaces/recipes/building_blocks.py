"""Stages of pre-training that recipes are made of: public weights, teachers, training on surgical frames.

What follows pre-training is in `recognition.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict, TypeVar

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import PRESETS
from search_spaces.recipes.settings import (
    USUAL,
    DataSettings,
    MoCoSettings,
    QueueSettings,
    TeacherSettings,
    TrainingSettings,
)
from trainers.data.augmentation import MoCoAugmentation
from trainers.data.datasets.splits import Split
from trainers.data.frames import LeftOut
from trainers.data.ingest.video import Ingest
from trainers.data.synthetic.generic_images import GenericImages
from trainers.fields import Precision
from trainers.networks.architectures import AnyBackbone, backbone_of
from trainers.networks.backbones import Backbone
from trainers.pretrained.release import Release
from trainers.pretrained.supervised import CROP_AND_FLIP, TrainClassifier
from trainers.runtime.randomness import derived_seed
from trainers.ssl.authors_teacher import AuthorsTeacher
from trainers.ssl.encoders import EncoderStage, Trains
from trainers.ssl.loop import Optimisation
from trainers.ssl.method import MethodConfig
from trainers.ssl.moco import MoCo
from trainers.ssl.pretrain import Pretrain
from trainers.ssl.probe import KnnProbe
from trainers.stage import InputError

Value = TypeVar("Value")


def free_weights(conditions: Conditions) -> EncoderStage:
    """Public self-supervised weights, such as MoCo v2's or the package's own, or MoCo v2 on generic images.

    They depend on no preset, no hyperparameter and no seed of a trial, and share no random draw with any.
    """
    public = conditions.public("self-supervised")
    if public is not None:
        return public.encoder()
    conditions = replace(conditions, preset=PRESETS["corrected"])
    seed = derived_seed(0, "free weights")
    trained = Pretrain(
        frames=(_generic_images(conditions),),
        method=MoCo(**contrastive(conditions)),
        backbone=network(conditions),
        augmentation=MoCoAugmentation(size_px=conditions.scale.size_px),
        optimisation=usual_optimisation(conditions, conditions.scale.generic_epochs),
        seed=seed,
    )
    return Release(encoder=trained)


def supervised_weights(conditions: Conditions) -> EncoderStage:
    """Public supervised weights, such as torchvision's or the package's own, or a classifier of generic images.

    Like `free_weights`, they depend on nothing of a trial.
    """
    public = conditions.public("supervised")
    if public is not None:
        return public.encoder()
    return generic_classifier(conditions, plain_network(conditions), derived_seed(0, "supervised weights"))


def plain_network(conditions: Conditions) -> AnyBackbone:
    """The scale's network, which normalises a batch as a whole under every preset."""
    return backbone_of(conditions.scale.architecture, width=conditions.scale.width)


def generic_classifier(conditions: Conditions, backbone: AnyBackbone, seed: int) -> TrainClassifier:
    """A network that was trained to classify the generic images, at the sizes of the scale."""
    scale = conditions.scale
    return TrainClassifier(
        frames=(_generic_images(conditions),),
        backbone=backbone,
        augmentation=replace(CROP_AND_FLIP, size_px=scale.size_px),
        epochs=scale.generic_epochs,
        batch_size=scale.batch_size,
        seed=seed,
    )


def public_start(conditions: Conditions) -> EncoderStage:
    """The public weights of the kind that the preset's teachers are made of, as they are."""
    self_supervised = conditions.preset.teacher_start == "self-supervised"
    return free_weights(conditions) if self_supervised else supervised_weights(conditions)


def adapted_teacher(
    conditions: Conditions, free: EncoderStage, trains: Trains, seed: int, settings: TeacherSettings = USUAL
) -> EncoderStage:
    """Free weights of which some part is trained on surgical frames with the contrastive loss.

    Its order of frames and its views are its own, not those that the student of the same seed sees.
    """
    preset, contrast = conditions.preset, contrastive(conditions, settings)
    method: MethodConfig = MoCo(start=free, trains=trains, embedding_size=free.output_size, **contrast)
    if preset.heads_apart or preset.teacher_batch_statistics or preset.queues_apart:
        method = AuthorsTeacher(
            start=free,
            trains=trains,
            batch_statistics=preset.teacher_batch_statistics,
            embedding_size=free.output_size,
            **contrast,
        )
    epochs = conditions.epochs(settings.get("teacher_epochs"), conditions.scale.teacher_epochs)
    optimisation = usual_optimisation(conditions, epochs, settings)
    seed = derived_seed(seed, "teacher")
    backbone = in_splits(conditions, free.backbone, settings)
    trained = on_surgical_frames(conditions, method, seed, settings, optimisation=optimisation, backbone=backbone)
    return replace(trained, probe=None)


def on_surgical_frames(
    conditions: Conditions,
    method: MethodConfig,
    seed: int,
    settings: TrainingSettings = USUAL,
    *,
    optimisation: Optimisation | None = None,
    augmentation: MoCoAugmentation | None = None,
    backbone: AnyBackbone | None = None,
) -> Pretrain:
    """A method trained on the training videos and those without annotations, of the dataset that is pre-trained on.

    Where there are videos to validate on, the kNN probe looks at it now and then.

    Args:
        conditions: preset, scale and dataset.
        method: the self-supervised method.
        seed: of everything drawn.
        settings: split, use of stretches, and optimisation where it is not given otherwise.
        optimisation: MoCo's, for as many epochs as students take, where not given.
        augmentation: MoCo's, at the scale's size, where not given.
        backbone: the student's, with the preset's splits, where not given.
    """
    videos = conditions.pretraining_videos(settings.get("split"))
    epochs = conditions.epochs(settings.get("student_epochs"), conditions.scale.student_epochs)
    frames = (*videos.train, *videos.unlabelled)
    return Pretrain(
        frames=frames,
        left_out=() if settings.get("stretches") == "kept" else stretches_of(frames),
        sample_every=conditions.sample_every(conditions.training_fps),
        method=method,
        backbone=backbone or network(conditions, settings),
        augmentation=augmentation or MoCoAugmentation(size_px=conditions.scale.size_px),
        optimisation=optimisation or usual_optimisation(conditions, epochs, settings),
        probe=_probe(conditions, videos),
        seed=seed,
    )


def stretches_of(videos: Sequence[Ingest]) -> tuple[LeftOut, ...]:
    """The long black or frozen stretches of videos."""
    return tuple(
        LeftOut(source=source, start=start, stop=stop)
        for source, video in enumerate(videos)
        for start, stop in video.stretches
    )


def usual_optimisation(conditions: Conditions, epochs: int, settings: TrainingSettings = USUAL) -> Optimisation:
    """MoCo's optimiser, with the scale's batch size and learning rate and its own weight decay where not set."""
    scale = conditions.scale
    return Optimisation(
        epochs=epochs,
        batch_size=given(settings.get("batch_size"), scale.batch_size),
        learning_rate=given(settings.get("learning_rate"), scale.learning_rate),
        weight_decay=given(settings.get("weight_decay"), Optimisation.weight_decay),
        precision=precision(conditions, settings),
    )


def precision(conditions: Conditions, settings: DataSettings = USUAL) -> Precision:
    """Precision of networks on surgical frames: the one that is set, else the preset's, else the scale's."""
    usual = given(conditions.preset.precision, conditions.scale.precision)
    return given(settings.get("precision"), usual)


def network(conditions: Conditions, settings: TrainingSettings = USUAL) -> AnyBackbone:
    """The backbone of a student: the scale's where its architecture is not set, in the preset's splits likewise."""
    scale = conditions.scale
    architecture = given(settings.get("architecture"), scale.architecture)
    width = scale.width if architecture == scale.architecture else Backbone.width
    return in_splits(conditions, backbone_of(architecture, width=width, resizes=False), settings)


def in_splits(conditions: Conditions, backbone: AnyBackbone, settings: TrainingSettings = USUAL) -> AnyBackbone:
    """A backbone that normalises a batch as the preset has it, in its splits where they are not set."""
    preset = conditions.preset
    splits = given(settings.get("batch_norm_splits"), preset.batch_norm_splits)
    return backbone.normalised_in(splits, preset.running_statistics)


class Dictionary(TypedDict):
    """K and m of a method with a queue, as fields of its config."""

    queue_size: int
    momentum: float


class Contrastive(Dictionary):
    """τ, K and m of MoCo and of methods built on it, as fields of their configs."""

    temperature: float


def contrastive(conditions: Conditions, settings: MoCoSettings = USUAL) -> Contrastive:
    """τ, K and m of a trial: those that are set, else the preset's and the scale's."""
    temperature = given(settings.get("temperature"), conditions.preset.temperature)
    return {"temperature": temperature, **dictionary(conditions, settings)}


def dictionary(conditions: Conditions, settings: QueueSettings = USUAL) -> Dictionary:
    """K and m of a trial: those that are set, else the scale's.

    Raises:
        InputError: K is given both in keys and in batches.
    """
    scale, size, batches = conditions.scale, settings.get("queue_size"), settings.get("queue_batches")
    if size is not None and batches is not None:
        raise InputError(f"queue_size is {size} and queue_batches is {batches}: both say K, give one.")
    if batches is not None:
        size = batches * given(settings.get("batch_size"), scale.batch_size)
    return {
        "queue_size": given(size, scale.queue_size),
        "momentum": given(settings.get("momentum"), scale.momentum),
    }


def given(value: Value | None, usual: Value) -> Value:
    """A value that is set, or else the usual one."""
    return usual if value is None else value


def _generic_images(conditions: Conditions) -> GenericImages:
    return GenericImages(num_images=conditions.scale.generic_images, size_px=conditions.scale.store_px)


def _probe(conditions: Conditions, videos: Split[Ingest]) -> KnnProbe | None:
    if not videos.validation:
        return None
    return KnnProbe(
        training=videos.train,
        validation=videos.validation,
        sample_every=conditions.sample_every(conditions.training_fps),
        every_epochs=conditions.scale.probe_every_epochs,
    )
