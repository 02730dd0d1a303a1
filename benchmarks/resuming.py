"""Tests on the device at hand whether a training that was interrupted goes on to the same bits, and measures its pace.

    python -m benchmarks.resuming [--small] [--output FILE]

A student at scale `full`, with a frozen teacher, trains two epochs (of a hundred steps on a GPU), once in one go, and
once interrupted (SIGINT) in the second epoch and continued. Every one of these runs is a process of its own, as after
a real interrupt. The first one gives the share of waiting for data in an epoch much longer than a loader's first
batches.
"""

import json
import multiprocessing
import signal
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor

from benchmarks import measuring
from benchmarks.data_path import frame_like
from benchmarks.full_scale import NUM_PICTURES, drawn_dataset, profile, scale_of
from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import PRESETS
from search_spaces.recipes.distillation import distilled
from study.core.graph import walk
from trainers.artifacts.history import read_history
from trainers.data.datasets.cholec80 import PHASES
from trainers.data.frames import Frame, write_frames
from trainers.runtime import checkpoint
from trainers.ssl import loop
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.encoders import read_weights
from trainers.ssl.pretrain import Pretrain
from trainers.ssl.untrained import Untrained
from trainers.stage import MachineError, Progress, Report, Work

EPOCHS = 2
STEPS = {"cuda": 100, "cpu": 4, "small": 6}
"""Of an epoch; on a CPU, a step at scale `full` takes many seconds."""
PACE = "pace.json"


def student(folder: Path, small: bool) -> Pretrain:
    """The paper's student, of one drawn video whose rows make an epoch."""
    scale = scale_of(small)
    conditions = Conditions(
        preset=PRESETS["corrected"], scale=scale, dataset=drawn_dataset(folder, num_seconds=600), stand_in=True
    )
    evaluate = distilled(conditions, seed=0, teacher_trains="none", student_epochs=EPOCHS)
    own = next(each for each in walk(evaluate).values() if isinstance(each, Pretrain) and _distils(each))
    assert isinstance(own.method, DistilledMoCo)
    public = Untrained(backbone=own.backbone, seed=1)
    return replace(own, method=replace(own.method, teacher=public), frames=own.frames[:1], sample_every=1, probe=None)


def inputs_of(own: Pretrain, folder: Path, num_steps: int) -> dict[str, Path]:
    """Drawn frames and a teacher at its random start, where the student looks for them."""
    frames, teacher = folder / "frames", folder / "teacher"
    for each in (frames, teacher):
        each.mkdir()
    store_px = own.augmentation.size_px * 250 // 224
    pictures = [cv2.resize(frame_like(seed), (store_px, store_px)) for seed in range(NUM_PICTURES)]
    rows = (Frame(row, 0, pictures[row % NUM_PICTURES]) for row in range(num_steps * own.optimisation.batch_size))
    write_frames(frames, rows, source="drawn", label_names=PHASES)
    method = own.method
    assert isinstance(method, DistilledMoCo)
    method.teacher.run(Work(output=teacher))
    return {"frames.0": frames, "method.teacher": teacher}


@dataclass
class InterruptingListener:
    """The listener of a training: its last pace, and an interrupt halfway through its last epoch."""

    interrupts: bool
    pace: Mapping[str, float]

    def __call__(self, report: Report) -> None:
        if not isinstance(report, Progress):
            return
        self.pace = report.speed() or self.pace
        if self.interrupts and report.fraction > 1 - 0.5 / EPOCHS:
            self.interrupts = False
            signal.raise_signal(signal.SIGINT)


def train(own: Pretrain, work: Work, interrupts: bool) -> None:
    """Trains, in a process of its own, to the end or to an interrupt, and leaves its pace beside the weights."""
    if interrupts:
        loop.REPORT_PERIOD_SECONDS = 0.0  # of every step: a small epoch takes less than the usual period
    listener = InterruptingListener(interrupts, {})
    with suppress(KeyboardInterrupt):
        own.run(replace(work, listener=listener))
    (work.output / PACE).write_text(json.dumps(listener.pace))


def trained(own: Pretrain, work: Work, *, interrupts: bool = False) -> Mapping[str, float]:
    """The pace of a run in a process of its own.

    Raises:
        MachineError: it failed, or was to be interrupted and left no checkpoint.
    """
    process = multiprocessing.get_context("spawn").Process(target=partial(train, own, work, interrupts))
    process.start()
    process.join()
    if process.exitcode:
        raise MachineError(f"the training ended with exit code {process.exitcode}")
    if interrupts and checkpoint.load(work.output) is None:
        raise MachineError("the training that was to be interrupted left no checkpoint")
    pace: dict[str, float] = json.loads((work.output / PACE).read_text())
    return pace


def difference(whole: Path, continued: Path) -> float:
    """The largest difference between the weights of two runs; 0 where all bits are equal."""
    first, second = (_tensors(read_weights(folder)) for folder in (whole, continued))
    assert first.keys() == second.keys()
    return max(float((first[name].double() - second[name].double()).abs().max()) for name in first)


def measure(device: torch.device, small: bool) -> dict[str, Any]:
    """Prints what came out, and returns it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own, num_steps = student(folder, small), STEPS["small" if small else device.type]
        inputs = inputs_of(own, folder, num_steps)
        whole, continued = (
            Work(output=folder / each, inputs=inputs, resources=profile(device, small).default)
            for each in ("whole", "continued")
        )
        for work in (whole, continued):
            work.output.mkdir()
        pace = trained(own, whole)
        trained(own, continued, interrupts=True)
        trained(own, continued)
        apart = difference(whole.output, continued.output)
        same_history = read_history(whole.output) == read_history(continued.output)
    print(
        f"an epoch of {num_steps} steps: {pace['frames_per_second']:.0f} frames/s, "
        f"{100 * pace['data_wait']:.1f} % waiting for data"
    )
    verdict = "to the same bits" if apart == 0 else f"to weights that differ by {apart:.2g} at most"
    print(f"interrupted in its second epoch, it goes on {verdict}{'' if same_history else ', with other losses'}")
    return {
        "benchmark": "resuming",
        "steps": num_steps,
        **pace,
        "largest_difference": apart,
        "same_history": same_history,
    }


def _distils(stage: Pretrain) -> bool:
    return isinstance(stage.method, DistilledMoCo)


def _tensors(weights: Mapping[str, Any], prefix: str = "") -> dict[str, Tensor]:
    """The tensors of nested mappings, by their joined names."""
    found: dict[str, Tensor] = {}
    for name, value in weights.items():
        if isinstance(value, Mapping):
            found |= _tensors(value, f"{prefix}{name}.")
        elif isinstance(value, Tensor):
            found[prefix + name] = value
    return found


def main() -> None:
    measuring.run(measure, (__doc__ or "").splitlines()[0])


if __name__ == "__main__":
    main()
