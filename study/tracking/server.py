"""Server of MLflow's web interface for a home; it ends with the command that started it."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from study.tracking.leftovers import has_journals, send_leftovers
from study.tracking.uri import DATABASE
from trainers.stage import InputError, MachineError

START_SECONDS = 120.0
STOP_SECONDS = 10.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(home: Path, *, show: Callable[[str], None], host: str = "127.0.0.1", port: int = 5000) -> None:
    """Serves a home's runs until it is interrupted; where MLFLOW_TRACKING_URI names a server, shows that one's pages.

    Args:
        home: the home folder.
        show: takes the lines for the user: the address of every study's page.
        host: the address to listen at.
        port: the port to listen at.

    Raises:
        InputError: nothing has been kept in this home yet.
        MachineError: the port is taken, or MLflow does not start.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if uri and uri.startswith("http"):
        show(_addresses(uri, send_leftovers(home, uri).pages()))
        return
    with running(home, host=host, port=port, uri=uri) as (url, pages):
        show(_addresses(url, pages))
        show("Ctrl-C ends it.")
        with suppress(KeyboardInterrupt):
            signal.pause()


@contextmanager
def running(
    home: Path, *, host: str = "127.0.0.1", port: int = 5000, uri: str | None = None
) -> Iterator[tuple[str, dict[str, str]]]:
    """A server on a home's runs, while the context lasts: its URL, and where on it the studies are, by name.

    Raises:
        InputError: nothing has been kept in this home yet.
        MachineError: the port is taken, or MLflow does not start.
    """
    is_new = uri is None and not (home / DATABASE).exists()
    if is_new and not has_journals(home):
        raise InputError(
            f"{home} has neither {DATABASE} nor journals of trials: `freelunch run table3 --scale demo` makes both."
        )
    _check_port(host, port)
    destination = send_leftovers(home, uri, everything=is_new)
    log = home.absolute() / "mlflow" / "server.log"
    process = start_server(destination.uri, home.absolute() / "mlflow" / "artifacts", host, port, log)
    url = f"http://{host}:{port}"
    try:
        wait_until_healthy(process, url, log)
        yield url, destination.pages()
    finally:
        stop_server(process)


def start_server(uri: str, artifacts: Path, host: str, port: int, log: Path) -> "subprocess.Popen[bytes]":
    """Starts a server in a process group of its own; what it prints goes to the log."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri, "--artifacts-destination", str(artifacts)]
    command += [] if host in LOOPBACK else ["--allowed-hosts", "*"]  # its user asked for others to see it
    # Without the job runner it is two processes instead of ten.
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with log.open("ab") as file:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment, start_new_session=True
        )


def wait_until_healthy(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    """Waits for a server's first answer.

    Raises:
        MachineError: there is none.
    """
    deadline = time.monotonic() + START_SECONDS
    while not _is_healthy(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise MachineError(f"MLflow's server did not start: {log} says why.")
        time.sleep(0.2)


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, http.client.HTTPException):  # another server may have the port
        return False


def stop_server(process: "subprocess.Popen[bytes]") -> None:
    """Ends the server and its workers, which are a process group of their own."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no host has this name"
            raise MachineError(
                f"{host}:{port} cannot be listened at ({reason}): give another --port, or --host."
            ) from None


def _addresses(url: str, pages: dict[str, str]) -> str:
    return "\n".join(f"{name}: {url.rstrip('/')}/{page}" for name, page in pages.items()) or url
