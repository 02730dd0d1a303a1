import os
import signal
import threading
import time
import weakref
from collections.abc import Callable

import pytest

from study.cli.endings import EXIT_INTERRUPTED, interruptible
from study.home.interrupts import defer_interrupts, handle_interrupts

PATIENCE_SECONDS = 30


class Something:
    """What a weak reference can be made to."""


@interruptible("freelunch run table3")
def works_after(interrupt: Callable[[], None]) -> None:
    interrupt()
    time.sleep(PATIENCE_SECONDS)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_says_how_to_go_on(number: signal.Signals, capsys: pytest.CaptureFixture[str]):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended:
        works_after(lambda: os.kill(os.getpid(), number))
    assert ended.value.code == EXIT_INTERRUPTED
    assert capsys.readouterr().err.endswith("To go on, type: freelunch run table3\n")
    assert signal.getsignal(number) is before


def test_an_interrupt_that_python_drops_comes_again(capsys: pytest.CaptureFixture[str]):
    things = [Something()]
    watching = weakref.ref(things[0], lambda _: signal.raise_signal(signal.SIGINT))
    dropped = []

    def interrupt() -> None:
        things.clear()
        dropped.append(watching)

    with pytest.raises(SystemExit) as ended:
        works_after(interrupt)
    assert dropped, "the callback's interrupt was raised where it happened"
    assert ended.value.code == EXIT_INTERRUPTED
    assert "Traceback" not in capsys.readouterr().err


def test_what_stumbles_over_an_interrupt_is_interrupted_all_the_same():
    def stumble() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise AssertionError("in the middle of a transaction") from None

    with pytest.raises(SystemExit) as ended:
        works_after(stumble)
    assert ended.value.code == EXIT_INTERRUPTED


def test_errors_that_no_interrupt_brought_about_are_raised():
    def fail() -> None:
        raise ValueError("of its own")

    with pytest.raises(ValueError, match="of its own"):
        works_after(fail)


def test_an_interrupt_waits_for_what_must_not_be_cut_in_two():
    done = []

    @defer_interrupts()
    def inner() -> None:
        signal.raise_signal(signal.SIGINT)
        done.append("inner")

    @defer_interrupts()
    def outer() -> None:
        inner()
        done.append("outer")

    with handle_interrupts(), pytest.raises(KeyboardInterrupt):
        outer()
    assert done == ["inner", "outer"]


def test_a_second_interrupt_does_not_wait():
    done = []

    @defer_interrupts()
    def hang() -> None:
        signal.raise_signal(signal.SIGINT)
        done.append("the first waits")
        signal.raise_signal(signal.SIGINT)
        done.append("the second does not")

    with handle_interrupts(), pytest.raises(KeyboardInterrupt):
        hang()
    assert done == ["the first waits"]


def test_an_interrupt_is_not_lost_where_what_it_waited_for_fails():
    @defer_interrupts()
    def fail() -> None:
        signal.raise_signal(signal.SIGINT)
        raise ValueError("of its own")

    with handle_interrupts(), pytest.raises(KeyboardInterrupt):
        fail()


def test_the_main_thread_is_interrupted_whatever_another_thread_is_at():
    begun, gone = threading.Event(), threading.Event()

    @defer_interrupts()
    def work() -> None:
        begun.set()
        gone.wait(PATIENCE_SECONDS)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(PATIENCE_SECONDS)
    with pytest.raises(SystemExit) as ended:
        works_after(lambda: signal.raise_signal(signal.SIGINT))
    gone.set()
    thread.join()
    assert ended.value.code == EXIT_INTERRUPTED
