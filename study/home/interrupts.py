"""Interrupts: Ctrl-C, SIGTERM, and `freelunch stop`, which makes the process send itself a SIGINT."""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

AGAIN_SECONDS = 0.05


class RunEnded(KeyboardInterrupt):
    """Ends a run as an interrupt does, for a reason of the run's own; its message is the reason."""


class _Interrupts:
    """State of the interrupts of this process; only its main thread is interrupted.

    Attributes:
        raised: whether one was raised.
        is_waiting: whether one is deferred.
        num_deferring: the depth of nested blocks that defer interrupts.
    """

    def __init__(self) -> None:
        self.raised = False
        self.is_waiting = False
        self.num_deferring = 0

    def interrupt(self, *_: object) -> None:
        if self.num_deferring and not self.is_waiting:  # a second one does not wait
            self.is_waiting = True
        else:
            self.is_waiting, self.raised = False, True
            raise KeyboardInterrupt


_interrupts = _Interrupts()


@contextmanager
def handle_interrupts(numbers: Sequence[int] = (signal.SIGINT, signal.SIGTERM)) -> Iterator[_Interrupts]:
    """Raises KeyboardInterrupt in the main thread on these signals, even where they are ignored at first.

    A process that a shell script starts in the background ignores SIGINT at first. An interrupt that hits a destructor
    or a weak reference's callback, where Python drops exceptions, is raised again later.
    """
    _interrupts.raised = _interrupts.is_waiting = False
    handlers = {number: signal.signal(number, _interrupts.interrupt) for number in numbers}
    hook = sys.unraisablehook

    def interrupt_again(dropped: "sys.UnraisableHookArgs") -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            hook(dropped)

    sys.unraisablehook = interrupt_again
    try:
        yield _interrupts
    finally:
        sys.unraisablehook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def defer_interrupts() -> Iterator[None]:
    """Defers an interrupt to the end of a block, or of a function; blocks of other threads defer none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _interrupts.num_deferring += 1
    try:
        yield
    finally:
        _interrupts.num_deferring -= 1
        if _interrupts.is_waiting and not _interrupts.num_deferring:
            _interrupts.interrupt()
