"""Presets (the protocol) and scales (the sizes): two independent choices that every recipe is given."""

from dataclasses import dataclass, replace
from typing import Literal

from trainers.backbones import Architecture, RunningStatistics
from trainers.data.datasets import Dataset
from trainers.data.ingest import Ingest
from trainers.data.label_fraction import Draw, draw_labelled
from trainers.data.splits import Split, official, selection
from trainers.data.video_file import NOMINAL_FPS
from trainers.loop import Precision
from trainers.public_weights import Layout
from trainers.stage import InputError
from trainers.weights_registry import RegisteredWeights

SplitName = Literal["selection", "official"]
Choosing = Literal["validation", "last", "test"]
"""Which epoch is kept: the best on the validation videos, the last, or the best on the test videos."""

BRIEF_BATCHES = 4

PUBLIC_KINDS: dict[Layout, str] = {"moco": "self-supervised", "torchvision": "supervised"}


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What the experiment does, whatever its size.

    Attributes:
        temperature: τ.
        distillation_weight: λ.
        contrastive_weight: factor of L_con in the total loss.
        batch_norm_splits: parts of a batch with normalisation statistics of their own.
        running_statistics: from all parts, or from the first.
        teacher_start: which public weights the teacher starts from.
        start_running_statistics: whether the teacher starts with their running statistics too, or with 0 and 1.
        heads_apart: whether the teacher's query and key head start drawn apart, not as the public one.
        teacher_batch_statistics: whether the teacher's frozen backbone is in train mode while its head is trained.
        moving_teacher: whether the teacher is in train mode, and its key encoder follows, while the student is trained.
        queues_apart: whether teacher and student have queues and pointers of their own.
        training_fps: rate of the frames that pre-training, probe and fine-tuning see; the scale's where None.
        finetune_mode: what is fine-tuned on labelled frames.
        finetune_learning_rate: of Adam there, at the start.
        normalised_input: whether fine-tuning and features see frames normalised as pre-training does.
        new_optimiser_every_epoch: whether Adam starts anew every epoch, in fine-tuning and in the temporal model.
        split: which videos train, validate and test.
        label_fraction: of the training videos, whose labels fine-tuning and the temporal model see; 1 is all.
        selection: which epoch of the fine-tuned and of the temporal model is kept.
        temporal_stages: stages of the temporal model.
        dropout_in_first_epoch_only: whether the temporal model's dropout is off after its first epoch.
        relaxed_fps: rate that the relaxed metrics' window of 10 s is counted at; that of the rows where None.
    """

    name: str
    description: str
    temperature: float = 0.07
    distillation_weight: float = 5.0
    contrastive_weight: float = 1.0
    batch_norm_splits: int = 4
    running_statistics: RunningStatistics = "mean"
    teacher_start: Literal["self-supervised", "supervised"] = "self-supervised"
    start_running_statistics: bool = True
    heads_apart: bool = False
    teacher_batch_statistics: bool = False
    moving_teacher: bool = False
    queues_apart: bool = False
    training_fps: float | None = None
    finetune_mode: Literal["linear", "full"] = "linear"
    finetune_learning_rate: float = 1e-2
    normalised_input: bool = True
    new_optimiser_every_epoch: bool = False
    split: SplitName = "selection"
    label_fraction: float = 1.0
    selection: Choosing = "validation"
    temporal_stages: int = 2
    dropout_in_first_epoch_only: bool = False
    relaxed_fps: float | None = None

    @property
    def stamp(self) -> str | None:
        """What must stand beside every result of this protocol."""
        return "selected on test" if self.selection == "test" else None


@dataclass(frozen=True, kw_only=True)
class RivalSizes:
    """How large the rival methods of Table 1 are, and what goes with that; by default as in their papers' recipes.

    Attributes:
        swav_batch_size: frames per step of SwAV.
        num_prototypes: SwAV's clusters.
        swav_queue_size: embeddings in each of SwAV's queues.
        swav_queue_from_epoch: the epoch (0-based) from which on they are filled.
        swav_epsilon: ε of the Sinkhorn-Knopp algorithm; the few frames that a small batch shares out among prototypes
            need a smaller one, lest all embeddings become one.
        num_small_crops: SwAV's views of small parts of a frame, beside the two full ones.
        small_crop_px: side of these.
        simsiam_batch_size: frames per step of SimSiam.
        simsiam_epochs: passes of SimSiam over the frames.
        simsiam_base_learning_rate: at the start, for a batch of 256 frames; few steps need a larger one.
        region_size_px: side of the input of RegionCL, in which regions are whole cells of 32 pixels.
        region_cells: shortest and longest side of a region, in cells.
    """

    swav_batch_size: int = 256
    num_prototypes: int = 3000
    swav_queue_size: int = 3840
    swav_queue_from_epoch: int = 15
    swav_epsilon: float = 0.05
    num_small_crops: int = 6
    small_crop_px: int = 96
    simsiam_batch_size: int = 512
    simsiam_epochs: int = 100
    simsiam_base_learning_rate: float = 0.05
    region_size_px: int = 224
    region_cells: tuple[int, int] = (3, 5)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the experiment is.

    Attributes:
        architecture: of all backbones.
        width: channels of the backbone's first stage.
        store_px: side of stored frames.
        size_px: side of the network's input.
        ssl_fps: rate of the frames that pre-training, probe and fine-tuning see.
        feature_fps: rate of the frames that are stored, and that the temporal model sees.
        queue_size: K.
        momentum: m of the key encoder; 1/(1−m) steps is how long it remembers, which a short run must outlast.
        batch_size: frames per step of pre-training.
        student_epochs: passes of a student over the frames.
        teacher_epochs: passes of a teacher over the frames.
        learning_rate: of pre-training, at the start.
        precision: of pre-training.
        probe_every_epochs: how often the kNN probe looks at a student.
        generic_images: number of generic images that the free weights are trained on.
        generic_epochs: passes over them.
        finetune_epochs: passes of the frame-wise classifier.
        temporal_layers: dilated layers per stage of the temporal model.
        temporal_maps: channels inside the temporal model.
        temporal_epochs: passes of the temporal model over the videos.
        temporal_learning_rate: of Adam, at the start.
        temporal_halve_after: epochs after which it is halved.
        rivals: sizes of the rival methods.
    """

    name: str
    description: str
    architecture: Architecture
    width: int = 64
    store_px: int
    size_px: int
    ssl_fps: float
    feature_fps: float
    queue_size: int
    momentum: float = 0.999
    batch_size: int
    student_epochs: int
    teacher_epochs: int
    learning_rate: float
    precision: Precision
    probe_every_epochs: int
    generic_images: int
    generic_epochs: int
    finetune_epochs: int
    temporal_layers: int
    temporal_maps: int
    temporal_epochs: int
    temporal_learning_rate: float = 5e-4
    temporal_halve_after: tuple[int, ...] = (30, 60, 90)
    rivals: RivalSizes = RivalSizes()


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="corrected",
            description="what the paper evidently means, without the faults of its code; models chosen on validation",
        ),
        Preset(
            name="paper",
            description="the paper's equations to the letter, at 5 fps throughout; all training videos, last epochs",
            training_fps=5,
            split="official",
            selection="last",
        ),
        Preset(
            name="official_code",
            description="what the authors' published code really does; models SELECTED ON TEST videos, as there",
            temperature=0.2,
            contrastive_weight=2.0,
            running_statistics="first",
            teacher_start="supervised",
            start_running_statistics=False,
            heads_apart=True,
            teacher_batch_statistics=True,
            moving_teacher=True,
            queues_apart=True,
            finetune_mode="full",
            finetune_learning_rate=1e-4,
            normalised_input=False,
            new_optimiser_every_epoch=True,
            split="official",
            selection="test",
            temporal_stages=1,
            dropout_in_first_epoch_only=True,
            relaxed_fps=25,
        ),
    )
}

