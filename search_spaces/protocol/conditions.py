"""Conditions of all trials of a study: a preset and a scale, chosen independently, and the data."""

from dataclasses import dataclass, replace
from typing import get_args

from search_spaces.protocol.presets import Preset, SplitName
from search_spaces.protocol.scales import Scale, one_pass
from search_spaces.protocol.transfer_notes import measured_on, transfer_note
from study import MeasuredOn
from trainers.data.datasets.dataset import Dataset
from trainers.data.datasets.label_fraction import Draw, draw_labelled
from trainers.data.datasets.overlap import check_apart, check_sides
from trainers.data.datasets.splits import Split, divided
from trainers.data.ingest.timeline import NOMINAL_FPS
from trainers.data.ingest.video import Ingest
from trainers.names import fold_named
from trainers.networks.architectures import backbone_of
from trainers.pretrained.contents import Kind
from trainers.pretrained.registry import RegisteredWeights
from trainers.pretrained.shipped import shipped_with
from trainers.stage import InputError

KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Protocol, sizes and data of all trials of a study.

    Attributes:
        preset: the protocol.
        scale: the sizes.
        dataset: the videos that are learnt from with labels, and tested on.
        pretrain_on: the videos that encoders are pre-trained on; those of `dataset` where None.
        weights: public weights by their names in this home. They teach students of any architecture.
        stand_in: whether stand-ins are asked for where public weights are missing, those of the package among them.
        brief: whether to make one pass over the shortest video of each side only, to check that every stage runs.

    Pre-training on another dataset is a transfer: its training and unlabelled videos, none else, are what teachers,
    students and rival methods see, and the kNN probe looks at its labelled ones. Labels, label fractions, validation
    and test are those of `dataset`.
    """

    preset: Preset
    scale: Scale
    dataset: Dataset
    pretrain_on: Dataset | None = None
    weights: tuple[RegisteredWeights, ...] = ()
    stand_in: bool = False
    brief: bool = False

    def __post_init__(self) -> None:
        if self.pretrain_on is not None and self.pretrain_on.name == self.dataset.name:
            object.__setattr__(self, "pretrain_on", None)
        if self.brief:
            object.__setattr__(self, "scale", one_pass(self.scale))

    def videos(self, split: SplitName | None = None) -> Split[Ingest]:
        """The dataset's videos, ingested at this scale, on the sides of a split; the preset's where None.

        Folds validate where the preset's split does: under a preset without validation videos, they train on all but
        the tested videos.
        """
        sides = self._sides(self.dataset, split)
        return _shortest(sides) if self.brief else sides

    def pretraining_videos(self, split: SplitName | None = None) -> Split[Ingest]:
        """The videos of pre-training: it sees those that train and those without labels, its probe the first two sides.

        Where these are of another dataset, it may be one without any labels, and folds are of the tested one alone: all
        of them share one pre-training.

        Raises:
            InputError: one of them is a video that the dataset validates or tests on.
        """
        if self.pretrain_on is None:
            return self.videos(split)
        sides = self._sides(self.pretrain_on, None if fold_named(split) else split)
        check_apart(self.pretrain_on, sides, self.dataset, self._sides(self.dataset, split))
        return _shortest(sides) if self.brief else sides

    def label_draw(self, seed: int, fraction: float | None = None, split: SplitName | None = None) -> Draw:
        """The training videos whose labels a trial of a seed learns from.

        Args:
            seed: of the trial.
            fraction: of the training videos; the preset's where None.
            split: that says which videos train; the preset's where None.
        """
        fraction = self.preset.label_fraction if fraction is None else fraction
        return draw_labelled(self.videos(split).train, 1.0 if self.brief else fraction, seed)

    def epochs(self, asked: int | None, usual: int) -> int:
        """Passes of pre-training over the frames: those asked for, else the usual ones; a single one where brief."""
        if self.brief:
            return 1
        return usual if asked is None else asked

    def _sides(self, dataset: Dataset, split: SplitName | None) -> Split[Ingest]:
        videos = dataset.videos(fps=self.scale.feature_fps, size_px=self.scale.store_px)
        name, validates = split or self.preset.split, self.preset.split == "selection"
        labelled = tuple(video for video in videos if video.annotation_digest is not None)
        unlabelled = tuple(video for video in videos if video.annotation_digest is None)
        if not labelled and dataset is self.pretrain_on:
            return Split(train=(), test=(), unlabelled=unlabelled)
        sides = divided(labelled, name, subsets=dataset.subsets, declared=dataset.folds, folds_validate=validates)
        sides = replace(sides, unlabelled=unlabelled)
        check_sides(dataset, sides)
        return sides

    @property
    def title(self) -> str:
        """The dataset's name, and that of the one that is pre-trained on where it is another."""
        return f"{self.dataset.name}{f', pre-trained on {self.pretrain_on.name}' if self.pretrain_on else ''}"

    @property
    def measured_on(self) -> MeasuredOn:
        """The kinds of dataset that decide which published numbers results stand beside."""
        return measured_on(self.dataset, self.pretrain_on)

    @property
    def training_fps(self) -> float:
        """Rate of the frames that pre-training, probe and fine-tuning see."""
        return self.preset.training_fps or self.scale.ssl_fps

    def public(self, kind: Kind) -> RegisteredWeights | None:
        """The public weights of a kind: those that are given, else those that come with the package, if there are any.

        Raises:
            InputError: several of this kind are given.
        """
        given = self._of_kind(kind)
        if len(given) > 1:
            first, second, *_ = given
            raise InputError(
                f"weights {first.name!r} and {second.name!r} are both {kind}: name one of them, or say which one "
                "teaches, with --set free_model=NAME."
            )
        shipped = [each for each in self.shipped if each.kind == kind]
        return next(iter((*given, *shipped)), None)

    @property
    def shipped(self) -> tuple[RegisteredWeights, ...]:
        """Free models of the scale's network that come with the package, of kinds of which none is given."""
        if self.stand_in:
            return ()
        found = shipped_with(backbone_of(self.scale.architecture, width=self.scale.width))
        return tuple(each for each in found if not self._of_kind(each.kind))

    def named(self, name: str) -> RegisteredWeights | None:
        """The public weights of a name, if given."""
        return next((each for each in self.weights if each.name == name), None)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that a plan and a report of these conditions must show."""
        notes = [f"{each.name} is {described(each)}." for each in self.weights]
        if self.pretrain_on is not None:
            notes.append(transfer_note(self.pretrain_on, self.dataset))
        if self.preset.stamp:
            notes.append(f"Results of preset {self.preset.name} are {self.preset.stamp}: they flatter every method.")
        return tuple(notes)

    def _of_kind(self, kind: Kind) -> list[RegisteredWeights]:
        return list({each.name: each for each in self.weights if each.kind == kind}.values())

    def sample_every(self, fps: float) -> int:
        """Number of source frames from one row to the next at a rate.

        Raises:
            InputError: these are no whole frames, or rows of that rate are not all among those that are stored.
        """
        every, stored = NOMINAL_FPS / fps, NOMINAL_FPS / self.scale.feature_fps
        if every != round(every):
            raise InputError(
                f"rows at {fps:g} per second are {every:g} frames of {NOMINAL_FPS} per second apart: give scale "
                f"{self.scale.name} and preset {self.preset.name} rates that divide {NOMINAL_FPS}, such as 25, 5 or 1."
            )
        if every % stored:
            raise InputError(
                f"rows at {fps:g} per second are not all among the {self.scale.feature_fps:g} per second that scale "
                f"{self.scale.name} stores: give it a `feature_fps` that is a multiple of {fps:g}."
            )
        return round(every)


def described(weights: RegisteredWeights) -> str:
    """Public weights in words: what they are, of which file, and under which licence."""
    licence = f"licence {weights.licence}" if weights.licence else "no licence noted"
    return f"{weights.title} ({weights.architecture}, SHA-256 {weights.digest[:8]}…, {licence})"


def _shortest(split: Split[Ingest]) -> Split[Ingest]:
    """The shortest video of each side."""
    train, validation, test, unlabelled = (
        tuple(sorted(side, key=lambda video: video.num_source_frames)[:1])
        for side in (split.train, split.validation, split.test, split.unlabelled)
    )
    return Split(train=train, validation=validation, test=test, unlabelled=unlabelled)
