"""Stages made of tiny epochs that write a diary, for tests that start Ray, kill processes and count what ran."""

import errno
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from trainers.stage import InputError, Resources, Stage, Work

NOWHERE = Path("/nowhere")


@dataclass(frozen=True, kw_only=True)
class Step(Stage):
    """Takes epochs with a checkpoint after each; writes `start name process`, `epoch name number`, `end name` down.

    Attributes:
        does: what it does after its last epoch: `raise`, `refuse`, `die`, `fill the disk`, or nothing of the kind.
    """

    name: str
    needs: tuple[Stage, ...] = ()
    aided_by: tuple[Stage, ...] = field(default=(), compare=False)
    epochs: int = 1
    epoch_seconds: float = field(default=0.0, compare=False)
    does: str = ""
    diary: Path = field(default=NOWHERE, compare=False)

    @property
    def title(self) -> str:
        return self.name

    def aids(self) -> dict[str, Stage]:
        return {f"aid{index}": aid for index, aid in enumerate(self.aided_by)}

    def run(self, work: Work) -> None:
        self.note(f"start {self.name} {os.getpid()}")
        self.note(f"given {self.name} {' '.join(sorted(work.inputs))}")
        for folder in work.inputs.values():
            assert (folder / "done").exists()
        checkpoint = work.output / "checkpoint"
        for epoch in range(int(checkpoint.read_text()) if checkpoint.exists() else 0, self.epochs):
            self.train(work, epoch + 1)
            whole = checkpoint.with_suffix(".part")  # a kill in the middle of a write leaves the last checkpoint
            whole.write_text(str(epoch + 1))
            whole.replace(checkpoint)
            self.note(f"epoch {self.name} {epoch + 1}")
            work.epoch(epoch + 1, {"loss": 1 / (epoch + 1)})
        self.misbehave()
        (work.output / "done").write_text(self.name)
        checkpoint.unlink()
        self.note(f"end {self.name}")

    def train(self, work: Work, epoch: int) -> None:
        deadline = time.monotonic() + self.epoch_seconds
        while time.monotonic() < deadline:
            time.sleep(0.02)
            work.progress((epoch - 0.5) / self.epochs, epoch=epoch)

    def misbehave(self) -> None:
        if self.does == "raise":
            raise ValueError("first line\nsecond line")
        if self.does == "refuse":
            raise InputError("the moon is full: wait.")
        if self.does == "die":
            os._exit(1)
        if self.does == "fill the disk":
            raise OSError(errno.ENOSPC, "No space left on device")

    def note(self, line: str) -> None:
        with self.diary.open("a") as file:
            file.write(line + "\n")

    def expected_seconds(self) -> float:
        return 1.0


@dataclass(frozen=True, kw_only=True)
class Gang(Step):
    """Trains every epoch on two workers that hold a CPU each, in a placement group, as Ray Train's do."""

    trains_on_workers: ClassVar[bool] = True

    def train(self, work: Work, epoch: int) -> None:
        # In a thread, which no interrupt reaches: whenever one comes, the placement group is removed first.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(self._train_on_workers, work.resources).result()

    def _train_on_workers(self, resources: Resources) -> None:
        import ray
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        group = ray.util.placement_group([{"CPU": resources.threads}] * resources.workers)
        try:
            group.wait(120)
            placed = PlacementGroupSchedulingStrategy(group)
            worker = ray.remote(num_cpus=resources.threads)(sleep).options(scheduling_strategy=placed)
            ray.get([worker.remote(self.epoch_seconds) for _ in range(resources.workers)])
        finally:
            ray.util.remove_placement_group(group)


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def lines(diary: Path) -> list[list[str]]:
    """The diary's lines, each split at spaces."""
    return [line.split() for line in diary.read_text().splitlines()] if diary.exists() else []


def table(diary: Path) -> dict[str, tuple[int, int]]:
    """How often every stage started and ended, by name."""
    starts, ends = (Counter(line[1] for line in lines(diary) if line[0] == word) for word in ("start", "end"))
    return {name: (starts[name], ends[name]) for name in sorted(starts | ends)}


def epochs(diary: Path, name: str) -> list[int]:
    """The epochs that a stage finished, in the order in which it did."""
    return [int(line[2]) for line in lines(diary) if line[:2] == ["epoch", name]]


def process_of(diary: Path, name: str, epoch: int) -> int:
    """The process that computes a stage, once it has finished an epoch."""
    deadline = time.monotonic() + 90
    while epoch not in epochs(diary, name):
        assert time.monotonic() < deadline, f"{name} never finished epoch {epoch}: {lines(diary)}"
        time.sleep(0.01)
    return [int(line[2]) for line in lines(diary) if line[:2] == ["start", name]][-1]
