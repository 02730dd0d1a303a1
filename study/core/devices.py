"""Table of devices, shipped with the package: how fast each computes the networks of stages, and how that is known."""

import functools
import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from study.home.text import nearest
from trainers.stage import Cost, InputError

CPU = "cpu"
REFERENCE_CORES = 2
"""Of the reference machine, whose seconds stages expect."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A kind of device.

    Attributes:
        name: its name in the table.
        matches: words in the names that drivers, and Ray, give it.
        training_bf16: multiply-adds (10⁹) per second of training in bf16; of a CPU per core, as the others.
        training_fp32: of training in fp32.
        inference_bf16: of frozen networks in bf16.
        inference_fp32: of frozen networks in fp32.
        watts: its power at work; of a CPU per core.
        source: "measured" with its date, or "estimated" with how.
    """

    name: str
    matches: tuple[str, ...]
    training_bf16: float
    training_fp32: float
    inference_bf16: float
    inference_fp32: float
    watts: float
    source: str

    def seconds(self, cost: Cost, cores: int, gpus: float = 1) -> float:
        """Expected seconds of a stage.

        Args:
            cost: of the stage.
            cores: of the CPU that computes it, or beside the GPUs prepares its frames.
            gpus: number of such devices, or a share of one.
        """
        units = cores if self.name == CPU else gpus
        training, inference = (
            (self.training_bf16, self.inference_bf16)
            if cost.precision == "bf16"
            else (self.training_fp32, self.inference_fp32)
        )
        computing = (cost.training_gmacs / training + cost.inference_gmacs / inference) / units
        preparing = cost.cpu_seconds * REFERENCE_CORES / cores
        return computing + preparing if self.name == CPU else max(computing, preparing, cost.launch_seconds)


@functools.cache
def devices() -> dict[str, Device]:
    """All devices of the table by name."""
    text = (files("study.core") / "builtin" / "devices.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text).items()
    return {name: Device(name=name, **{**entry, "matches": tuple(entry["matches"])}) for name, entry in entries}


def device_named(name: str) -> Device:
    """A device by its name in the table.

    Raises:
        InputError: there is none.
    """
    if name not in devices():
        raise InputError(f"no device named {name!r}{nearest(name, devices())}")
    return devices()[name]


def device_of_driver(name: str) -> Device | None:
    """The device of the table that a driver's name is of; None where the table has none."""
    found = (each for each in devices().values() if any(is_name_in(words, name) for words in each.matches))
    return next(found, None)


def is_name_in(words: str, name: str) -> bool:
    """Whether a name holds these whole words, as a driver's does what Ray makes of it."""
    return bool(words) and re.search(rf"\b{re.escape(words)}\b", name) is not None


def extreme_gpu(which: Literal["slowest", "fastest"]) -> Device:
    """The slowest or the fastest GPU of the table, between which an unknown one is expected."""
    gpus = sorted((each for each in devices().values() if each.name != CPU), key=lambda each: each.training_bf16)
    return gpus[0 if which == "slowest" else -1]
