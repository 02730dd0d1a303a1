"""The stages that recipes are made of: public weights, pre-training on surgical frames, and phase recognition."""

from dataclasses import fields, replace
from typing import Any, Literal

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import PRESETS
from trainers.data.augmentation import MoCoAugmentation
from trainers.data.synthetic.generic_images import GenericImages
from trainers.evaluation.evaluate import Evaluate
from trainers.networks.backbones import Backbone
from trainers.networks.supervised import Selection
from trainers.pretrained.release import Release
from trainers.pretrained.supervised import CROP_AND_FLIP, TrainClassifier
from trainers.recognition.authors_code import AuthorsFineTune, AuthorsStart, AuthorsTrainTemporal
from trainers.recognition.extract import ExtractFeatures
from trainers.recognition.finetune import FineTune
from trainers.recognition.temporal import PredictPhases, TemporalNetwork, TrainTemporal
from trainers.runtime.randomness import derived_seed
from trainers.ssl.authors_code import AuthorsStudent, AuthorsTeacher
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.encoders import EncoderStage, Trains
from trainers.ssl.loop import Optimisation
from trainers.ssl.method import MethodConfig
from trainers.ssl.moco import MoCo
from trainers.ssl.pretrain import Pretrain
from trainers.ssl.probe import KnnProbe
from trainers.stage import Stage


def free_weights(conditions: Conditions) -> EncoderStage:
    """Self-supervised weights that anyone can have: MoCo v2's own, or MoCo v2 on generic images to stand in for them.

    They depend on no preset, no hyperparameter and no seed of a trial, and share no random draw with any.
    """
    public = conditions.public("moco")
    if public is not None:
        return public.encoder()
    conditions = replace(conditions, preset=PRESETS["corrected"])
    seed = derived_seed(0, "free weights")
    trained = Pretrain(
        frames=(_generic_images(conditions),),
        method=moco_method(conditions),
        backbone=network(conditions),
        augmentation=MoCoAugmentation(size_px=conditions.scale.size_px),
        optimisation=usual_optimisation(conditions, conditions.scale.generic_epochs),
        seed=seed,
    )
    return Release(encoder=trained)


def supervised_weights(conditions: Conditions) -> EncoderStage:
    """Supervised weights that anyone can have: torchvision's, or a classifier of generic images to stand in for them.

    As `free_weights`, they depend on nothing of a trial.
    """
    public = conditions.public("torchvision")
    if public is not None:
        return public.encoder()
    scale = conditions.scale
    return TrainClassifier(
        frames=(_generic_images(conditions),),
        backbone=Backbone(architecture=scale.architecture, width=scale.width),
        augmentation=replace(CROP_AND_FLIP, size_px=scale.size_px),
        epochs=scale.generic_epochs,
        batch_size=scale.batch_size,
        seed=derived_seed(0, "supervised weights"),
    )


def public_start(conditions: Conditions) -> EncoderStage:
    """The public weights of the kind that the preset's teachers are made of, as they are."""
    self_supervised = conditions.preset.teacher_start == "self-supervised"
    return free_weights(conditions) if self_supervised else supervised_weights(conditions)


def teacher_start(conditions: Conditions) -> EncoderStage:
    """The public weights that the preset's teachers start from, whole or in part."""
    preset, public = conditions.preset, public_start(conditions)
    if preset.start_running_statistics and not preset.heads_apart:
        return public
    return AuthorsStart(
        encoder=public,
        running_statistics=preset.start_running_statistics,
        heads_apart=preset.heads_apart,
        seed=derived_seed(0, "teacher's start"),
    )


def adapted_teacher(conditions: Conditions, free: EncoderStage, trains: Trains, seed: int) -> EncoderStage:
    """Free weights of which some part is trained on surgical frames with the contrastive loss.

    Its order of frames and its views are its own, not those that the student of the same seed sees.
    """
    preset, scale = conditions.preset, conditions.scale
    method: MethodConfig = moco_method(conditions, start=free, trains=trains)
    if preset.heads_apart or preset.teacher_batch_statistics or preset.queues_apart:
        method = AuthorsTeacher(
            start=free,
            trains=trains,
            batch_statistics=preset.teacher_batch_statistics,
            temperature=preset.temperature,
            queue_size=scale.queue_size,
            momentum=scale.momentum,
        )
    return on_surgical_frames(
        conditions,
        method,
        derived_seed(seed, "teacher"),
        optimisation=usual_optimisation(conditions, scale.teacher_epochs),
        probed=False,
    )


def on_surgical_frames(
    conditions: Conditions,
    method: MethodConfig,
    seed: int,
    *,
    optimisation: Optimisation | None = None,
    augmentation: MoCoAugmentation | None = None,
    backbone: Backbone | None = None,
    probed: bool = True,
) -> Pretrain:
    """A method trained on the training videos and those without annotations.

    Args:
        conditions: preset, scale and dataset.
        method: the self-supervised method.
        seed: of everything drawn.
        optimisation: that of students where not given.
        augmentation: MoCo's, at the scale's size, where not given.
        backbone: the scale's, with the preset's splits, where not given.
        probed: whether the kNN probe looks at it now and then, where there are videos to validate on.
    """
    videos = conditions.videos()
    return Pretrain(
        frames=(*videos.train, *videos.unlabelled),
        sample_every=conditions.sample_every(conditions.training_fps),
        method=method,
        backbone=backbone or network(conditions),
        augmentation=augmentation or MoCoAugmentation(size_px=conditions.scale.size_px),
        optimisation=optimisation or usual_optimisation(conditions, conditions.scale.student_epochs),
        probe=_probe(conditions) if probed else None,
        seed=seed,
    )


