"""Self-supervised training as a stage: of free weights, teachers and students."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import nn

from trainers.artifacts.history import PRETRAINING, write_history
from trainers.data.augmentation import MoCoAugmentation
from trainers.data.frames import Frames, FrameSource, LeftOut, expected_frames, num_left_out
from trainers.data.loading import ViewLoader
from trainers.fields import Count, Seed, added
from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import FeatureExtractor
from trainers.networks.costs import BYTES_PER_NUMBER, reference_seconds, stored_bytes, training_cost
from trainers.runtime import checkpoint, devices, distributed
from trainers.runtime.launch import launch
from trainers.ssl.encoders import EncoderStage, write_weights
from trainers.ssl.frozen import Frozen
from trainers.ssl.loop import Optimisation, Training, train
from trainers.ssl.method import Method, MethodConfig, recordable_of
from trainers.ssl.probe import KnnProbe, Prober
from trainers.ssl.replay import Fitting, replay
from trainers.ssl.tape import Tape
from trainers.stage import Cost, InputError, Resources, Stage, Work

TAPE = "tape"
"""Name of the tape among a stage's aids."""
SECONDS_PER_HEAD_STEP = 2e-4
"""Of a frame, where only heads are trained, on features that were recorded."""


@dataclass(frozen=True, kw_only=True)
class Pretrain(EncoderStage):
    """Trains a method's encoders on unlabelled frames.

    Leaves `encoders.pt` (query encoder, and key encoder where there is one) and `history.parquet` (losses, the method's
    own metrics, and the probe's accuracy).

    Attributes:
        frames: videos, or sets of images.
        method: the self-supervised method.
        backbone: the architecture of the query and key backbones.
        augmentation: makes the views of a frame.
        optimisation: epochs, batch size, learning rate.
        sample_every: keep every n-th source frame.
        left_out: stretches of the videos that are left out, such as those with the camera out of the body.
        probe: evaluates the backbone after every epoch; None without labelled validation videos.
        seed: of everything drawn.
        tape: recording of what is frozen, replayed where it is there; the numbers are the same.
    """

    curves: ClassVar[str] = PRETRAINING
    uses_gpu: ClassVar[bool] = True
    trains_on_workers: ClassVar[bool] = True

    frames: tuple[FrameSource, ...]
    method: MethodConfig
    backbone: AnyBackbone
    augmentation: MoCoAugmentation = MoCoAugmentation()
    optimisation: Optimisation = Optimisation()
    sample_every: Count = 1
    left_out: tuple[LeftOut, ...] = added(())
    probe: KnnProbe | None = None
    seed: Seed = 0
    tape: Tape | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.method.check(self.backbone, self.optimisation.batch_size)
        self._check_network()
        splits = self.backbone.batch_norm_splits
        if self.optimisation.batch_size % splits:
            raise InputError(
                f"batch_size is {self.optimisation.batch_size}: it must be a multiple of batch_norm_splits = {splits}."
            )
        self._check_batch()

    @property
    def extractor(self) -> FeatureExtractor:
        return self.method.extractor(self.backbone)

    @property
    def output_size(self) -> int:
        return self.method.embedding_size

    @property
    def has_key_encoder(self) -> bool:
        return self.method.has_key_encoder

    @property
    def shared_backbone(self) -> EncoderStage | None:
        frozen = recordable_of(self.method).get("features")
        return frozen.network if frozen and frozen.needs_no_images else None

    @property
    def kind(self) -> str:
        return f"Pretrain {type(self.method).__name__}"

    @property
    def num_frames(self) -> int | None:
        """The number of frames to train on, as far as it is known before they are ingested; None where it is not."""
        counts = [source.num_source_frames for source in self.frames]
        if not all(counts):
            return None
        return sum(-(-count // self.sample_every) for count in counts) - num_left_out(self.left_out, self.sample_every)

    @property
    def _frozen(self) -> Frozen | None:
        """What is replayed; None without a tape."""
        if self.tape is None:
            return None
        return next(each for each in recordable_of(self.method).values() if each.asked == self.tape.asked)

    def _check_network(self) -> None:
        """Refuses networks that cannot see the views, and one that is trained where it only teaches."""
        self.method.check_size(self.augmentation.size_px)
        for size_px in self.augmentation.sizes_px:
            self.backbone.check_size(size_px)
        if self.method.trains_backbone:
            self.backbone.check_trainable()

    def _check_batch(self) -> None:
        """Refuses frames that are too few for a batch, before anything is computed, where their number is known."""
        most = self.num_frames
        if most is not None and most < self.optimisation.batch_size:
            raise InputError(
                f"batch_size of {self.kind} is {self.optimisation.batch_size}, but there are {most} frames: "
                "lower it, or add videos."
            )

    def expected_seconds(self) -> float:
        return reference_seconds(self.expected_cost())

    def expected_cost(self) -> Cost:
        num_frames = expected_frames(self.frames, self.sample_every, self.left_out) * self.optimisation.epochs
        size_px, _, *further = self.augmentation.sizes_px
        equivalents = self.method.forward_equivalents + sum(3 * (each / size_px) ** 2 for each in further)
        if self._frozen is not None and self._frozen.needs_no_images:
            return Cost(cpu_seconds=num_frames * SECONDS_PER_HEAD_STEP)
        precision, num_views = self.optimisation.precision, 2 + len(further)
        own = training_cost(self.backbone, size_px, num_frames, equivalents, num_views, precision)
        if self.tape is not None:
            return own
        of_teachers = sum(each.gflops_at(size_px) for each in self.method.teachers)
        of_teachers *= self.method.teacher_views * num_frames
        return replace(own, training_gmacs=own.training_gmacs + of_teachers)

    def expected_working_bytes(self) -> float:
        """Two checkpoints, of which one replaces the other: what moves, and the momenta of what learns."""
        num_features = self.backbone.num_features
        head = BYTES_PER_NUMBER * num_features * (num_features + self.output_size)
        encoder = head + (stored_bytes(self.backbone) if self.method.moves_backbone else 0.0)
        teachers = 2 * sum(map(stored_bytes, self.method.moving_teachers))
        return 2 * ((2 + int(self.has_key_encoder)) * encoder + teachers)

    def aids(self) -> Mapping[str, Stage]:
        return {} if self.tape is None else {TAPE: self.tape}

    def tapes(self) -> Mapping[str, Stage]:
        optimisation = self.optimisation
        return {
            kind: Tape(
                network=frozen.network,
                asked=frozen.asked,
                frames=self.frames,
                augmentation=self.augmentation,
                epochs=optimisation.epochs,
                batch_size=optimisation.batch_size,
                precision=optimisation.precision,
                sample_every=self.sample_every,
                left_out=self.left_out,
                seed=self.seed,
            )
            for kind, frozen in recordable_of(self.method).items()
        }

    def replaying(self, tape: Stage) -> "Pretrain":
        assert isinstance(tape, Tape)
        return replace(self, tape=tape)

    def remarks(self, metrics: Mapping[str, float]) -> tuple[str, ...]:
        return self.method.remarks(metrics)

    def run(self, work: Work) -> None:
        self.check(work.resources)
        launch(self._train, work)

    def check(self, resources: Resources) -> None:
        """Every worker holds whole splits, or all share the only one: their number never changes the result."""
        workers, splits = resources.workers, self.backbone.batch_norm_splits
        if splits == 1 and self.optimisation.batch_size % workers:
            raise InputError(f"workers is {workers}: it must divide batch_size = {self.optimisation.batch_size}.")
        if splits > 1 and splits % workers:
            fitting = ", ".join(str(count) for count in range(1, splits + 1) if splits % count == 0)
            raise InputError(
                f"workers is {workers}: it must divide batch_norm_splits = {splits}; take one of {fitting}."
            )
        if workers > 1 and resources.gpus % 1:
            raise InputError(
                f"gpus is {resources.gpus:g} for each of {workers} workers: those that train together cannot share a "
                "GPU (NCCL refuses to), so give each a whole one, or train with one worker."
            )

    def _train(self, work: Work) -> None:
        """The training of one worker."""
        device = devices.prepare(work.resources)
        method = self.method.build(self.backbone, work.inputs_under("method"), self.seed)
        with ExitStack() as stack:
            frames = stack.enter_context(
                Frames(work.inputs_of("frames"), sample_every=self.sample_every, left_out=self.left_out)
            )
            history = train(
                Training(
                    method=method,
                    loader=self._loader(frames, method, work, device, stack),
                    optimisation=self.optimisation,
                    work=work,
                    device=device,
                    probe=self._probe(work, device, stack),
                )
            )
        if distributed.is_first():
            write_weights(work.output, method.encoders)
            write_history(work.output, history)
            checkpoint.discard(work.output)

    def _loader(self, frames: Frames, method: Method, work: Work, device: torch.device, stack: ExitStack) -> ViewLoader:
        """The batches of this worker; with a tape, the method then replays what is on it."""
        kind: type[ViewLoader] = ViewLoader
        if self._frozen is not None and TAPE in work.inputs:
            steps = len(frames) // self.optimisation.batch_size
            fitting = Fitting(steps=steps, epochs=self.optimisation.epochs, device=device)
            kind = replay(method, self._frozen, work.inputs[TAPE], fitting, stack)
        return stack.enter_context(
            kind(
                frames,
                batch_size=self.optimisation.batch_size,
                augmentation=self.augmentation,
                seed=self.seed,
                threads=work.resources.threads,
                share=distributed.local_slice(self.optimisation.batch_size),
                pin_memory=device.type == "cuda",
            )
        )

    def _probe(
        self, work: Work, device: torch.device, stack: ExitStack
    ) -> Callable[[nn.Module, int], dict[str, float]]:
        probe = self.probe
        if probe is None or not distributed.is_first():
            return lambda backbone, epoch: {}
        prober = stack.enter_context(
            Prober(
                probe,
                work.inputs_of("probe.training"),
                work.inputs_of("probe.validation"),
                size_px=self.augmentation.size_px,
                device=device,
                threads=work.resources.threads,
                precision=self.optimisation.precision,
            )
        )

        def look(backbone: nn.Module, epoch: int) -> dict[str, float]:
            due = epoch % probe.every_epochs == 0 or epoch == self.optimisation.epochs
            return {"knn_accuracy": prober.accuracy(backbone)} if due else {}

        return look
