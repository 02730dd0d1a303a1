"""Objects that training scripts save beside tensors, and what takes their place when a checkpoint is read.

Options, settings of loggers, and numbers of NumPy are no reason to refuse a checkpoint, and none of them is needed.
Their classes are allow-listed by name, each replaced by a stand-in of ours that keeps nothing, so that no code but
torch's runs and none of these packages is imported.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable

KNOWN = (
    "argparse.Namespace",
    "builtins.bool",
    "builtins.dict",
    "builtins.float",
    "builtins.frozenset",
    "builtins.int",
    "builtins.list",
    "builtins.object",
    "builtins.slice",
    "builtins.str",
    "builtins.tuple",
    "collections.defaultdict",
    "collections.deque",
    "copyreg._reconstructor",
    "datetime.datetime",
    "datetime.timedelta",
    "types.SimpleNamespace",
)
"""Classes of the standard library that describe a training."""

PACKAGES = (
    "addict",
    "classy_vision",
    "fvcore",
    "hydra",
    "iopath",
    "lightly",
    "lightning",
    "lightning_fabric",
    "lightning_utilities",
    "mmcls",
    "mmcv",
    "mmengine",
    "mmpretrain",
    "mmselfsup",
    "ml_collections",
    "omegaconf",
    "pathlib",
    "pl_bolts",
    "pytorch_lightning",
    "solo",
    "typing",
    "vissl",
    "yacs",
)
"""Packages of training frameworks, whose classes hold options, histories and paths."""

ARRAYS = r"numpy\.(dtype|ndarray|dtypes\.\w+|_?core\.multiarray\.(scalar|_reconstruct)|_?core\.numeric\._frombuffer)"
"""NumPy's names in a pickled number or array."""


class LeftOutArray:
    """Number or array of NumPy, or its type, of which nothing is kept."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class LeftOutOptions:
    """Options of a training, of which nothing is kept but what the file puts into a mapping."""

    def __new__(cls, *arguments: object) -> OrderedDict[str, object]:  # type: ignore[misc]
        """An empty mapping, the one type that torch fills and gives attributes to."""
        return OrderedDict()


StandIn = tuple[type[LeftOutArray] | type[LeftOutOptions], str]
"""Class, and the name in a file that it takes the place of."""


def stand_ins(names: Iterable[str]) -> list[StandIn]:
    """Stand-ins for the classes in a file that describe a training, to be allow-listed when it is read."""
    arrays: list[StandIn] = [(LeftOutArray, name) for name in names if re.fullmatch(ARRAYS, name)]
    return arrays + [(LeftOutOptions, name) for name in names if name in KNOWN or name.partition(".")[0] in PACKAGES]
