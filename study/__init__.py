"""Hyperparameter studies and searches whose stages are computed once: the names that a user's file imports.

`from study import Study` loads the module that defines it at that moment: `import study` alone costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from study.core.folds import cross_validated, folds
    from study.core.rows import Choice, Curve, MeasuredOn, Published, Row, Teacher
    from study.core.study import Study, Trial
    from study.core.suite import Suite
    from study.search.domains import LogUniform, OrNone, PowerOfTwo, Uniform, When
    from study.search.objective import Objective, PruningSignal
    from study.search.space import Search
else:
    MODULES = {
        "study.core.rows": ("Choice", "Curve", "MeasuredOn", "Published", "Row", "Teacher"),
        "study.core.folds": ("cross_validated", "folds"),
        "study.core.study": ("Study", "Trial"),
        "study.core.suite": ("Suite",),
        "study.search.domains": ("LogUniform", "OrNone", "PowerOfTwo", "Uniform", "When"),
        "study.search.objective": ("Objective", "PruningSignal"),
        "study.search.space": ("Search",),
    }

    def __getattr__(name: str) -> object:
        for module, names in MODULES.items():
            if name in names:
                return getattr(import_module(module), name)
        raise AttributeError(f"module 'study' has no attribute {name!r}")


__all__ = [
    "Choice",
    "Curve",
    "LogUniform",
    "MeasuredOn",
    "Objective",
    "OrNone",
    "PowerOfTwo",
    "PruningSignal",
    "Published",
    "Row",
    "Search",
    "Study",
    "Suite",
    "Teacher",
    "Trial",
    "Uniform",
    "When",
    "cross_validated",
    "folds",
]
