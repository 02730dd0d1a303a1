"""Endings of commands: exit codes, errors in one sentence, the next command to type, and interrupts."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from study.cli.context import HomeContext
from study.home.interrupts import RunEnded, handle_interrupts
from trainers.stage import FreelunchError, MachineError

EXIT_TRIAL_FAILED, EXIT_USAGE, EXIT_ENVIRONMENT, EXIT_INTERRUPTED = 1, 2, 3, 130
NOTHING_LOST = "nothing is lost"


def print_next(what: str) -> None:
    """Prints the next step: a command, or a sentence with one."""
    click.echo(f"next: {what}")


def print_error(error: FreelunchError, context: HomeContext | None = None) -> None:
    """Prints an error that the user can correct; `context` is missing where the command line itself was wrong."""
    click.echo(f"error: {context.copyable(error) if context else error}", err=True)


def exit_code(error: FreelunchError) -> int:
    """The exit code of an error: the fault of the machine, or of the user."""
    return EXIT_ENVIRONMENT if isinstance(error, MachineError) else EXIT_USAGE


@contextmanager
def interruptible(command: str, kept: str = NOTHING_LOST) -> Iterator[None]:
    """Ends the block on Ctrl-C and SIGTERM with a sentence that says how to continue.

    Finished stages are kept, and the running stage continues from its checkpoint later.

    Args:
        command: the command that continues.
        kept: what is true of what was computed until then.
    """
    with handle_interrupts() as interrupts:
        try:
            yield
        except BaseException as error:
            # Some libraries, SQLAlchemy among them, answer an interrupt with an exception of their own.
            if not (isinstance(error, KeyboardInterrupt) or interrupts.raised):
                raise
            reason = f"stopped: {error}" if isinstance(error, RunEnded) else "interrupted"
            click.echo(f"\n{reason}; {kept}. To go on, type: {command}", err=True)
            sys.exit(EXIT_INTERRUPTED)
