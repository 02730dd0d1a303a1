"""Phases of Cholec80, in index order, as its annotation files write them."""

from trainers.data.datasets.description import builtin

PHASES = builtin("cholec80").phases
