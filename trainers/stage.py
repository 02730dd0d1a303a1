"""The contract between the study and everything that computes: a stage, its config, and the work it is given."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from trainers.fields import fault_of

SMALL_BYTES = 1e5
"""Of a log, a manifest and a few numbers."""
SMALL_SHARE = 0.25
"""Part of a GPU that suffices for a small model on features that are computed already."""


class FreelunchError(Exception):
    """A problem that its reader can solve: one sentence that names the value, the place and what to do."""


class InputError(FreelunchError):
    """The request is wrong: a value, a file or a command."""


class MachineError(FreelunchError):
    """The request is right, but this machine cannot serve it: a full disk, a missing GPU, damaged files."""


class Config:
    """Whatever is part of a stage's identity: a stage, a method, an augmentation, an optimiser.

    Subclasses are frozen dataclasses. Their name and `revision` enter the key beside every field's value;
    fields declared with `compare=False` (where a file lies on this machine) do not.
    """

    revision: ClassVar[int] = 1
    """Raised whenever the same values would give other numbers."""

    def __post_init__(self) -> None:
        """Checks the ranges that the fields' types name; a subclass with a check of its own calls this one, too.

        Raises:
            InputError: a number is out of range, or not finite.
        """
        fault = fault_of(self)
        if fault:
            raise InputError(fault)


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Resources that the cluster profile grants a type of stage. Never part of a key.

    Attributes:
        workers: processes that train together.
        gpus: of every worker.
        threads: of every worker.
    """

    workers: int = 1
    gpus: float = 0
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Rough cost of a stage, of which a faster device shortens what networks take.

    Attributes:
        cpu_seconds: of all that CPU cores do, on two of them.
        training_gmacs: multiply-adds (10⁹) of networks in training, their backward passes and frozen teachers counted.
        inference_gmacs: multiply-adds (10⁹) of frozen networks.
        launch_seconds: in which one thread starts the operations of a GPU, however fast it computes them.
        gmacs_per_frame: multiply-adds (10⁹) of its network in a forward pass of one frame, which tell small networks
            from large ones; 0 where it has none.
        precision: of its networks.
    """

    cpu_seconds: float = 0.0
    training_gmacs: float = 0.0
    inference_gmacs: float = 0.0
    launch_seconds: float = 0.0
    gmacs_per_frame: float = 0.0
    precision: str = "fp32"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of a running stage.

    Attributes:
        fraction: of the whole stage that is done, 0 to 1.
        epoch: the epoch at work (1-based); 0 where the stage has none.
        metrics: means over the part of the epoch that is done.
        frames_per_second: of this epoch, over all workers.
        data_wait: share of the time that was spent waiting for data.
        device: name of what computes it, where that is another process than the stage's own.
    """

    fraction: float
    epoch: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    frames_per_second: float | None = None
    data_wait: float | None = None
    device: str | None = None

    def speed(self) -> dict[str, float]:
        """The measures of speed that are known, by name."""
        speed = {"frames_per_second": self.frames_per_second, "data_wait": self.data_wait}
        return {name: value for name, value in speed.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class EpochEnd:
    """The end of an epoch of a running stage.

    Attributes:
        number: of the epoch (1-based).
        metrics: of the whole epoch, by name.
    """

    number: int
    metrics: Mapping[str, float]


Report = Progress | EpochEnd
"""Report of a running stage."""
Listener = Callable[[Report], None]


def ignore_report(report: Report) -> None:
    """The listener where nobody listens."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Everything a stage needs to run: the folders of its inputs and of its output, and its resources."""

    output: Path
    """The folder to fill. It survives a retry: resume from what is there."""
    inputs: Mapping[str, Path] = field(default_factory=dict)
    """The artifact folder of every input stage, by its dotted path, such as `method.teacher` or `videos.3`.

    Those of aids, where they are there, are among them by their names.
    """
    resources: Resources = Resources()
    listener: Listener = ignore_report
    """Called with every report of the stage."""

    def progress(
        self,
        fraction: float,
        *,
        epoch: int = 0,
        metrics: Mapping[str, float] | None = None,
        frames_per_second: float | None = None,
        data_wait: float | None = None,
    ) -> None:
        """Reports how far the stage is; the arguments are those of `Progress`."""
        self.listener(
            Progress(
                fraction=fraction,
                epoch=epoch,
                metrics=metrics or {},
                frames_per_second=frames_per_second,
                data_wait=data_wait,
            )
        )

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Reports the end of an epoch (1-based) and its metrics: a point of the stage's curves."""
        self.listener(EpochEnd(number=number, metrics=metrics))

    def inputs_under(self, prefix: str) -> dict[str, Path]:
        """The inputs found below a field, by the rest of their dotted path."""
        start = prefix + "."
        return {path.removeprefix(start): folder for path, folder in self.inputs.items() if path.startswith(start)}

    def inputs_of(self, name: str) -> list[Path]:
        """The inputs found in a field that is a tuple of stages, in the tuple's order."""
        folders = self.inputs_under(name)
        return [folders[str(index)] for index in range(len(folders))]


class Stage(Config, ABC):
    """One step of an experiment: a frozen dataclass that is computed once, into a folder named by its key."""

    uses_gpu: ClassVar[bool] = False
    """Whether a GPU makes it faster; others are granted none."""
    trains_on_workers: ClassVar[bool] = False
    """Whether several workers can compute it together; others are granted one."""

    is_removable: ClassVar[bool] = False
    """Whether it is large, and soon computed again: a run may remove it once all that reads it is finished."""

    granted_as: ClassVar[str] = ""
    """Type of stage whose resources it is granted where a profile names none for its own type."""

    @property
    def gpu_share(self) -> float:
        """Part of one GPU that suffices where nobody says how much of it a stage of this type is granted."""
        return 1.0

    curves: ClassVar[str] = ""
    """The name of the curves in its history, such as `pretrain`; without one they appear in no report.

    Of the stages of a trial with curves of one name, the last one's are shown.
    """

    @property
    def kind(self) -> str:
        """Name of stages like this one in plans."""
        return type(self).__name__

    @property
    def title(self) -> str:
        """Name of this stage in progress lines."""
        return self.kind

    @abstractmethod
    def run(self, work: Work) -> None:
        """Computes the stage into `work.output`.

        Raises:
            InputError: what the stage was asked to read or do cannot be; the message says how to correct it.
        """

    def check(self, resources: Resources) -> None:  # most stages can do with anything
        """Says before anything runs whether the stage can be computed with these resources.

        Raises:
            InputError: it cannot; the message says what would do.
        """

    def aids(self) -> Mapping[str, "Stage"]:
        """Stages that make this one cheaper and change none of its numbers, by the names of their folders in `inputs`.

        They enter no key. Where the artifact of one is not there, this stage is computed without it.
        """
        return {}

    def tapes(self) -> Mapping[str, "Stage"]:
        """Stages that record what this one could replay in place of computing it, by kind of recording."""
        return {}

    def shortest(self) -> "Stage":
        """Of a tape: the shortest of the same. Longer ones serve whatever a shorter one does."""
        return self

    def replaying(self, tape: "Stage") -> "Stage":
        """This stage with one of its tapes among its aids: its key is the same, and its cost is lower."""
        raise NotImplementedError

    def library_versions(self) -> Mapping[str, str]:
        """Versions of libraries that decide its numbers, beyond those that every manifest holds."""
        return {}

    def other_versions(self, recorded: Mapping[str, str]) -> str:
        """What was different when a stored stage was computed, in words that continue "was computed …"; or nothing.

        Args:
            recorded: versions in its manifest.
        """
        return ""

    def remarks(self, metrics: Mapping[str, float]) -> tuple[str, ...]:
        """Sentences on the metrics of an epoch that say more than their numbers, such as a loss that never moved.

        Args:
            metrics: by name, of the last epoch or of the part of it that is done.
        """
        return ()

    @abstractmethod
    def expected_seconds(self) -> float:
        """Rough cost on the reference machine (two CPU cores); the plan corrects it by what was measured here."""

    def expected_cost(self) -> Cost:
        """Rough cost of which a faster device shortens what networks take; CPU cores do all of it if not said here."""
        return Cost(cpu_seconds=self.expected_seconds())

    def expected_bytes(self) -> float:
        """Rough size of what it leaves; the plan corrects it by what was measured here."""
        return SMALL_BYTES

    def expected_working_bytes(self) -> float:  # most stages need none
        """Rough size of what it needs on disk only while it is computed, such as checkpoints."""
        return 0.0
