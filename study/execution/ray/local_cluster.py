"""Options of a Ray that is started here: what this machine lends, and a folder that is short enough for sockets."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from study.execution.ray.internals import default_session_folder
from trainers.runtime.machine import this_machine
from trainers.stage import MachineError

OBJECT_STORE_BYTES = 256 * 2**20
"""Artifacts go through the home folder; Ray's object store holds messages only."""
SOCKET_BYTES = 107
"""Greatest length of a socket's path."""
SESSION = "/session_2026-01-31_23-59-59_123456_1234567/sockets/plasma_store.12"
"""The longest path that Ray adds to its folder for a socket."""
LISTENER = "/pymp-12345678/listener-12345678"
"""What the processes of Ray's dashboard add to TMPDIR for theirs."""
SHORT_FOLDERS = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))


def options_here() -> dict[str, Any]:
    """The arguments of `ray.init` that depend on this machine.

    Raises:
        MachineError: no folder has a path that is short enough.
    """
    machine = this_machine()
    store = min(OBJECT_STORE_BYTES, machine.memory_bytes // 2)
    folder = session_folder(Path(default_session_folder()))
    return {
        "num_cpus": machine.cpus,
        "num_gpus": machine.gpus,
        "_memory": machine.memory_bytes - store,
        "object_store_memory": store,
        "_temp_dir": str(folder),
    }


@contextmanager
def short_tmpdir(folder: Path) -> Iterator[None]:
    """Sets a TMPDIR for the processes that are started in the block, where the path of the given one is too long.

    Args:
        folder: the folder for Ray's sessions, whose path is short.
    """
    before = os.environ.get("TMPDIR")
    if before is None or len(os.fsencode(before)) + len(LISTENER) <= SOCKET_BYTES:
        yield
        return
    os.environ["TMPDIR"] = str(folder.parent)
    try:
        yield
    finally:
        os.environ["TMPDIR"] = before


def session_folder(default: Path, short_folders: Sequence[Path] = SHORT_FOLDERS) -> Path:
    """The folder for Ray's sessions: Ray's own choice, or a short one where that is too long for sockets.

    Args:
        default: Ray's own choice.
        short_folders: where to go instead.

    Raises:
        MachineError: all of them are too long, or cannot be written.
    """
    own = (folder / f"ray-{os.getuid()}" for folder in short_folders if os.access(folder, os.W_OK | os.X_OK))
    for folder in (default, *own):
        if len(os.fsencode(folder)) + len(SESSION) <= SOCKET_BYTES:
            return folder
    tried, most = " or ".join(map(str, short_folders)), SOCKET_BYTES - len(SESSION) - len("/ray")
    raise MachineError(
        f"Ray's sockets do not fit below {default}, whose path is too long, nor can {tried} be written: "
        f"set TMPDIR and RAY_TMPDIR to a folder with a path of at most {most} bytes."
    )
