"""Tables of videos, datasets and public weights."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from study.console.terminal import new_table
from study.core.graph import key
from study.core.store import Store
from study.core.study import Trial
from study.home.text import duration
from trainers.artifacts.audit import FILE_NAME as AUDIT
from trainers.artifacts.audit import read_audit


def audits_table(trials: Sequence[Trial], store: Store) -> Table:
    """Findings of ingest, a row per video."""
    table = new_table("video", "fps", "size", "length", "rows", "margins cut", "remarks")
    for trial in trials:
        stage_key = key(trial.stage)
        if store.find(stage_key) is None:
            table.add_row(trial.row.name, "", "", "", "", "", "[red]failed[/]")
            continue
        audit = read_audit(store.check(stage_key, only=AUDIT))
        margins = audit.margins
        table.add_row(
            audit.video,
            f"{audit.source_fps:g}",
            f"{audit.width_px}×{audit.height_px}",
            duration(audit.seconds),
            str(audit.num_rows),
            f"{margins['left']}/{margins['top']}/{margins['right']}/{margins['bottom']}",
            escape("; ".join(audit.warnings)),
        )
    return table


def findings_table(findings: Iterable[Mapping[str, Any]]) -> Table:
    """Findings of an audit: where, what, and what to do."""
    table = new_table("", "file", "line", "what", "what to do")
    for finding in findings:
        is_error = finding["severity"] == "error"
        field = f"{finding['field']}: " if finding["field"] else ""
        cells = (finding["path"], str(finding["line"] or ""), field + finding["message"], finding["remedy"])
        table.add_row("[red]error[/]" if is_error else "[yellow]warning[/]", *map(escape, cells))
    return table


def lengths_table(lengths: Iterable[tuple[str, int, float, float]]) -> Table:
    """The length that images imply, a row per video: its name, its images, their rate, and the seconds."""
    table = new_table("video", "images", "counted at", "length")
    for name, num_images, fps, seconds in lengths:
        table.add_row(escape(name), str(num_images), f"{fps:g} fps", duration(seconds))
    return table


def datasets_table(records: Iterable[Mapping[str, Any]]) -> Table:
    """The datasets, those whose audit found errors among them."""
    table = new_table("dataset", "layout", "videos", "hours", "stored", "audit", "folder")
    for record in records:
        cells = (record["name"], record["layout"], str(record["videos"]), f"{record['hours']:.2f}")
        found = [f"[red]{_counted(record['errors'], 'error')}, not registered[/]"] if record["errors"] else []
        found += [_counted(record["warnings"], "warning")] if record["warnings"] else []
        table.add_row(*map(escape, cells), _stored(record), ", ".join(found), escape(record["root"]))
    return table


def failed_videos(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for every video that failed when it was last ingested."""
    failed = ((record["name"], *each) for record in records for each in record["failed"].items())
    return [f"[red]failed[/] {escape(f'{dataset} {video}: {sentence}')}" for dataset, video, sentence in failed]


def _stored(record: Mapping[str, Any]) -> str:
    scales = (f"{scale} {count}/{record['videos']}" for scale, count in record["stored"].items())
    return ", ".join(scales) or "–"


def weights_table(records: Iterable[Mapping[str, Any]]) -> Table:
    """The public weights that have been added."""
    table = new_table("weights", "network", "kind", "what they are", "licence", "SHA-256", "file")
    for record in records:
        named = (record["name"], record["architecture"], record["kind"], record["title"], record["licence"] or "–")
        file = f"{record['file']} {record['fault']}".strip()
        table.add_row(*map(escape, (*named, record["digest"][:8], file)))
    return table


def weights_page(record: Mapping[str, Any]) -> Table:
    """One of the public weights: where they come from, how they are used, and what of the file is left out."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    head = (
        f"of the file, embeddings of {record['embedding_size']}"
        if record["has_head"]
        else "drawn, the file has none that ours can take over"
    )
    said = {name: f"{record[name]} (as the file's metadata says)" for name in record["from_metadata"]}
    facts = {
        "weights": record["name"],
        "what they are": said.get("title", record["title"]),
        "kind": said.get("kind", record["kind"]),
        "network": record["architecture"],
        "projection head": head if record["num_used"] else "",
        "file": f"{record['file']} {record['fault']}".strip(),
        "downloaded as": record["source"],
        "licence": said.get("licence", record["licence"]) or "not noted",
        "SHA-256": record["digest"],
        "prefix": record["prefix"] or "none",
        "tensors used": str(record["num_used"] or "not counted by the version that added them"),
        "other networks": "\n".join(f"{prefix} (--prefix chooses it)" for prefix in record["others"]),
        "left out": "\n".join(record["left_out"]),
    }
    for name, value in facts.items():
        if value:
            table.add_row(name, escape(value))
    return table


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
