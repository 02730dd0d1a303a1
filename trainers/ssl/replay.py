"""Replay of a tape in a training: modules that give what a frozen network said, in place of the network."""

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainers.data.loading import ViewBatch, ViewLoader
from trainers.runtime import distributed
from trainers.runtime.conditions import conditions_on
from trainers.ssl.frozen import Frozen
from trainers.ssl.method import Method, Views
from trainers.ssl.pairs import EncoderPair, SharedBackbonePair
from trainers.ssl.tape_files import TapeReader
from trainers.stage import MachineError

BLIND_PX = 1
"""Side of the images of a training that looks at none."""


class Replay:
    """A tape at the batch that a method is given.

    Args:
        tape: what is replayed.
        steps: of every epoch.
    """

    def __init__(self, tape: TapeReader, steps: int) -> None:
        self._tape = tape
        self._steps = steps
        self._views: Views | None = None
        self._checked_epoch = -1

    def begin(self, method: nn.Module, arguments: tuple[Any, ...]) -> None:
        """Notes the batch that a method is given; a hook that runs before its forward pass."""
        (self._views,) = arguments

    def said(self) -> list[Tensor]:
        """What the network said of each view of the batch, N×C, on the device of the views.

        Raises:
            MachineError: the tape is not there any more, or is one of other frames.
        """
        views = self._views
        assert views is not None, "a method is given its batch before it asks"
        frame_ids, said = self._tape.batch(views.epoch, views.step - views.epoch * self._steps)
        device = views.query.device
        if device.type == "cpu" or views.epoch != self._checked_epoch:  # on a GPU it would wait for every step
            self._checked_epoch = views.epoch
            if not torch.equal(frame_ids, views.frame_ids.cpu()):
                raise MachineError(f"the tape holds other frames in epoch {views.epoch + 1}: remove it, and run again.")
        return [numbers.to(device, non_blocking=True) for numbers in said]


class TapedTeacher(nn.Module):
    """Teacher whose answers were recorded: it is called as the teacher is, and does not look at the images.

    Args:
        replay: of its tape.
        at_once: whether one call gives the answers of all views, as a pair's does, or each call that of the next view.
    """

    def __init__(self, replay: Replay, *, at_once: bool) -> None:
        super().__init__()
        self._replay = replay
        self._at_once = at_once
        self._left: list[Tensor] = []

    def forward(self, *questions: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Embeddings N×C, of one view or of each."""
        said = self._left or self._replay.said()
        if self._at_once:
            return tuple(said)
        first, *self._left = said
        return first


class TapedPair(SharedBackbonePair):
    """Encoders whose shared backbone does not learn, and whose features were recorded; their heads are their own."""

    def __init__(self, pair: EncoderPair, replay: Replay) -> None:
        super().__init__(pair.query, pair.key, trains="head" if pair.learns_head else "none")
        self._replay = replay

    def inputs(self, query_images: Tensor, key_images: Tensor) -> tuple[Tensor, Tensor]:
        query_features, key_features = self._replay.said()
        return query_features, key_features


class BlindLoader(ViewLoader):
    """Loader of a training that looks at no image: its batches name their frames, and nothing is decoded."""

    def epoch(self, epoch: int, first: int = 0) -> Generator[ViewBatch, None, None]:
        for rows in self.order(epoch)[first:]:
            frame_ids = torch.tensor([self.frames.frame_id(row) for row in rows[self.share].tolist()])
            views = torch.zeros((2, len(frame_ids), 3, BLIND_PX, BLIND_PX), dtype=torch.uint8)
            yield ViewBatch(views, (), frame_ids)


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """What a tape must fit: steps of an epoch, the number of epochs, and where the training computes."""

    steps: int
    epochs: int
    device: torch.device


def replay(method: Method, frozen: Frozen, folder: Path, fitting: Fitting, closing: ExitStack) -> type[ViewLoader]:
    """Has a method take from a tape what it would ask its frozen network, where that gives the same bits.

    All workers come to the same answer.

    Args:
        method: at its start.
        frozen: what the tape holds.
        folder: of the tape.
        fitting: what the tape must fit.
        closing: closes the tape.

    Returns:
        The loader that the training needs then.
    """
    tape = TapeReader(folder)
    closing.callback(tape.close)
    recorded, here = tape.index.conditions, conditions_on(fitting.device)
    fits = recorded == here and tape.index.steps == fitting.steps and tape.index.epochs >= fitting.epochs
    if not fits:
        print(f"the tape is not replayed: it was recorded on {recorded.described}, and this is {here.described}")
    if not bool(distributed.all_gather(torch.tensor([int(fits)], device=fitting.device)).min()):
        return ViewLoader
    replaying = Replay(tape, fitting.steps)
    if frozen.asked == "features":
        pair = method.get_submodule(frozen.module)
        assert isinstance(pair, SharedBackbonePair), "one backbone serves both encoders"
        method.add_module(frozen.module, TapedPair(pair, replaying))
    else:
        method.add_module(frozen.module, TapedTeacher(replaying, at_once=frozen.asked == "pair"))
    method.register_forward_pre_hook(replaying.begin)
    return BlindLoader if frozen.needs_no_images else ViewLoader
