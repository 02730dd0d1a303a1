"""Tracking URIs that MLflow 3 takes, and the SQLite files that some of them name."""

import re
from pathlib import Path
from urllib.parse import quote, unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from study.home.file_systems import network_mount
from trainers.stage import InputError

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
DATABASE = "mlflow.db"


def default_uri(home: Path) -> str:
    """The URI of a home's own database."""
    return sqlite_uri(home.absolute() / DATABASE)


def sqlite_uri(path: Path) -> str:
    """The URI of an SQLite file.

    A path with characters that mean something in a URI is quoted whole, slashes too: MLflow takes what stands between
    the URI's slashes for a folder, and creates it.
    """
    plain = f"sqlite:///{path}"
    if sqlite_file(plain) == path:
        return plain
    location = URL.create("sqlite", database=f"file:{quote(str(path), safe='')}", query={"uri": "true"})
    return location.render_as_string(hide_password=False)


def sqlite_file(uri: str) -> Path | None:
    """The file that a URI names by its path; None for servers, and for what is opened in a way of its own."""
    try:
        location = make_url(uri)
    except (ArgumentError, ValueError):
        return None
    name = location.database or ":memory:"
    if location.get_backend_name() != "sqlite" or location.query.keys() - {"uri"} or name == ":memory:":
        return None
    return Path(unquote(name.removeprefix("file:")) if "uri" in location.query else name)


def shown(uri: str) -> str:
    """A URI for sentences: the path of an SQLite file, and nobody's password."""
    if (path := sqlite_file(uri)) is not None:
        return str(path)
    return re.sub(r"(://[^/@:]*):[^@/]*@", r"\1:***@", uri)


def checked_uri(home: Path, uri: str | None) -> str:
    """A tracking URI; the home's own where none is given.

    Raises:
        InputError: it names a folder, or an SQLite database on a network file system.
    """
    uri = uri or default_uri(home)
    scheme = uri.partition("://")[0].partition("+")[0] if "://" in uri else ""
    if scheme not in (*DATABASES, "http", "https"):
        raise InputError(
            f"MLFLOW_TRACKING_URI is {uri}, but MLflow 3 keeps no runs in plain folders: "
            "give sqlite:////absolute/path/mlflow.db or the http address of a server, or unset it."
        )
    if (path := sqlite_file(uri)) is not None and (mount := network_mount(path)):
        raise InputError(
            f"MLflow's database {path} is on a network file system ({mount}), where machines that write one SQLite "
            "database destroy it: start a server on one machine with "
            "`MLFLOW_TRACKING_URI=sqlite:////LOCAL/DISK/mlflow.db freelunch ui --host 0.0.0.0`, and set "
            "MLFLOW_TRACKING_URI=http://THAT-MACHINE:5000 here, or give --no-mlflow."
        )
    return uri
