"""Training curves of a stage: one row per epoch and metric, in `history.parquet`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FILE_NAME = "history.parquet"
SCHEMA = pa.schema([("epoch", pa.int32()), ("metric", pa.string()), ("value", pa.float64())])

PRETRAINING = "pretrain"
TEMPORAL = "temporal"
"""Names that our stages give their curves (`Stage.curves`)."""

Record = dict[str, float]
"""Metrics of one epoch by name, and `epoch` itself (1-based)."""
Curves = Mapping[str, Mapping[int, float]]
"""Values by metric and epoch (1-based), in the order of the epochs."""


def write_history(folder: Path, records: Sequence[Record]) -> None:
    """Writes the curves of a stage into its artifact.

    Args:
        folder: the artifact.
        records: one per epoch.
    """
    rows = [
        {"epoch": int(record["epoch"]), "metric": name, "value": value}
        for record in records
        for name, value in record.items()
        if name != "epoch"
    ]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / FILE_NAME)


def read_history(folder: Path) -> Curves:
    """Reads the curves of an artifact; none where the stage left no history."""
    if not (folder / FILE_NAME).exists():
        return {}
    curves: dict[str, dict[int, float]] = {}
    for row in pq.read_table(folder / FILE_NAME).to_pylist():
        curves.setdefault(row["metric"], {})[row["epoch"]] = row["value"]
    return curves
