"""Thread that sends journals to MLflow; the study never waits for it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from study.tracking.journal import Journal, UnreachableError

SEND_EVERY_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 15.0
STOP_SECONDS, STOP_SECONDS_IN_VAIN = 5.0, 1.0
"""Seconds that the end of a thread is waited for; the second where it was waited for MLflow in vain before."""
_log = logging.getLogger(__name__)


class Sender:
    """Thread that sends journals, again and again until MLflow has taken them.

    It logs one sentence when nothing can be sent any more, and one when it can again.

    Args:
        send: sends what a journal has that was not sent; raises UnreachableError where it should try again later.

    Attributes:
        fault: why the last attempt failed; empty where it did not.
    """

    def __init__(self, send: Callable[[Journal], None]) -> None:
        self._send = send
        self._pending: dict[Journal, None] = {}
        self._once: deque[Callable[[], None]] = deque()
        self._faults_once: set[str] = set()
        self._changed = threading.Condition()
        self._hurried = self._stopped = self._is_in_vain = False
        self._failures = 0
        self._last_success = time.monotonic()
        self.fault = ""
        self._thread = threading.Thread(target=self._run, name="freelunch-mlflow", daemon=True)
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to send."""
        with self._changed:
            return not self._pending and not self._once

    def submit(self, journal: Journal) -> None:
        """Sends a journal soon, with what is added to it until then."""
        with self._changed:
            self._pending[journal] = None
            self._changed.notify_all()

    def submit_once(self, send: Callable[[], None]) -> None:
        """Sends something else in a single attempt, after the journals."""
        with self._changed:
            self._once.append(send)
            self._changed.notify_all()

    def finish(self, patience_seconds: float) -> bool:
        """Waits until everything is sent, or nothing could be for that long; returns whether everything is."""
        with self._changed:
            self._hurried, self._failures, self._last_success = True, 0, time.monotonic()
            self._changed.notify_all()
            while (self._pending or self._once) and time.monotonic() < self._last_success + patience_seconds:
                self._changed.wait(0.2)
            self._is_in_vain = bool(self._pending or self._once)
            return not self._pending

    def stop(self) -> None:
        """Ends the thread after what it is sending just now, or leaves it to itself where MLflow never answers that."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(STOP_SECONDS_IN_VAIN if self._is_in_vain else STOP_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._once or self._stopped)
                # Lets entries gather, or a server that is away come back.
                self._changed.wait_for(lambda: self._hurried or self._stopped, timeout=self._pause_seconds())
                if self._hurried and self._failures:
                    self._changed.wait_for(lambda: self._stopped, timeout=SEND_EVERY_SECONDS)
                if self._stopped:
                    return
                journals = list(self._pending)
            for journal in journals:
                if self._stopped or not self._attempt(journal):
                    break
            else:
                while self._once and not self._stopped and self._attempt_once():
                    pass

    def _attempt(self, journal: Journal) -> bool:
        end = journal.end()
        try:
            self._send(journal)
        except UnreachableError as error:
            self._failed(journal, str(error))
            return False
        self._succeeded(journal, end)
        return True

    def _attempt_once(self) -> bool:
        fault = ""
        try:
            self._once[0]()
        except (OSError, UnreachableError) as error:  # its files too: the thread goes on, whatever became of them
            fault = str(error)
        if fault and fault not in self._faults_once:
            self._faults_once.add(fault)
            _log.warning("%s; what an earlier command kept for MLflow stays for a later one.", fault)
        with self._changed:
            self._once.popleft()
            if not fault:
                self._last_success = time.monotonic()
            self._changed.notify_all()
        return not fault

    def _failed(self, journal: Journal, fault: str) -> None:
        if not self.fault and not self._stopped:
            _log.warning("%s; the study goes on, and what MLflow misses is kept and sent later.", fault)
        with self._changed:
            self.fault = fault
            self._failures += 1
            self._pending[journal] = self._pending.pop(journal, None)  # the others first next time

    def _succeeded(self, journal: Journal, end: int) -> None:
        if self.fault:
            _log.warning("MLflow answers again and gets what it has missed.")
        with self._changed:
            self.fault = ""
            self._failures, self._last_success = 0, time.monotonic()
            if journal.end() == end:
                self._pending.pop(journal, None)
            self._changed.notify_all()

    def _pause_seconds(self) -> float:
        return min(SEND_EVERY_SECONDS * float(2**self._failures), LONGEST_PAUSE_SECONDS)
