"""A PostgreSQL of its own, of Debian's package: started, and ended with the block."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.study.conftest import free_port

USER = "postgres"
"""PostgreSQL refuses to run as root."""


def _program(name: str) -> str:
    """A program of PostgreSQL's, which Debian puts beside the path."""
    found = [shutil.which(name), *sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))]
    present = [path for path in found if path]
    if not present:
        pytest.skip(f"no {name}: apt-get install postgresql")
    return present[0]


@contextmanager
def running_postgresql(folder: Path, database: str, password: str) -> Iterator[int]:
    """A server on a free port of this machine, with a database and a user of its name; yields the port.

    Args:
        folder: an empty one, which other users can enter.
        database: its name, and the user's.
        password: the user's.
    """
    initdb, control = _program("initdb"), _program("pg_ctl")
    whose = _other_user(folder)
    data, port = folder / "data", free_port()
    secret = folder / "password"
    secret.write_text(password)
    if whose:
        shutil.chown(secret, USER)
    _run([initdb, "-D", str(data), "-U", database, "--pwfile", str(secret), "-A", "scram-sha-256", "-E", "UTF8"], whose)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    _run([control, "-D", str(data), "-l", str(folder / "log"), "-o", options, "-w", "start"], whose)
    try:
        connection = f"postgresql://{database}:{password}@127.0.0.1:{port}/postgres"
        _run([_program("psql"), connection, "-c", f"CREATE DATABASE {database}"], whose)
        yield port
    finally:
        _run([control, "-D", str(data), "-m", "immediate", "-w", "stop"], whose)


def _other_user(folder: Path) -> str | None:
    """The user to run it as, who must be able to write to the folder; None for this one."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(USER)
    except KeyError:
        pytest.skip(f"PostgreSQL does not run as root, and there is no user {USER}")
    shutil.chown(folder, USER)
    return USER


def _run(command: list[str], user: str | None) -> None:
    # What it starts keeps the output open, so it goes to a file and not to a pipe.
    subprocess.run(command, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
