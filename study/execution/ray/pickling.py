"""Pickled stages in requests, together with the modules of users that other nodes need not have."""

import copyreg
import importlib
import inspect
import sys
import sysconfig
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ray import cloudpickle

from study.core.graph import OUR_PACKAGES, configs, inputs, key, walk
from study.execution.executor import Grant
from study.execution.ray.messages import StageRequest
from trainers.stage import Stage

INSTALLED = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib"))


def requests_for(stages: Mapping[str, Stage], missing: Sequence[str], grant: Grant) -> list[StageRequest]:
    """Requests for the missing stages of a plan, in its order.

    Args:
        stages: the plan's stages by key.
        missing: keys of those to compute, each after its inputs.
        grant: what every stage may use.
    """
    wanted = set(missing)
    _pickle_special_modules_by_name()
    with _own_modules_by_value(_modules(stages[stage_key] for stage_key in missing)):
        return [_request(stages[stage_key], wanted, grant) for stage_key in missing]


def pickled_function(function: Callable[..., object]) -> bytes:
    """A function for other nodes, together with the module of users that defines it."""
    module = getattr(function, "__module__", None)
    with _own_modules_by_value({str(module)}):
        return bytes(cloudpickle.dumps(function))  # type: ignore[no-untyped-call]


def unpickled(stage: bytes) -> Stage:
    """The stage of a request."""
    opened: Stage = cloudpickle.loads(zlib.decompress(stage))
    return opened


def _request(stage: Stage, wanted: set[str], grant: Grant) -> StageRequest:
    needed = {key(needed): None for needed in inputs(stage).values()}  # its key, and theirs, travel in the pickle
    aids = {key(aid): None for aid in stage.aids().values()}
    return StageRequest(
        key=key(stage),
        title=stage.title,
        inputs=tuple(stage_key for stage_key in needed if stage_key in wanted),
        resources=grant(stage),
        stage=zlib.compress(cloudpickle.dumps(stage), 1),  # type: ignore[no-untyped-call]
        aids=tuple(stage_key for stage_key in aids if stage_key in wanted),
    )


def _modules(stages: Iterator[Stage]) -> set[str]:
    """The modules that define these stages, their inputs, and the configs in them."""
    classes = set[type]().union(*(configs(stage) for stage in walk(*stages).values()))
    return {base.__module__ for cls in classes for base in cls.__mro__}


def _pickle_special_modules_by_name() -> None:
    """Has modules with a class of their own pickled as others are: cloudpickle knows those of the usual class alone.

    `torch.distributed.config` is one: cloudpickle takes it along where a user's function has both of these names.
    """
    for module in tuple(sys.modules.values()):
        if isinstance(module, ModuleType) and type(module) is not ModuleType:
            copyreg.pickle(type(module), _by_name)


def _by_name(module: ModuleType) -> tuple[Callable[[str], ModuleType], tuple[str]]:
    return importlib.import_module, (module.__name__,)


@contextmanager
def _own_modules_by_value(names: set[str]) -> Iterator[None]:
    """Pickles whole what is defined in modules that other nodes need not have, such as a file with a user's study."""
    own = [sys.modules[name] for name in names if name in sys.modules and not _is_installed(sys.modules[name])]
    for module in own:
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)  # type: ignore[no-untyped-call]


def _is_installed(module: ModuleType) -> bool:
    """Whether every node has a module: ours, Python's, and those installed beside them."""
    if module.__name__.partition(".")[0] in OUR_PACKAGES:
        return True
    try:
        file = Path(inspect.getfile(module))
    except TypeError:  # built in
        return module.__name__ != "__main__"
    return any(file.is_relative_to(folder) for folder in INSTALLED)
