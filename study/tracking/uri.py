"""Tracking URIs that MLflow 3 takes."""

from pathlib import Path

from trainers.stage import InputError

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


def default_uri(home: Path) -> str:
    """The URI of a home's own database."""
    return f"sqlite:///{home.absolute() / 'mlflow.db'}"


def checked_uri(home: Path, uri: str | None) -> str:
    """A tracking URI; the home's own where none is given.

    Raises:
        InputError: it names a folder.
    """
    if not uri:
        return default_uri(home)
    scheme = uri.partition("://")[0].partition("+")[0] if "://" in uri else ""
    if scheme not in (*DATABASES, "http", "https"):
        raise InputError(
            f"MLFLOW_TRACKING_URI is {uri}, but MLflow 3 keeps no runs in plain folders: "
            "give sqlite:////absolute/path/mlflow.db or the http address of a server, or unset it."
        )
    return uri
