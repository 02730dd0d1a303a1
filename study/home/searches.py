"""Searches that were run in a home folder: the names of their folders, and where their requests lie."""

from pathlib import Path

REQUEST_FILE = "asking.json"


def folder_name(search: str) -> str:
    """Name of a search's folder in the home and of its MLflow experiment, distinct from those of studies."""
    return f"search-{search}"


def request_path(search: str, home: Path) -> Path:
    """File of the latest request of a search."""
    return home / "studies" / folder_name(search) / REQUEST_FILE


def has_been_searched(search: str, home: Path) -> bool:
    """Whether a search was run in a home, by the name it has there."""
    return request_path(search, home).exists()


def known_searches(home: Path) -> list[str]:
    """The searches that have been run in a home."""
    prefix = folder_name("")
    return sorted(
        path.parent.name.removeprefix(prefix) for path in (home / "studies").glob(f"{prefix}*/{REQUEST_FILE}")
    )
