"""The compute target of a command: this process or a Ray cluster, and the resources of every stage there."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from study.cli.tapes import parse_size, tape_choice
from study.core.tapes import TapeChoice, Tapes
from study.execution.resources import Profile, check_gpus, read_profile, suggested
from trainers.stage import InputError, Resources


@dataclass(frozen=True, kw_only=True)
class ComputeTarget:
    """Target of a computation: this process, or a Ray cluster that is started here or joined.

    Attributes:
        local: compute stage by stage in this process, without Ray.
        address: of a Ray cluster; started here where there is none.
        profile: file of the cluster profile.
        workers: processes that train together, where a stage can.
        gpus_per_worker: GPUs of every worker.
        threads: CPU threads of every worker.
        callbacks: of Ray Tune, each as MODULE:CLASS.
        yes: the answer to what would be asked before the start.
        tape: recordings of frozen networks that stages replay.
        tape_disk: size of all of them, at most.
        drop_features: remove features once all that reads them is finished.
    """

    local: bool = False
    address: str | None = None
    profile: Path | None = None
    workers: int | None = None
    gpus_per_worker: float | None = None
    threads: int | None = None
    callbacks: tuple[str, ...] = ()
    yes: bool = False
    tape: Tapes = "auto"
    tape_disk: str | None = None
    drop_features: bool = False

    def __post_init__(self) -> None:
        check_gpus(self.gpus_per_worker or 0, "--gpus-per-worker")
        if self.tape_disk is not None:
            parse_size("--tape-disk", self.tape_disk)
        if self.tape == "off" and self.tape_disk is not None:
            raise InputError(
                f"--tape-disk {self.tape_disk} is the size of tapes, and --tape off takes none: leave one out."
            )
        if self.local and (self.workers or 1) > 1:
            raise InputError(f"--workers {self.workers} needs Ray: leave --local out, or train with one worker.")
        if self.local and self.callbacks:
            raise InputError(f"--callback {self.callbacks[0]} is one of Ray Tune: leave --local out.")
        if self.local and self.address:
            raise InputError(
                f"--address {self.address} joins a Ray cluster, and --local runs without: give one of them."
            )

    def options(self) -> list[str]:
        """The command-line options of this target."""
        named = {
            "--address": self.address,
            "--profile": self.profile,
            "--workers": self.workers,
            "--gpus-per-worker": self.gpus_per_worker,
            "--threads": self.threads,
            "--tape": None if self.tape == "auto" else self.tape,
            "--tape-disk": self.tape_disk,
        }
        given = [f"{name} {shlex.quote(f'{value}')}" for name, value in named.items() if value is not None]
        callbacks = [f"--callback {shlex.quote(name)}" for name in self.callbacks]
        asked = {"--local": self.local, "--yes": self.yes, "--drop-features": self.drop_features}
        flags = [name for name, is_given in asked.items() if is_given]
        return [*flags, *given, *callbacks]

    def options_of_run(self, *, mlflow: bool) -> tuple[str, ...]:
        """The command-line options of a run on this target, logged to MLflow or not."""
        return (*self.options(), *(() if mlflow else ("--no-mlflow",)))

    def check_callbacks(self) -> None:
        """Refuses callbacks that cannot be had, before anything is written or computed.

        Raises:
            InputError: one cannot be imported or made, or is no callback of Tune.
        """
        if self.callbacks:
            from study.execution.ray.tune import callbacks_named  # Ray takes seconds to import

            callbacks_named(self.callbacks)

    def tapes(self, home: Path, budget_bytes: float | None = None) -> TapeChoice:
        """The recordings of frozen networks that stages replay; arguments as of `tape_choice`."""
        return tape_choice(self.tape, self.tape_disk, home, budget_bytes)

    def profile_of(self, cpus: int, gpus: int) -> Profile:
        """Resources of every type of stage on nodes with these numbers of CPU cores and GPUs.

        Raises:
            InputError: the profile's file cannot be read, or names an unknown type of stage.
        """
        start = Profile(default=Resources(threads=cpus, gpus=min(gpus, 1))) if self.local else suggested(cpus, gpus)
        profile = read_profile(self.profile, start) if self.profile else start
        if self.local and any(each.workers > 1 for each in (profile.default, *profile.by_type.values())):
            raise InputError(f"{self.profile} grants several workers, which needs Ray: leave --local out.")
        return profile.having(workers=self.workers, threads=self.threads, gpus=self.gpus_per_worker)
