"""Free models of the package: their settings, their images and their trainings, for `benchmarks.pretrain_public`."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

from trainers.data.augmentation import MoCoAugmentation
from trainers.data.frames import FrameSource
from trainers.data.synthetic.drawn_images import DrawnImages
from trainers.data.synthetic.generic_images import GenericImages
from trainers.fields import Precision
from trainers.networks.backbones import Architecture, Backbone
from trainers.pretrained.contents import Kind
from trainers.pretrained.supervised import TrainClassifier
from trainers.ssl.loop import Optimisation
from trainers.ssl.moco import MoCo
from trainers.ssl.pretrain import Pretrain
from trainers.ssl.probe import KnnProbe
from trainers.stage import Work

IMAGES_PER_PART = 2048
KINDS: tuple[Kind, ...] = ("supervised", "self-supervised")
Drawing = Literal["drawn", "generic"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is trained, and on what.

    Views are larger parts of an image than MoCo's, and never mirrored: where things are in a frame says much about it.

    Attributes:
        scale: for which it is trained.
        architecture: of the scale's network.
        width: channels of its first stage.
        size_px: side of the views.
        store_px: side of the images.
        drawing: whether images are those of `DrawnImages` or of `GenericImages`.
        images: their number.
        per_theme: images that share a theme, of `DrawnImages` alone.
        per_scene: photographs of a scene, of `DrawnImages` alone; more than one make scenes the classes of supervised
            training, which otherwise are the kinds of images.
        epochs: of self-supervised training.
        supervised_epochs: of supervised training, which sees two views of an image as well.
        batch_size: images per step.
        learning_rate: of self-supervised training, at the start.
        supervised_learning_rate: of supervised training, at the start.
        supervised_temperature: τ of the classifier of scenes.
        queue_size: K.
        momentum: m.
        min_scale: smallest area of a crop; the next four are of the augmentation, too.
        hue: largest turn of the hue.
        saturation: largest change of the saturation.
        grayscale_probability: of views without colour.
        flip_probability: of views that are mirrored.
        precision: of training.
        seed: of everything drawn.
    """

    scale: str = "demo"
    architecture: Architecture = "resnet10"
    width: int = 32
    size_px: int = 48
    store_px: int = 64
    drawing: Drawing = "drawn"
    images: int = 65536
    per_theme: int = 16
    per_scene: int = 1
    epochs: int = 20
    supervised_epochs: int = 5
    batch_size: int = 128
    learning_rate: float = 0.06
    supervised_learning_rate: float = 1e-3
    supervised_temperature: float = 0.1
    queue_size: int = 4096
    momentum: float = 0.99
    min_scale: float = 0.85
    hue: float = MoCoAugmentation.hue
    saturation: float = MoCoAugmentation.saturation
    grayscale_probability: float = MoCoAugmentation.grayscale_probability
    flip_probability: float = 0.0
    precision: Precision = "fp32"
    seed: int = 0

    @property
    def backbone(self) -> Backbone:
        """The scale's network."""
        return Backbone(architecture=self.architecture, width=self.width)

    @property
    def augmentation(self) -> MoCoAugmentation:
        """What makes the views."""
        return MoCoAugmentation(
            size_px=self.size_px,
            min_scale=self.min_scale,
            hue=self.hue,
            saturation=self.saturation,
            grayscale_probability=self.grayscale_probability,
            flip_probability=self.flip_probability,
        )

    def parts(self) -> tuple[DrawnImages | GenericImages, ...]:
        """The images, in parts that are drawn each by one process."""
        return tuple(
            self._part(number, min(IMAGES_PER_PART, self.images - first))
            for number, first in enumerate(range(0, self.images, IMAGES_PER_PART))
        )

    def _part(self, number: int, count: int) -> DrawnImages | GenericImages:
        if self.drawing == "generic":
            return GenericImages(num_images=count, size_px=self.store_px, seed=1000 * self.seed + number)
        first = number * IMAGES_PER_PART
        return DrawnImages(
            num_images=count,
            size_px=self.store_px,
            first=first,
            per_theme=self.per_theme,
            per_scene=self.per_scene,
            seed=self.seed,
        )

    @property
    def of_scenes(self) -> bool:
        """Whether supervised training learns to tell scenes apart."""
        return self.drawing == "drawn" and self.per_scene > 1

    def method(self, kind: Kind) -> str:
        """The training of a kind in words."""
        if kind == "self-supervised":
            return "MoCo v2"
        return "classifier of scenes" if self.of_scenes else "classifier of kinds"

    def stage(self, kind: Kind, probe: KnnProbe | None) -> Pretrain | TrainClassifier:
        """The training of a kind."""
        parts: tuple[FrameSource, ...] = self.parts()
        if kind == "supervised":
            return TrainClassifier(
                frames=parts,
                backbone=self.backbone,
                augmentation=self.augmentation,
                epochs=self.supervised_epochs,
                batch_size=self.batch_size,
                learning_rate=self.supervised_learning_rate,
                seed=self.seed,
                images_per_class=self.per_scene if self.of_scenes else 0,
                temperature=self.supervised_temperature if self.of_scenes else None,
                precision=self.precision,
            )
        return Pretrain(
            frames=parts,
            method=MoCo(queue_size=self.queue_size, momentum=self.momentum),
            backbone=self.backbone,
            augmentation=self.augmentation,
            optimisation=Optimisation(
                epochs=self.epochs,
                batch_size=self.batch_size,
                learning_rate=self.learning_rate,
                precision=self.precision,
            ),
            probe=probe,
            seed=self.seed,
        )


SMALL = Settings(images=96, epochs=2, supervised_epochs=1, batch_size=32, queue_size=64)
"""A training of seconds."""

SHORT: dict[str, Any] = {
    "images": 6144, "epochs": 6, "batch_size": 64, "learning_rate": 0.03, "queue_size": 1024, "momentum": 0.996
}  # fmt: skip
"""Budget in which candidates are compared: about a minute of one core."""
CANDIDATES: tuple[dict[str, Any], ...] = tuple(
    {**images, "min_scale": min_scale}
    for images in ({"drawing": "generic"}, {"per_theme": 1}, {"per_theme": 16}, {"per_theme": 128})
    for min_scale in (0.75, 0.85, 0.95)
)
"""Settings of which the best is taken; those of MoCo's own views were worth far less in the same budget."""


def draw(parts: tuple[DrawnImages | GenericImages, ...], folder: Path, processes: int) -> dict[str, Path]:
    """Draws all parts, in several processes, and returns their folders as inputs of a training."""
    folders = {f"frames.{index}": folder / str(index) for index in range(len(parts))}
    for each in folders.values():
        each.mkdir(parents=True)
    works = [Work(output=each) for each in folders.values()]
    if processes == 1:
        for part, work in zip(parts, works, strict=True):
            part.run(work)
        return folders
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(_run, parts, works))
    return folders


def _run(part: DrawnImages | GenericImages, work: Work) -> None:
    part.run(work)
