"""Tape of a frozen network as a stage: what it says of every view of every epoch, recorded once for many trainings."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from trainers.data.augmentation import MoCoAugmentation
from trainers.data.frames import Frames, FrameSource, LeftOut, expected_frames
from trainers.data.loading import ViewLoader
from trainers.fields import BatchSize, Count, Epochs, Precision, Seed
from trainers.networks.costs import reference_seconds, training_cost
from trainers.runtime import devices, distributed
from trainers.runtime.conditions import conditions_on
from trainers.runtime.launch import launch
from trainers.ssl.encoders import EncoderStage
from trainers.ssl.frozen import Asked
from trainers.ssl.loop import REPORT_PERIOD_SECONDS
from trainers.ssl.method import Views
from trainers.ssl.pairs import frozen_pair, frozen_query, shared_pair, shuffle_order
from trainers.ssl.step import on_device
from trainers.ssl.tape_files import Index, Layout, num_recorded, recording, remove_other_files, write_batch
from trainers.stage import Cost, InputError, Resources, Stage, Work

Answer = Callable[[Views], Sequence[Tensor]]
"""What a network says of a batch: N×C for each view that it is asked of."""


@dataclass(frozen=True, kw_only=True)
class Tape(Stage):
    """Records what a frozen network says of the views of every frame, for trainings that see the same views.

    A training draws its views from (seed, epoch, frame, view) alone, so that all trainings of one seed, whose other
    hyperparameters differ, ask a frozen network the same questions. The network sees the very batches here that it
    sees in training, and its numbers are stored as it gives them: a training that replays them leaves the same bits.

    Leaves `tape.json` and a file for every epoch and worker. An interrupted recording goes on after its last epoch.

    Attributes:
        network: the frozen encoders.
        asked: what of them is recorded.
        frames: videos, or sets of images.
        augmentation: makes the views of a frame.
        epochs: passes over the frames.
        batch_size: frames per step, over all workers.
        precision: of the network.
        sample_every: every n-th source frame is seen.
        left_out: stretches of the videos that are left out.
        seed: of the training that replays it.
    """

    uses_gpu: ClassVar[bool] = True
    trains_on_workers: ClassVar[bool] = True
    granted_as: ClassVar[str] = "Pretrain"

    network: EncoderStage
    asked: Asked
    frames: tuple[FrameSource, ...]
    augmentation: MoCoAugmentation
    epochs: Epochs
    batch_size: BatchSize
    precision: Precision
    sample_every: Count = 1
    left_out: tuple[LeftOut, ...] = ()
    seed: Seed = 0

    @property
    def kind(self) -> str:
        return "Tape of features" if self.asked == "features" else "Tape of embeddings"

    @property
    def layout(self) -> Layout:
        """What is stored of a frame."""
        if self.asked == "features":
            precision = "bfloat16" if self.precision == "bf16" else "float32"
            return Layout(num_views=2, width=self.network.extractor.num_features, precision=precision)
        num_views = 1 if self.asked == "query" else 2
        return Layout(num_views=num_views, width=self.network.output_size, precision="float32")

    def shortest(self) -> Stage:
        return replace(self, epochs=1)

    def expected_seconds(self) -> float:
        return reference_seconds(self.expected_cost())

    def expected_cost(self) -> Cost:
        seen, network = self._num_seen, self.network.extractor
        return training_cost(
            network, self.augmentation.size_px, seen, self.layout.num_views, num_views=2, precision=self.precision
        )

    def expected_bytes(self) -> float:
        return self._num_seen * self.layout.record.itemsize

    @property
    def _num_seen(self) -> float:
        """Frames over all epochs."""
        return expected_frames(self.frames, self.sample_every, self.left_out) * self.epochs

    def check(self, resources: Resources) -> None:
        """Every worker records its share of every batch."""
        if self.batch_size % resources.workers:
            raise InputError(f"workers is {resources.workers}: it must divide batch_size = {self.batch_size}.")

    def run(self, work: Work) -> None:
        self.check(work.resources)
        launch(self._record, work)

    def _record(self, work: Work) -> None:
        """Records one worker's share of every batch."""
        device = devices.prepare(work.resources)
        answer = self._answer(work.inputs["network"], device)
        share = distributed.local_slice(self.batch_size)
        with ExitStack() as stack:
            frames = stack.enter_context(
                Frames(work.inputs_of("frames"), sample_every=self.sample_every, left_out=self.left_out)
            )
            loader = stack.enter_context(
                ViewLoader(
                    frames,
                    self.augmentation,
                    batch_size=self.batch_size,
                    seed=self.seed,
                    threads=work.resources.threads,
                    share=share,
                    pin_memory=device.type == "cuda",
                )
            )
            if distributed.is_first():
                remove_other_files(work.output)
            for epoch in range(num_recorded(work.output, self.epochs, device), self.epochs):
                self._record_epoch(work, loader, epoch, answer, device)
        if distributed.is_first():
            Index(
                layout=self.layout,
                conditions=conditions_on(device),
                epochs=self.epochs,
                steps=len(loader),
                batch_size=share.stop - share.start,
            ).write(work.output)

    def _record_epoch(self, work: Work, loader: ViewLoader, epoch: int, answer: Answer, device: torch.device) -> None:
        start = reported = time.monotonic()
        steps = len(loader)
        with recording(work.output, epoch) as file, closing(loader.epoch(epoch)) as batches:
            for index, batch in enumerate(batches):
                views = on_device(batch, device, epoch, epoch * steps + index)
                write_batch(file, self.layout, batch.frame_ids, answer(views))
                now = time.monotonic()
                if now - reported >= REPORT_PERIOD_SECONDS or index + 1 == steps:
                    reported = now
                    work.progress(
                        (epoch + (index + 1) / steps) / self.epochs,
                        epoch=epoch + 1,
                        frames_per_second=(index + 1) * self.batch_size / max(now - start, 1e-9),
                    )

    def _answer(self, folder: Path, device: torch.device) -> Answer:
        """The network on the device, asked as trainings ask it."""
        network, ask = self._network(folder)
        network.to(device).to(memory_format=torch.channels_last)

        def answer(views: Views) -> Sequence[Tensor]:
            with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"):
                return ask(views)

        return answer

    def _network(self, folder: Path) -> tuple[nn.Module, Answer]:
        if self.asked == "pair":
            pair = frozen_pair(self.network, folder)
            return pair, lambda views: pair(views.query, views.key, shuffle_order(self.seed, views.step, views.key))
        if self.asked == "features":
            shared = shared_pair(self.network, folder)
            return shared, lambda views: shared.inputs(views.query, views.key)
        query = frozen_query(self.network, folder)
        if self.asked == "query":
            return query, lambda views: [query(views.query)]
        return query, lambda views: [query(views.query), query(views.key)]
