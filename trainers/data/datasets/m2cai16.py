"""Phases of M2CAI16-workflow, in index order, as its annotation files write them."""

from trainers.data.datasets.description import builtin

PHASES = builtin("m2cai16").phases
