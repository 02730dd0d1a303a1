"""Cluster profile: the resources granted to each type of stage. They never enter a key, so no result depends on them.

A profile is a TOML file with a table per type of stage, and one for all the others:

    [default]
    threads = 4         # CPU cores of every worker
    gpus = 1            # of every worker, for stages that can use one

    [Pretrain]
    workers = 4         # processes that train together, on any nodes
    threads = 8
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from inspect import isabstract
from pathlib import Path
from typing import Any

from study.home.text import nearest
from trainers.stage import InputError, Resources, Stage

DEFAULT = "default"
SMALLEST = {"workers": 1, "threads": 1, "gpus": 0}
LARGEST = {"workers": 4096, "threads": 4096, "gpus": 64}
"""More than any machine has: larger numbers are typing errors."""
SMALLEST_SHARE = 0.0001
"""Of a GPU, that Ray can grant."""
MAX_THREADS = 16
"""Decoding and augmenting frames for one worker gain little from more."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Resources of stages: by type, or else the default.

    A stage that cannot use a GPU, or several workers, is granted none, or one, whatever stands here. One that needs
    little of a GPU (`Stage.gpu_share`) shares it with others like it, unless its type has resources of its own.

    Attributes:
        default: of types that have none of their own.
        by_type: of a type of stage, by its name.
        shares_gpus: whether stages share GPUs: not where a command line says how many each is granted.
    """

    default: Resources = Resources()
    by_type: Mapping[str, Resources] = field(default_factory=dict)
    shares_gpus: bool = True

    def grant(self, stage: Stage) -> Resources:
        """The resources of a stage."""
        names = [name for name in (type(stage).__name__, stage.granted_as) if name in self.by_type]
        share = stage.gpu_share if self.shares_gpus else 1.0
        granted = self.by_type[names[0]] if names else _shared(self.default, share)
        return replace(
            granted,
            workers=granted.workers if stage.trains_on_workers else 1,
            gpus=granted.gpus if stage.uses_gpu else 0,
        )

    def having(self, *, workers: int | None = None, threads: int | None = None, gpus: float | None = None) -> "Profile":
        """This profile with values from a command line, which hold for every type."""
        asked = {"workers": workers, "threads": threads, "gpus": gpus}
        given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        by_type = {name: replace(resources, **given) for name, resources in self.by_type.items()}
        shares = self.shares_gpus and gpus is None
        return Profile(default=replace(self.default, **given), by_type=by_type, shares_gpus=shares)


def _shared(resources: Resources, share: float) -> Resources:
    """Resources on a GPU, of which a part suffices, with as many of the threads; others stay as they are."""
    if resources.gpus != 1 or share >= 1:
        return resources
    return replace(resources, gpus=share, threads=max(1, round(share * resources.threads)))


def suggested(cpus: int, gpus: int) -> Profile:
    """A profile for nodes with this number of CPU cores and GPUs: each stage gets a GPU and its share of the cores.

    Without GPUs, two stages run side by side where there are cores for it.
    """
    threads = cpus // gpus if gpus else cpus // 2
    return Profile(default=Resources(threads=min(max(threads, 1), MAX_THREADS), gpus=1 if gpus else 0))


def read_profile(path: Path, start: Profile) -> Profile:
    """A profile from a file; fields that it does not set are taken from `start`.

    Raises:
        InputError: the file cannot be read, or names what there is not.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"the cluster profile {path} is no file: name a TOML file.")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the cluster profile {path} cannot be read ({error.strerror}): name another file.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"the cluster profile {path} is not UTF-8 (byte {error.start}): save it as UTF-8.") from None
    except ValueError as error:
        raise InputError(f"the cluster profile {path} is not TOML: {str(error).rstrip('.')}.") from None
    known = {cls.__name__ for cls in _below(Stage) if not isabstract(cls)}
    for name in tables.keys() - known - {DEFAULT}:
        if isinstance(tables[name], dict):
            raise InputError(f"{path}: [{name}] is no type of stage{nearest(name, sorted(known))}")
    default = _resources(path, DEFAULT, tables.pop(DEFAULT, {}), start.default)
    return Profile(default=default, by_type={name: _resources(path, name, t, default) for name, t in tables.items()})


def check_gpus(gpus: float, place: str) -> None:
    """Checks that a worker can be granted this number of GPUs.

    Raises:
        InputError: it cannot; the message begins with `place`.
    """
    if not (gpus == 0 or SMALLEST_SHARE <= gpus < 1 or (gpus >= 1 and float(gpus).is_integer())):
        raise InputError(f"{place} = {gpus}: a worker gets whole GPUs, a share of one from {SMALLEST_SHARE} on, or 0.")


def _below(cls: type) -> set[type]:
    """A class and all that derive from it."""
    below: list[type] = cls.__subclasses__()
    return {cls}.union(*map(_below, below))


def _resources(path: Path, name: str, table: object, start: Resources) -> Resources:
    if not isinstance(table, dict):
        raise InputError(
            f"{path}: {name} = {table!r} stands outside a table: write it below [{DEFAULT}] or [Pretrain]."
        )
    for field_name, value in table.items():
        if field_name not in SMALLEST:
            raise InputError(f"{path}: [{name}] has no field {field_name!r}; valid: {', '.join(SMALLEST)}.")
        kinds, what = ((int, float), "number") if field_name == "gpus" else ((int,), "whole number")
        least, most = SMALLEST[field_name], LARGEST[field_name]
        if type(value) not in kinds or not least <= value <= most:
            raise InputError(f"{path}: [{name}] {field_name} = {value!r}: give a {what} from {least} to {most}.")
        if field_name == "gpus":
            check_gpus(value, f"{path}: [{name}] gpus")
    return replace(start, **table)
