"""Record of the last ingest of a dataset, registered or not: findings of its audit, and videos that failed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from study.home.files import read_json, write_json
from trainers.data.ingest.findings import Finding
from trainers.runtime.registry import names
from trainers.stage import MachineError

FOLDER = "audits"
"""Beside the registered datasets."""


def write_record(home: Path, name: str, root: Path, findings: Iterable[Finding], failures: Mapping[str, str]) -> None:
    """Keeps what the last ingest found.

    Args:
        home: the home folder.
        name: of the dataset.
        root: its folder.
        findings: of its audit.
        failures: the sentence on every video that failed, by name.
    """
    folder = home / "datasets" / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    content = {"root": str(root), "findings": [asdict(each) for each in findings], "failures": dict(failures)}
    write_json(folder / f"{name}.json", content)


def recorded_names(home: Path) -> list[str]:
    """Names of all datasets that an ingest was begun of since such records are kept."""
    return names(home / "datasets" / FOLDER)


def read_record(home: Path, name: str) -> dict[str, Any]:
    """Root, findings and failures of the last ingest; empty where there was none, or its file is damaged."""
    try:
        record = read_json(home / "datasets" / FOLDER / f"{name}.json")
    except (OSError, MachineError):
        return {}
    return record if {"root", "findings", "failures"} <= record.keys() else {}


def num_errors(findings: Sequence[Mapping[str, Any]]) -> int:
    """The number of findings that are errors."""
    return sum(finding["severity"] == "error" for finding in findings)
