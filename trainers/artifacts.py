"""Curves of a training stage: one row per epoch and metric, in Parquet."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FILE_NAME = "history.parquet"
SCHEMA = pa.schema([("epoch", pa.int32()), ("metric", pa.string()), ("value", pa.float64())])

Record = dict[str, float]
"""Metrics of one epoch by name, and `epoch` itself (1-based)."""


def write_history(folder: Path, records: Sequence[Record]) -> None:
    """Writes the curves of a stage."""
    rows = [
        {"epoch": int(record["epoch"]), "metric": name, "value": value}
        for record in records
        for name, value in record.items()
        if name != "epoch"
    ]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / FILE_NAME)


def read_history(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves of a stage: (epoch, value) pairs by metric; empty where the stage leaves none."""
    if not (folder / FILE_NAME).exists():
        return {}
    curves: dict[str, list[tuple[int, float]]] = {}
    for row in pq.read_table(folder / FILE_NAME).to_pylist():
        curves.setdefault(row["metric"], []).append((row["epoch"], row["value"]))
    return curves
