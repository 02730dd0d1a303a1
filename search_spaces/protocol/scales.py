"""Scales: sizes of an experiment, independent of its protocol."""

from dataclasses import dataclass, replace

from trainers.fields import Kept, Precision
from trainers.networks.architectures import ArchitectureName
from trainers.networks.backbones import TORCHVISIONS_WIDTH, Architecture

BRIEF_BATCHES = 4


@dataclass(frozen=True, kw_only=True)
class RivalSizes:
    """Sizes of the rival methods of Table 1, and values that depend on them; the defaults are those of their papers.

    Attributes:
        swav_batch_size: frames per step of SwAV.
        num_prototypes: SwAV's clusters.
        swav_queue_size: embeddings in each of SwAV's queues.
        swav_queue_from_epoch: the epoch (0-based) from which on they are filled.
        swav_epsilon: ε of the Sinkhorn-Knopp algorithm; the few frames that a small batch shares out among prototypes
            need a smaller one, or all embeddings collapse into one.
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
    """Sizes of an experiment.

    Attributes:
        dataset: that is meant where none is named.
        architecture: of all backbones.
        width: channels of the backbone's first stage.
        vision_transformer: architecture of the stand-in for a free model of this kind.
        store_px: side of stored frames.
        size_px: side of the network's input.
        ssl_fps: rate of the frames that pre-training, probe and fine-tuning see.
        feature_fps: rate of the frames that are stored, and that the temporal model sees.
        queue_size: K.
        momentum: m of the key encoder, which averages over 1/(1−m) steps: a short run needs a smaller one.
        batch_size: frames per step of pre-training.
        student_epochs: passes of a student over the frames.
        teacher_epochs: passes of a teacher over the frames.
        learning_rate: of pre-training, at the start.
        precision: of pre-training, of features, and of fine-tuning all layers.
        features_kept: type that features are stored as.
        probe_every_epochs: how often the kNN probe looks at a student.
        generic_images: number of generic images that the free weights are trained on.
        generic_epochs: passes over them.
        finetune_epochs: passes of the frame-wise classifier.
        temporal_layers: dilated layers per stage of the temporal model.
        temporal_maps: channels inside the temporal model.
        temporal_epochs: passes of the temporal model over the videos.
        temporal_learning_rate: of Adam, at the start.
        temporal_halve_after: epochs, counted from 1, at whose start it is halved.
        rivals: sizes of the rival methods.
    """

    name: str
    description: str
    dataset: str
    architecture: Architecture
    width: int = 64
    vision_transformer: ArchitectureName = "timm:vit_tiny_patch16_224"
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
    features_kept: Kept
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

    @property
    def has_published_weights(self) -> bool:
        """Whether somebody publishes weights of its network."""
        return self.architecture != "resnet10" and self.width == TORCHVISIONS_WIDTH


FULL = Scale(
    name="full",
    description="the paper's sizes: ResNet-50 at 224 px, 200 epochs",
    dataset="cholec80",
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
    features_kept="fp16",
    probe_every_epochs=10,
    generic_images=100_000,
    generic_epochs=200,
    finetune_epochs=10,
    temporal_layers=12,
    temporal_maps=64,
    temporal_epochs=100,
)
DEMO = Scale(
    name="demo",
    description="minutes on two CPU cores: a small ResNet at 48 px (64 for RegionCL) on synthetic videos",
    dataset="demo",
    architecture="resnet10",
    width=32,
    vision_transformer="timm:test_vit@96",
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
    features_kept="fp32",
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
)
SMALL = replace(
    DEMO,
    name="small",
    description="an hour on two CPU cores: ResNet-18 of half the width at 64 px on longer synthetic videos",
    dataset="small",
    architecture="resnet18",
    store_px=80,
    size_px=64,
    ssl_fps=2.5,
    queue_size=2048,
    student_epochs=12,
    teacher_epochs=6,
    probe_every_epochs=3,
    generic_images=16384,
    rivals=replace(DEMO.rivals, swav_queue_size=512, small_crop_px=32, simsiam_epochs=12),
)
"""Between the two, and otherwise as the demo: docs/reproduction.md says how its sizes were chosen."""

SCALES = {scale.name: scale for scale in (FULL, DEMO, SMALL)}


def one_pass(scale: Scale) -> Scale:
    """A scale of the same networks, batches and queue that takes one pass, over few generic images."""
    once = dict.fromkeys((name for name in Scale.__dataclass_fields__ if name.endswith("_epochs")), 1)
    few = min(scale.generic_images, BRIEF_BATCHES * scale.batch_size)
    return replace(scale, generic_images=few, rivals=replace(scale.rivals, simsiam_epochs=1), **once)  # type: ignore[arg-type]
