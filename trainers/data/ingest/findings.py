"""Findings of an audit: what is wrong or unusual in the files of a data set, where, and what to do."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from trainers.stage import InputError

Severity = Literal["error", "warning"]
VERBS = (
    "annotates|are|begins|cannot|comes|declares|does|ends|has|holds|is|lacks|lasts|names|needs|puts|reads|says|shows|"
    "starts|was"
)
"""What follows the place in our sentences."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong or unusual in a file of a data set.

    Attributes:
        path: the file or folder.
        line: of a text file (1-based), where the finding is on one line.
        field: of a description or a table, where the finding is on one field or column.
        message: what was found, which continues a sentence that begins with the place.
        remedy: what to do about it; empty where nothing has to be done.
        severity: an error stops the ingest of the data set, a warning does not.
    """

    path: str
    line: int | None = None
    field: str | None = None
    message: str
    remedy: str = ""
    severity: Severity = "error"

    @classmethod
    def of(cls, error: InputError, path: Path) -> Self:
        """The finding that a sentence `PATH:LINE says something: what to do.` makes of a file.

        Args:
            error: what was raised.
            path: the file or folder that was read; of a sentence that begins with neither it nor another file, all is
                the reason why the file is refused.
        """
        sentence = str(error)
        place = _place(re.escape(str(path)), sentence) or _place("/.+?", sentence)
        rest = sentence[place.end() :] if place else f"is refused, as {sentence}"
        message, _, remedy = rest.rpartition(": ") if ": " in rest else (rest.rstrip("."), "", "")
        return cls(
            path=place["path"] if place else str(path),
            line=int(place["line"]) if place and place["line"] else None,
            field=place["field"] if place else None,
            message=message,
            remedy=remedy.rstrip("."),
        )

    @property
    def place(self) -> str:
        """Where it was found: `PATH:LINE`, with the field where there is one."""
        line = f":{self.line}" if self.line is not None else ""
        return f"{self.path}{line}" + (f", field {self.field!r}," if self.field else "")

    @property
    def sentence(self) -> str:
        """The finding as one sentence: place, what was found, what to do."""
        end = f": {self.remedy}" if self.remedy else ""
        return f"{self.place} {self.message}{end}{'' if end.endswith('?') else '.'}"


def _place(path: str, sentence: str) -> re.Match[str] | None:
    """The place that a sentence begins with: a path, perhaps a line, perhaps a field."""
    return re.match(rf"(?P<path>{path})(?::(?P<line>\d+))?(?:, field '(?P<field>[^']+)')?,? (?=(?:{VERBS}) )", sentence)


class FoundError(InputError):
    """Errors that an audit found: the sentence is that of the first, and says how many more there are.

    Attributes:
        findings: all findings, warnings too.
    """

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        errors = errors_of(self.findings)
        assert errors, "a data set without errors is not refused"
        more = f" ({len(errors) - 1} more errors were found.)" if len(errors) > 2 else ""
        more = " (One more error was found.)" if len(errors) == 2 else more
        super().__init__(errors[0].sentence + more)


def findings_of(error: InputError, path: Path) -> tuple[Finding, ...]:
    """The findings that an error holds, or the one that its sentence is, on a file."""
    return error.findings if isinstance(error, FoundError) else (Finding.of(error, path),)


def errors_of(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that stop an ingest."""
    return tuple(finding for finding in findings if finding.severity == "error")


def refuse_errors(findings: Iterable[Finding]) -> None:
    """Raises the errors among findings, if there are any.

    Raises:
        FoundError: a finding is an error.
    """
    findings = tuple(findings)
    if errors_of(findings):
        raise FoundError(findings)