SCALES = {
    scale.name: scale
    for scale in (
        Scale(
            name="full",
            description="the paper's sizes: ResNet-50 at 224 px, 200 epochs",
            architecture="resnet50",
            store_px=250,
            size_px=224,
            ssl_fps=1,
            feature_fps=5,
            queue_size=2048,
            batch_size=128,
            student_epochs=200,
            teacher_epochs=200,
            learning_rate=0.01,
            precision="bf16",
            probe_every_epochs=10,
            generic_images=100_000,
            generic_epochs=200,
            finetune_epochs=10,
            temporal_layers=12,
            temporal_maps=64,
            temporal_epochs=100,
        ),
        Scale(
            name="demo",
            description="minutes on two CPU cores: a small ResNet at 48 px (64 for RegionCL) on synthetic videos",
            architecture="resnet10",
            width=32,
            store_px=64,
            size_px=48,
            ssl_fps=5,
            feature_fps=5,
            queue_size=1024,
            momentum=0.996,
            batch_size=64,
            student_epochs=10,
            teacher_epochs=4,
            learning_rate=0.03,
            precision="fp32",
            probe_every_epochs=1,
            generic_images=4096,
            generic_epochs=6,
            finetune_epochs=20,
            temporal_layers=8,
            temporal_maps=32,
            temporal_epochs=40,
            temporal_learning_rate=2e-3,
            temporal_halve_after=(20, 30),
            rivals=RivalSizes(
                swav_batch_size=64,
                num_prototypes=64,
                swav_queue_size=256,
                swav_queue_from_epoch=2,
                swav_epsilon=0.02,
                num_small_crops=4,
                small_crop_px=24,
                simsiam_batch_size=64,
                simsiam_epochs=10,
                simsiam_base_learning_rate=0.5,
                region_size_px=64,
                region_cells=(1, 1),
            ),
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What every trial of a study has in common: the protocol, the sizes and the data.

    Attributes:
        preset: the protocol.
        scale: the sizes.
        dataset: the videos.
        weights: public weights by their names in this home; self-supervised, supervised, or one of each.
        brief: whether one pass over the shortest video of each side is enough, to see that every stage runs.

    Raises:
        InputError: public weights are of another architecture than the scale's, or play one role twice.
    """

    preset: Preset
    scale: Scale
    dataset: Dataset
    weights: tuple[RegisteredWeights, ...] = ()
    brief: bool = False

    def __post_init__(self) -> None:
        for each in self.weights:
            self._check_weights(each)
        if self.brief:
            object.__setattr__(self, "scale", _one_pass(self.scale))

    def having(self, **values: object) -> "Conditions":
        """The same conditions with other values for fields of the preset or the scale; None leaves a field as it is."""
        changed = {name: value for name, value in values.items() if value is not None}
        preset = {name: value for name, value in changed.items() if name in Preset.__dataclass_fields__}
        scale = {name: value for name, value in changed.items() if name not in preset}
        return replace(self, preset=replace(self.preset, **preset), scale=replace(self.scale, **scale))  # type: ignore[arg-type]

    def videos(self) -> Split[Ingest]:
        """The dataset's videos, ingested at this scale, on their sides of the preset's split."""
        videos = self.dataset.videos(fps=self.scale.feature_fps, size_px=self.scale.store_px)
        divide = official if self.preset.split == "official" else selection
        labelled = tuple(video for video in videos if video.annotation_digest is not None)
        unlabelled = tuple(video for video in videos if video.annotation_digest is None)
        split = replace(divide(labelled, subsets=self.dataset.subsets), unlabelled=unlabelled)
        return _shortest(split) if self.brief else split

    def labelled_videos(self, seed: int) -> tuple[Ingest, ...]:
        """The training videos whose labels a trial of a seed learns from."""
        return self.label_draw(seed).videos

    def label_draw(self, seed: int) -> Draw:
        """These videos, and how many of them the fraction alone asks for."""
        videos = self.videos().train
        return draw_labelled(videos, 1.0 if self.brief else self.preset.label_fraction, seed)

    @property
    def training_fps(self) -> float:
        """Rate of the frames that pre-training, probe and fine-tuning see."""
        return self.preset.training_fps or self.scale.ssl_fps

    def public(self, layout: Layout) -> RegisteredWeights | None:
        """The public weights of a layout, if they were asked for: MoCo's are self-supervised, torchvision's not."""
        return next((each for each in self.weights if each.layout == layout), None)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that a plan and a report of these conditions must show."""
        notes = [f"{each.name} is {each.title} (SHA-256 {each.digest[:8]}…)." for each in self.weights]
        missing = [kind for layout, kind in PUBLIC_KINDS.items() if self.public(layout) is None]
        if missing:
            notes.append(self._stand_in_note(" and ".join(missing)))
        if self.preset.stamp:
            notes.append(f"Results of preset {self.preset.name} are {self.preset.stamp}: they flatter every method.")
        return tuple(notes)

    def _stand_in_note(self, kinds: str) -> str:
        note = f"Whatever starts from {kinds} public weights starts from a stand-in, trained on drawn images"
        if self.scale.architecture == "resnet10":
            return f"{note}: nobody publishes weights of the network of scale {self.scale.name}."
        return f"{note}, not ImageNet: `freelunch weights add FILE --name NAME` and `--weights NAME` take public ones."

    def _check_weights(self, weights: RegisteredWeights) -> None:
        if weights.architecture != self.scale.architecture:
            raise InputError(
                f"weights {weights.name!r} are a {weights.architecture}, but scale {self.scale.name} trains "
                f"{self.scale.architecture}: leave them out, or take a scale of their architecture."
            )
        first = self.public(weights.layout)
        if first is not None and first.name != weights.name:
            raise InputError(
                f"weights {first.name!r} and {weights.name!r} are both {PUBLIC_KINDS[weights.layout]}: "
                "name one of them."
            )

    def sample_every(self, fps: float) -> int:
        """How many source frames lie between rows at a rate."""
        return round(NOMINAL_FPS / fps)


def _one_pass(scale: Scale) -> Scale:
    """The same networks, batches and queue, over a few batches of generic images and once over everything else."""
    once = dict.fromkeys((name for name in Scale.__dataclass_fields__ if name.endswith("_epochs")), 1)
    few = min(scale.generic_images, BRIEF_BATCHES * scale.batch_size)
    return replace(scale, generic_images=few, rivals=replace(scale.rivals, simsiam_epochs=1), **once)  # type: ignore[arg-type]


def _shortest(split: Split[Ingest]) -> Split[Ingest]:
    """The shortest video of each side."""
    train, validation, test, unlabelled = (
        tuple(sorted(side, key=lambda video: video.num_source_frames)[:1])
        for side in (split.train, split.validation, split.test, split.unlabelled)
    )
    return Split(train=train, validation=validation, test=test, unlabelled=unlabelled)
