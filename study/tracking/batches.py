"""Batches of journal entries that MLflow takes in one call."""

from collections import Counter
from collections.abc import Iterable, Iterator

from study.tracking.journal import Entry

MOST_AT_ONCE = {"metrics": 1000, "param": 100, "tag": 100}
"""Values that one call takes; entries of other kinds are sent one by one."""


def batches(entries: Iterable[tuple[Entry, int]]) -> Iterator[tuple[list[Entry], int]]:
    """Entries that MLflow takes at once, in their order, and the offset behind them."""
    batch: list[Entry] = []
    counts: Counter[str] = Counter()
    end = 0
    for entry, offset in entries:
        size = len(entry.get("values", "-"))
        fits = {entry["kind"], *counts} <= MOST_AT_ONCE.keys()
        if batch and not (fits and counts[entry["kind"]] + size <= MOST_AT_ONCE[entry["kind"]]):
            yield batch, end
            batch, counts = [], Counter()
        batch.append(entry)
        counts[entry["kind"]] += size
        end = offset
    if batch:
        yield batch, end