def usual_optimisation(conditions: Conditions, epochs: int) -> Optimisation:
    """MoCo's optimiser, at the scale's batch size and learning rate."""
    scale = conditions.scale
    return Optimisation(
        epochs=epochs, batch_size=scale.batch_size, learning_rate=scale.learning_rate, precision=scale.precision
    )


def moco_method(conditions: Conditions, start: EncoderStage | None = None, trains: Trains = "all") -> MoCo:
    """MoCo v2 with τ, K and m of the conditions."""
    return MoCo(
        start=start,
        trains=trains,
        temperature=conditions.preset.temperature,
        queue_size=conditions.scale.queue_size,
        momentum=conditions.scale.momentum,
    )


def distillation(
    conditions: Conditions, teacher: EncoderStage, teacher_temperature: float | None
) -> DistilledMoCo | AuthorsStudent:
    """The student's method, with τ, λ, K and m of the conditions."""
    preset, scale = conditions.preset, conditions.scale
    if teacher_temperature == preset.temperature:
        teacher_temperature = None  # which says the same, and is the stage of other studies
    if preset.moving_teacher or preset.queues_apart:
        return AuthorsStudent(
            teacher=teacher,
            moving_teacher=preset.moving_teacher,
            queues_apart=preset.queues_apart,
            distillation_weight=preset.distillation_weight,
            contrastive_weight=preset.contrastive_weight,
            temperature=preset.temperature,
            teacher_temperature=teacher_temperature,
            queue_size=scale.queue_size,
            momentum=scale.momentum,
        )
    return DistilledMoCo(
        teacher=teacher,
        distillation_weight=preset.distillation_weight,
        contrastive_weight=preset.contrastive_weight,
        temperature=preset.temperature,
        teacher_temperature=teacher_temperature,
        queue_size=scale.queue_size,
        momentum=scale.momentum,
    )


def network(conditions: Conditions) -> Backbone:
    """The backbone of every pre-training, in the preset's splits."""
    preset, scale = conditions.preset, conditions.scale
    return Backbone(
        architecture=scale.architecture,
        width=scale.width,
        batch_norm_splits=preset.batch_norm_splits,
        running_statistics=preset.running_statistics,
    )


def recognition(
    conditions: Conditions,
    encoder: EncoderStage,
    seed: int,
    *,
    classifier_start: Literal["normal", "default"] = "normal",
) -> Evaluate:
    """Phase recognition on an encoder: fine-tuning, features, temporal model, test predictions, metrics."""
    preset, scale = conditions.preset, conditions.scale
    videos, labelled = conditions.videos(), conditions.labelled_videos(seed)
    chosen_on = videos.test if preset.selection == "test" else videos.validation
    selection: Selection = "last" if preset.selection == "last" else "validation"
    num_phases = len(conditions.dataset.phases)
    classifier = FineTune(
        encoder=encoder,
        videos=labelled,
        validation=chosen_on,
        mode=preset.finetune_mode,
        num_phases=num_phases,
        size_px=scale.size_px,
        sample_every=conditions.sample_every(conditions.training_fps),
        epochs=scale.finetune_epochs,
        learning_rate=preset.finetune_learning_rate,
        selection=selection,
        classifier_start=classifier_start,
        seed=seed,
    )
    if preset.new_optimiser_every_epoch or not preset.normalised_input:
        classifier = AuthorsFineTune(
            **_values(classifier),
            normalised_input=preset.normalised_input,
            new_optimiser_every_epoch=preset.new_optimiser_every_epoch,
        )
    training, validation, test = (
        ExtractFeatures(model=classifier, videos=side, sample_every=conditions.sample_every(scale.feature_fps))
        if side
        else None
        for side in (labelled, chosen_on, videos.test)
    )
    assert training is not None, "a split always trains"
    assert test is not None, "a split always tests"
    temporal = TrainTemporal(
        training=training,
        validation=validation,
        network=TemporalNetwork(
            num_stages=preset.temporal_stages, num_layers=scale.temporal_layers, num_maps=scale.temporal_maps
        ),
        num_phases=num_phases,
        epochs=scale.temporal_epochs,
        learning_rate=scale.temporal_learning_rate,
        halve_after=scale.temporal_halve_after,
        selection=selection,
        seed=seed,
    )
    if preset.new_optimiser_every_epoch or preset.dropout_in_first_epoch_only:
        temporal = AuthorsTrainTemporal(
            **_values(temporal),
            new_optimiser_every_epoch=preset.new_optimiser_every_epoch,
            dropout_in_first_epoch_only=preset.dropout_in_first_epoch_only,
        )
    return evaluated(conditions, PredictPhases(model=temporal, features=test))


def evaluated(conditions: Conditions, predictions: Stage) -> Evaluate:
    """The metrics of predictions, as the preset counts them."""
    return Evaluate(
        predictions=predictions,
        fps=conditions.scale.feature_fps,
        relaxed_fps=conditions.preset.relaxed_fps,
        phases=conditions.dataset.phases,
    )


def _values(stage: Stage) -> dict[str, Any]:
    """The fields of a stage, to make a variant of it from."""
    return {field.name: getattr(stage, field.name) for field in fields(stage)}  # type: ignore[arg-type]


def _generic_images(conditions: Conditions) -> GenericImages:
    return GenericImages(num_images=conditions.scale.generic_images, size_px=conditions.scale.store_px)


def _probe(conditions: Conditions) -> KnnProbe | None:
    videos = conditions.videos()
    if not videos.validation:
        return None
    return KnnProbe(
        training=videos.train,
        validation=videos.validation,
        sample_every=conditions.sample_every(conditions.training_fps),
        every_epochs=conditions.scale.probe_every_epochs,
    )
