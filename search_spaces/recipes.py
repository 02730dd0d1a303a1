"""Recipes: functions from hyperparameters to the last stage of a trial.

An argument left `None` takes the value of the preset (the protocol) or the scale (the sizes). Stages that come out
equal are one stage, so that trials share whatever their hyperparameters do not touch.
"""

from dataclasses import fields, replace
from typing import Any, Literal

from search_spaces.presets import PRESETS, Conditions, SplitName
from trainers.authors_code import AuthorsFineTune, AuthorsStart, AuthorsTrainTemporal
from trainers.backbones import Backbone
from trainers.baselines import MajorityClass
from trainers.classify import CROP_AND_FLIP, TrainClassifier
from trainers.data.frames import FrameSource
from trainers.data.generic import GenericImages
from trainers.data.views import MoCoAugmentation
from trainers.evaluate import Evaluate
from trainers.extract import ExtractFeatures
from trainers.finetune import FineTune
from trainers.loop import Optimisation
from trainers.pretrain import Pretrain, Untrained
from trainers.probe import KnnProbe
from trainers.randomness import derived_seed
from trainers.release import Release
from trainers.ssl.authors_code import AuthorsStudent, AuthorsTeacher
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.encoders import EncoderStage, Trains
from trainers.ssl.method import MethodConfig
from trainers.ssl.moco import MoCo
from trainers.stage import Stage
from trainers.supervised import Selection
from trainers.temporal import PredictPhases, TemporalNetwork, TrainTemporal


def distilled(
    conditions: Conditions,
    *,
    seed: int,
    teacher_trains: Trains = "head",
    distillation_weight: float | None = None,
    contrastive_weight: float | None = None,
    temperature: float | None = None,
    teacher_temperature: float | None = None,
    queue_size: int | None = None,
    momentum: float | None = None,
    learning_rate: float | None = None,
    student_epochs: int | None = None,
    teacher_epochs: int | None = None,
    batch_size: int | None = None,
    batch_norm_splits: int | None = None,
    split: SplitName | None = None,
) -> Evaluate:
    """Distilled self-supervision: free weights, a teacher adapted to surgical frames, the student it teaches.

    Args:
        conditions: preset, scale and dataset.
        seed: of everything drawn in this trial.
        teacher_trains: what of the teacher is trained on surgical frames.
        distillation_weight: λ.
        contrastive_weight: factor of L_con in the total loss.
        temperature: τ, of teacher and student together.
        teacher_temperature: τ of the teacher's softmax alone.
        queue_size: K, of teacher and student.
        momentum: m of the key encoders.
        learning_rate: of teacher and student, at the start.
        student_epochs: passes of the student over the frames.
        teacher_epochs: passes of the teacher over the frames.
        batch_size: frames per step, over all workers.
        batch_norm_splits: parts of a batch with normalisation statistics of their own.
        split: which videos train, validate and test.
    """
    free = teacher_start(conditions)
    conditions = conditions.having(
        distillation_weight=distillation_weight,
        contrastive_weight=contrastive_weight,
        temperature=temperature,
        queue_size=queue_size,
        momentum=momentum,
        learning_rate=learning_rate,
        student_epochs=student_epochs,
        teacher_epochs=teacher_epochs,
        batch_size=batch_size,
        batch_norm_splits=batch_norm_splits,
        split=split,
    )
    teacher = free if teacher_trains == "none" else adapted_teacher(conditions, free, teacher_trains, seed)
    method = _distillation(conditions, teacher, teacher_temperature)
    epochs = conditions.scale.student_epochs
    student = _on_surgical_frames(conditions, method, epochs, _probe(conditions), seed)
    return recognition(conditions, student, seed)


def moco(
    conditions: Conditions,
    *,
    seed: int,
    temperature: float | None = None,
    queue_size: int | None = None,
    momentum: float | None = None,
    learning_rate: float | None = None,
    student_epochs: int | None = None,
    batch_size: int | None = None,
    batch_norm_splits: int | None = None,
    split: SplitName | None = None,
) -> Evaluate:
    """MoCo v2 on surgical frames from a random start: the student without its teacher. Arguments as in `distilled`."""
    conditions = conditions.having(
        temperature=temperature,
        queue_size=queue_size,
        momentum=momentum,
        learning_rate=learning_rate,
        student_epochs=student_epochs,
        batch_size=batch_size,
        batch_norm_splits=batch_norm_splits,
        split=split,
    )
    epochs = conditions.scale.student_epochs
    student = _on_surgical_frames(conditions, _moco(conditions), epochs, _probe(conditions), seed)
    return recognition(conditions, student, seed)


def public_features(conditions: Conditions, *, seed: int, split: SplitName | None = None) -> Evaluate:
    """The free weights as they are, never trained on surgical frames."""
    conditions = conditions.having(split=split)
    return recognition(conditions, free_weights(conditions), seed)


def supervised_features(conditions: Conditions, *, seed: int, split: SplitName | None = None) -> Evaluate:
    """Supervised public weights as they are, never trained on surgical frames."""
    conditions = conditions.having(split=split)
    return recognition(conditions, supervised_weights(conditions), seed, classifier_start="default")


def untrained(conditions: Conditions, *, seed: int, split: SplitName | None = None) -> Evaluate:
    """A backbone at its random start: what any training is worth shows against it."""
    conditions = conditions.having(split=split)
    return recognition(conditions, Untrained(backbone=_backbone(conditions), seed=seed), seed)


