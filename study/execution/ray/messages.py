"""What driver and broker tell each other: orders go there; events, and the verdict on every stage, come back."""

import inspect
import sys
import sysconfig
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Literal

from ray import cloudpickle

from study.core.graph import OUR_PACKAGES, configs, inputs, key, walk
from study.execution.events import Failure
from study.execution.executor import Grant
from trainers.stage import Resources, Stage

INSTALLED = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib"))
EventKind = Literal[
    "started", "progress", "finished", "found", "waiting", "interrupted", "failed", "blocked", "disk full"
]
ENDS_EPOCH = frozenset({"epoch", "loss", "knn_accuracy"})


@dataclass(frozen=True, kw_only=True)
class Order:
    """All that the broker knows of a stage.

    Attributes:
        key: the stage's key.
        title: what messages call it.
        inputs: keys of the stages that must be computed before it; those that were finished already are left out.
        resources: what it is granted.
        stage: the pickled stage, which only the process that computes it opens.
    """

    key: str
    title: str
    inputs: tuple[str, ...]
    resources: Resources
    stage: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a stage; `kind` says which of the fields below `key` it fills.

    Attributes:
        kind: as the methods of `study.execution.events.Observer`, and `disk full`, after which nothing new starts.
        key: of the stage.
        resumed: of `started`.
        where: of `started`: the node, where there are several.
        metrics: of `progress`.
        epoch: of `progress`.
        seconds: of `finished`.
        reason: of `waiting`, `interrupted` and `disk full`.
        failure: of `failed`.
        by: of `blocked`: the key of the stage that failed.
    """

    kind: EventKind
    key: str
    resumed: bool = False
    where: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    epoch: int = 0
    seconds: float = 0.0
    reason: str = ""
    failure: Failure | None = None
    by: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How it ended for a stage.

    Attributes:
        status: `computed` and `found` mean that its artifact is there; `unknown` that this broker never heard of it,
            perhaps because it was restarted, or has cancelled it because nobody asked for it any more.
        by: of `failed`, `blocked` and `disk full`: the key of the stage that began it, perhaps its own.
        sentence: why that one failed.
        machine: whether the machine was at fault for that, as `study.execution.events.Failure` has it.
    """

    status: Literal["computed", "found", "failed", "blocked", "disk full", "stopped", "unknown"]
    by: str = ""
    sentence: str = ""
    machine: bool = False

    @property
    def is_done(self) -> bool:
        """Whether the artifact is there."""
        return self.status in ("computed", "found")


def orders(stages: Mapping[str, Stage], missing: Sequence[str], grant: Grant) -> list[Order]:
    """Orders for the missing stages of a plan, in its order.

    Args:
        stages: the plan's stages by key.
        missing: keys of those to compute, each after its inputs.
        grant: what every stage may use.
    """
    wanted = set(missing)
    with _strangers_by_value(_modules(stages[stage_key] for stage_key in missing)):
        return [_order(stages[stage_key], wanted, grant) for stage_key in missing]


def unpickled(stage: bytes) -> Stage:
    """The stage of an order."""
    opened: Stage = cloudpickle.loads(zlib.decompress(stage))
    return opened


def ends_epoch(metrics: Mapping[str, float]) -> bool:
    """Whether a stage reports a whole epoch, not how far it is within one."""
    return not ENDS_EPOCH.isdisjoint(metrics)


def _order(stage: Stage, wanted: set[str], grant: Grant) -> Order:
    needed = {key(needed): None for needed in inputs(stage).values()}  # its key, and theirs, travel in the pickle
    return Order(
        key=key(stage),
        title=stage.title,
        inputs=tuple(stage_key for stage_key in needed if stage_key in wanted),
        resources=grant(stage),
        stage=zlib.compress(cloudpickle.dumps(stage), 1),  # type: ignore[no-untyped-call]
    )


def _modules(stages: Iterator[Stage]) -> set[str]:
    """The modules that define these stages, their inputs, and the configs in them."""
    classes = set[type]().union(*(configs(stage) for stage in walk(*stages).values()))
    return {base.__module__ for cls in classes for base in cls.__mro__}


@contextmanager
def _strangers_by_value(names: set[str]) -> Iterator[None]:
    """Pickles what modules define that other nodes need not have, such as a file with a user's study, as a whole."""
    strangers = [sys.modules[name] for name in names if name in sys.modules and not _is_installed(sys.modules[name])]
    for module in strangers:
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for module in strangers:
            cloudpickle.unregister_pickle_by_value(module)  # type: ignore[no-untyped-call]


def _is_installed(module: ModuleType) -> bool:
    """Whether every node has a module: ours, Python's, and what is installed beside them."""
    if module.__name__.partition(".")[0] in OUR_PACKAGES:
        return True
    try:
        file = Path(inspect.getfile(module))
    except TypeError:  # built in
        return module.__name__ != "__main__"
    return any(file.is_relative_to(folder) for folder in INSTALLED)
