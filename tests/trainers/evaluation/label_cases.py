"""Label files of every form, written for tests."""

from collections.abc import Sequence
from pathlib import Path

PHASES = ("Preparation", "CalotTriangleDissection", "ClippingCutting", "GallbladderDissection")


def frame_rows(labels: Sequence[int], *, step: int = 1, first: int = 0, header: str = "Frame\tPhase\n") -> str:
    """Rows as in Cholec80's files."""
    return header + "".join(f"{first + step * row}\t{PHASES[label]}\n" for row, label in enumerate(labels))


def numbers(labels: Sequence[int], *, first: int = 0) -> str:
    """Rows with numbers of phases, as public code exports them."""
    return "Frame\tPhase\n" + "".join(f"{row}\t{first + label}\n" for row, label in enumerate(labels))


def names_alone(labels: Sequence[int]) -> str:
    return "".join(f"{PHASES[label]}\n" for label in labels)


def table(labels: Sequence[int], header: str, row: str) -> str:
    """A CSV file; `row` is formatted with k and phase."""
    lines = (row.format(k=k, phase=PHASES[label]) for k, label in enumerate(labels))
    return "\n".join([header, *lines]) + "\n"


def intervals(labels: Sequence[int], fps: float) -> str:
    """Runs of equal labels as start, end and phase in seconds."""
    starts = [k for k, label in enumerate(labels) if k == 0 or labels[k - 1] != label]
    rows = zip(starts, [*starts[1:], len(labels)], strict=True)
    lines = (f"{start / fps:.3f},{end / fps:.3f},{PHASES[labels[start]]}" for start, end in rows)
    return "\n".join(["start,end,phase", *lines]) + "\n"


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder
