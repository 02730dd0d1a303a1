"""Summary of a chaos run: a JSON file, and the same as Markdown."""

import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.chaos.log import ChaosLog


@dataclass(kw_only=True)
class Summary:
    """What a chaos run did, and what it found.

    Attributes:
        seed: of every choice.
        undisturbed_seconds: of the workload without faults.
        rounds: each with its mode, its seconds and its number of faults.
        faults: how often each kind happened.
        restarts: how often each command was typed again.
        problems: everything that is not as it should be.
        remarks: what libraries printed, and left in temporary folders.
        skipped: what this machine did not permit, and why.
    """

    seed: int
    undisturbed_seconds: float = 0.0
    seconds: float = 0.0
    machine: str = ""
    rounds: list[dict[str, object]] = field(default_factory=list)
    faults: Mapping[str, int] = field(default_factory=dict)
    restarts: Mapping[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def take(self, log: ChaosLog, cores: int) -> None:
        """Counts what is in the log."""
        self.seconds = round(log.seconds, 1)
        self.machine = f"{platform.machine()}, {cores} cores, Python {platform.python_version()}"
        self.faults = dict(sorted(Counter(str(entry["fault"]) for entry in log.of_kind("fault")).items()))
        self.restarts = dict(sorted(Counter(str(entry["command"]) for entry in log.of_kind("restart")).items()))


def write(summary: Summary, folder: Path, name: str) -> Path:
    """Writes `NAME.json` and `NAME.md`; returns the latter's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(asdict(summary), indent=1, ensure_ascii=False) + "\n")
    path = folder / f"{name}.md"
    path.write_text(markdown(summary))
    return path


def markdown(summary: Summary) -> str:
    """The summary as a page."""
    total = sum(summary.faults.values())
    verdict = f"{len(summary.problems)} problems" if summary.problems else "nothing missing, double, different or left"
    rounds = [[number, each["mode"], each["faults"], each["seconds"]] for number, each in enumerate(summary.rounds, 1)]
    parts = [
        f"# Chaos run of {total} faults: {verdict}",
        f"Seed {summary.seed}; {summary.seconds / 60:.0f} minutes on {summary.machine}; the workload takes "
        f"{summary.undisturbed_seconds:.0f} s where nothing disturbs it.",
        _table(["fault", "times"], sorted(summary.faults.items())),
        _table(["command", "typed again"], sorted(summary.restarts.items())),
        _table(["round", "Ray", "faults", "seconds"], rounds),
    ]
    for title, sentences in _sections(summary):
        if sentences:
            parts.append(f"## {title}\n\n" + "\n".join(f"- {sentence}" for sentence in sentences))
    return "\n\n".join(parts) + "\n"


def _sections(summary: Summary) -> list[tuple[str, list[str]]]:
    remarks = ("What libraries printed and left in temporary folders", summary.remarks)
    return [("Problems", summary.problems), remarks, ("Skipped", summary.skipped)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
