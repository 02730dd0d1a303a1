import signal

import pytest

from trainers.runtime.between_steps import BetweenSteps


def interrupt():
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def _interrupts_are_raised():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_waits_until_it_is_delivered():
    with BetweenSteps() as steps:
        steps.deliver()
        interrupt()
        assert steps.is_waiting
        with pytest.raises(KeyboardInterrupt):
            steps.deliver()
        assert not steps.is_waiting
        steps.deliver()


def interrupted(times=1, error=None):
    """A block with so many interrupts, which an exception ends."""
    with BetweenSteps():
        for _ in range(times):
            interrupt()
        if error:
            raise error
        if times > 1:
            raise AssertionError("the second interrupt waits")


def test_a_second_interrupt_does_not_wait():
    with pytest.raises(KeyboardInterrupt):
        interrupted(times=2)


def test_an_interrupt_that_waits_happens_at_the_end_of_the_block_and_the_next_one_at_once():
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_an_exception_comes_before_an_interrupt_that_waits():
    with pytest.raises(ValueError, match="a step failed"):
        interrupted(error=ValueError("a step failed"))


def test_where_interrupts_are_ignored_they_stay_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with BetweenSteps() as steps:
        interrupt()
        assert not steps.is_waiting
