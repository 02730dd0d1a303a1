"""Journals that earlier commands of a home could not send to their end, and runs whose driver was killed."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from study.home.files import parse_object
from study.tracking import records
from study.tracking.journal import JOURNAL, SENT, Journal, read_sent, spool_folder
from study.tracking.mlflow_client import Destination
from study.tracking.sender import Sender
from study.tracking.status import KILLED, TERMINAL
from study.tracking.uri import checked_uri

TAIL_BYTES = 4096
PATIENCE_SECONDS = 20.0
"""Seconds that a command waits for an MLflow that takes nothing of what earlier ones kept."""
_log = logging.getLogger(__name__)


def leftovers(home: Path, uri: str) -> Iterator[Path]:
    """The folders of the journals that a tracking URI has not got to their end, or whose run was never ended."""
    for path in sorted(spool_folder(home).glob(f"*/*/*/{SENT}")):
        sent, journal = read_sent(path.parent).get(uri), path.parent / JOURNAL
        if sent is not None and journal.exists() and (sent.offset != journal.stat().st_size or not _is_ended(journal)):
            yield path.parent


def has_journals(home: Path) -> bool:
    """Whether a home has journals, from which its database can be made."""
    return any(_all_journals(home))


def _all_journals(home: Path) -> Iterator[Path]:
    return (path.parent for path in sorted(spool_folder(home).glob(f"*/*/*/{JOURNAL}")))


def send_leftovers(home: Path, uri: str | None = None, *, everything: bool = False) -> Destination:
    """Sends what earlier commands of a home could not, and ends the runs of drivers that were killed.

    Args:
        home: the home folder.
        uri: the tracking URI; the home's own database where not given.
        everything: also what was meant for other tracking URIs, as a moved home's journals are.

    Raises:
        InputError: the URI names a folder.
        MachineError: MLflow does not answer.
    """
    uri = checked_uri(home, uri)
    destination = Destination(home, uri)
    sender, claims = Sender(destination.send), LeftoverClaims()
    try:
        for folder in _all_journals(home) if everything else leftovers(home, uri):
            sender.submit_once(partial(claims.send, folder, destination.send))
        sender.finish(PATIENCE_SECONDS)
        if not sender.is_idle:
            _log.warning("MLflow is slow; what it misses stays in %s.", spool_folder(home))
    finally:
        sender.stop()
        claims.release()
    return destination


def claim_left_behind(folder: Path) -> Journal | None:
    """A journal that no process holds; its run is ended where its driver was killed."""
    journal = Journal.claim(folder)
    if journal is not None and journal.status not in TERMINAL:
        records.log_end(journal, KILLED, "the process that computed it was killed.")
    return journal


class LeftoverClaims:
    """Hands a journal over to a trial of this process that begins while the journal is sent as a leftover."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: Journal | None = None

    def claim(self, folder: Path) -> Journal | None:
        """The journal in a folder, or None where another process holds it."""
        with self._lock:
            journal = self._held
            if journal is None or journal.folder != folder:
                return Journal.claim(folder)
            self._held = None
            return journal

    def release(self) -> None:
        """Releases a journal whose attempt has not ended."""
        with self._lock:
            if self._held is not None:
                self._held.close()
                self._held = None

    def send(self, folder: Path, send: Callable[[Journal], None]) -> None:
        """Sends a leftover in one attempt, and releases it unless a trial has claimed it meanwhile."""
        with self._lock:
            journal = self._held = claim_left_behind(folder)
        if journal is None:
            return
        try:
            send(journal)
        finally:
            with self._lock:
                if self._held is journal:
                    self._held = None
                    journal.close()


def _is_ended(journal: Path) -> bool:
    with journal.open("rb") as file:
        file.seek(max(0, journal.stat().st_size - TAIL_BYTES))
        last = file.read().strip().rpartition(b"\n")[2]
    with suppress(ValueError):
        return parse_object(last).get("status") in TERMINAL
    return False