def majority_class(conditions: Conditions, *, seed: int, split: SplitName | None = None) -> Evaluate:
    """The most frequent phase of the training videos, everywhere."""
    conditions = conditions.having(split=split)
    videos = conditions.videos()
    predictions = MajorityClass(
        training_videos=videos.train, test_videos=videos.test, sample_fps=conditions.scale.feature_fps
    )
    return _evaluated(conditions, predictions)


def free_weights(conditions: Conditions) -> EncoderStage:
    """Self-supervised weights that anyone can have: MoCo v2's own, or MoCo v2 on generic images to stand in for them.

    They depend on no preset, no hyperparameter and no seed of a trial, and share no random draw with any.
    """
    public = conditions.public("moco")
    if public is not None:
        return public.encoder()
    conditions = replace(conditions, preset=PRESETS["corrected"])
    seed = derived_seed(0, "free weights")
    epochs = conditions.scale.generic_epochs
    trained = _pretrain(conditions, (_generic_images(conditions),), 1, _moco(conditions), epochs, None, seed)
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


def teacher_start(conditions: Conditions) -> EncoderStage:
    """The public weights that the preset's teachers start from, whole or in part."""
    preset = conditions.preset
    public = free_weights(conditions) if preset.teacher_start == "self-supervised" else supervised_weights(conditions)
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
    method: MethodConfig = _moco(conditions, start=free, trains=trains)
    if preset.heads_apart or preset.teacher_batch_statistics or preset.queues_apart:
        method = AuthorsTeacher(
            start=free,
            trains=trains,
            batch_statistics=preset.teacher_batch_statistics,
            temperature=preset.temperature,
            queue_size=scale.queue_size,
            momentum=scale.momentum,
        )
    epochs = scale.teacher_epochs
    return _on_surgical_frames(conditions, method, epochs, None, derived_seed(seed, "teacher"))


def recognition(
    conditions: Conditions,
    encoder: EncoderStage,
    seed: int,
    *,
    classifier_start: Literal["normal", "default"] = "normal",
) -> Evaluate:
    """Phase recognition on an encoder: fine-tuning, features, temporal model, test predictions, metrics."""
    preset, scale = conditions.preset, conditions.scale
    videos = conditions.videos()
    chosen_on = videos.test if preset.selection == "test" else videos.validation
    selection: Selection = "last" if preset.selection == "last" else "validation"
    num_phases = len(conditions.dataset.phases)
    classifier = FineTune(
        encoder=encoder,
        videos=videos.train,
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
        for side in (videos.train, chosen_on, videos.test)
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
    return _evaluated(conditions, PredictPhases(model=temporal, features=test))


def _values(stage: Stage) -> dict[str, Any]:
    """The fields of a stage, to make a variant of it from."""
    return {field.name: getattr(stage, field.name) for field in fields(stage)}  # type: ignore[arg-type]


def _evaluated(conditions: Conditions, predictions: Stage) -> Evaluate:
    return Evaluate(
        predictions=predictions,
        fps=conditions.scale.feature_fps,
        relaxed_fps=conditions.preset.relaxed_fps,
        phases=conditions.dataset.phases,
    )


def _on_surgical_frames(
    conditions: Conditions, method: MethodConfig, epochs: int, probe: KnnProbe | None, seed: int
) -> Pretrain:
    sample_every = conditions.sample_every(conditions.training_fps)
    videos = conditions.videos()
    frames = (*videos.train, *videos.unlabelled)
    return _pretrain(conditions, frames, sample_every, method, epochs, probe, seed)


def _pretrain(
    conditions: Conditions,
    frames: tuple[FrameSource, ...],
    sample_every: int,
    method: MethodConfig,
    epochs: int,
    probe: KnnProbe | None,
    seed: int,
) -> Pretrain:
    scale = conditions.scale
    return Pretrain(
        frames=frames,
        sample_every=sample_every,
        method=method,
        backbone=_backbone(conditions),
        augmentation=MoCoAugmentation(size_px=scale.size_px),
        optimisation=Optimisation(
            epochs=epochs, batch_size=scale.batch_size, learning_rate=scale.learning_rate, precision=scale.precision
        ),
        probe=probe,
        seed=seed,
    )


def _generic_images(conditions: Conditions) -> GenericImages:
    return GenericImages(num_images=conditions.scale.generic_images, size_px=conditions.scale.store_px)


def _distillation(
    conditions: Conditions, teacher: EncoderStage, teacher_temperature: float | None
) -> DistilledMoCo | AuthorsStudent:
    preset, scale = conditions.preset, conditions.scale
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


def _moco(conditions: Conditions, start: EncoderStage | None = None, trains: Trains = "all") -> MoCo:
    return MoCo(
        start=start,
        trains=trains,
        temperature=conditions.preset.temperature,
        queue_size=conditions.scale.queue_size,
        momentum=conditions.scale.momentum,
    )


def _backbone(conditions: Conditions) -> Backbone:
    preset, scale = conditions.preset, conditions.scale
    return Backbone(
        architecture=scale.architecture,
        width=scale.width,
        batch_norm_splits=preset.batch_norm_splits,
        running_statistics=preset.running_statistics,
    )


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
