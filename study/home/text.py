"""Quantities and choices in words."""

from collections.abc import Iterable

from trainers.names import alike


def duration(seconds: float) -> str:
    """Seconds in one number: 4.2 s, 40 s, 3 min, 2.5 h, 6 days."""
    scales = ((9.95, 1, "s", 1), (90, 1, "s", 0), (5400, 60, "min", 0), (2 * 86400, 3600, "h", 1))
    for limit, divisor, unit, digits in scales:
        if seconds < limit:
            return f"{seconds / divisor:.{digits}f} {unit}"
    return f"{seconds / 86400:.0f} days"


def size(num_bytes: float) -> str:
    """Bytes in one number: 40 kB, 3.2 MB, 59 GB."""
    for divisor, unit in ((1e9, "GB"), (1e6, "MB")):
        if num_bytes >= divisor:
            return f"{num_bytes / divisor:.{0 if num_bytes >= 9.95 * divisor else 1}f} {unit}"
    return f"{num_bytes / 1e3:.0f} kB"


def nearest(name: str, valid: Iterable[str]) -> str:
    """End of an error sentence: the nearest valid name, and all of them."""
    valid = list(valid)
    close = alike(name, valid)
    suggestion = f"; did you mean {close[0]!r}?" if close else "."
    return f"{suggestion} Valid: {', '.join(valid) or 'none'}."
