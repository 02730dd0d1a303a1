"""Interrupts that wait for the end of a step, when what a training knows is whole."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class BetweenSteps:
    """Block in which a first SIGINT waits until `deliver` is called, or until the block ends; a second one does not.

    Only the main thread is interrupted; in other threads the block changes nothing.

    Attributes:
        is_waiting: whether an interrupt waits.
    """

    def __init__(self) -> None:
        self.is_waiting = False
        self._handler: signal.Handlers | int | object = None

    def deliver(self) -> None:
        """Lets an interrupt that waits happen now."""
        if self.is_waiting:
            self.is_waiting = False
            self._interrupt(signal.SIGINT, None)

    def __enter__(self) -> Self:
        self._handler = None
        if threading.current_thread() is threading.main_thread() and callable(signal.getsignal(signal.SIGINT)):
            self._handler = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, cls: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)  # type: ignore[arg-type]
        if cls is None:
            self.deliver()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.is_waiting:
            self._interrupt(number, frame)
        self.is_waiting = True

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        assert callable(self._handler)
        self._handler(number, frame)
