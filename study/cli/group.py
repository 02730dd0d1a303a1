"""The group of all commands: the option of the home folder, and the ending of errors."""

import errno
import io
import logging
import re
import sys
from pathlib import Path
from typing import Any

import click

from study.cli.context import HomeContext
from study.cli.endings import EXIT_ENVIRONMENT, EXIT_INTERRUPTED, exit_code, print_error
from study.cli.values import Location
from study.home.commands import DEFAULT_HOME, DISTRIBUTION, HOME_VARIABLE, NAME
from trainers.stage import FreelunchError

PIPE_ERRNOS = {errno.EPIPE, errno.ECONNRESET}
FILE_AT_WORK = re.compile(r"(?P<folder>.*/|)\.?(?P<name>[^/]+?)(\.\d+|\.[0-9a-f]{32})?\.part")
"""Name of a file while it is written, and in it the name that it gets at the end (see `replacing`)."""


REMEDIES = {
    errno.EACCES: "let this user read it, or name another",
    errno.ENOENT: "make it, or name another",
    errno.ENOTDIR: "put a folder in its place, or name another",
    errno.EISDIR: "put a file in its place, or name another",
}
"""What to do about a file that cannot be used, by the operating system's number of the error."""


class Notes(logging.Handler):
    """Shows what `study` logs as notes on the standard error output."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"note: {record.getMessage()}", err=True)


NOTES = Notes(logging.WARNING)


class Commands(click.Group):
    """A group whose commands end with one clear sentence, not a traceback, where the user can correct the error."""

    def main(self, *args: Any, **extra: Any) -> Any:
        _print_any_text()
        _check_current_folder()
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FreelunchError as error:
            print_error(error, ctx.obj)
            sys.exit(exit_code(error))
        except KeyboardInterrupt:
            click.echo("\ninterrupted", err=True)
            sys.exit(EXIT_INTERRUPTED)
        except OSError as error:
            if error.errno is None or error.errno in PIPE_ERRNOS:  # click ends quietly where nobody reads any more
                raise
            click.echo(f"error: {_fault(error)}", err=True)
            sys.exit(EXIT_ENVIRONMENT)


def _print_any_text() -> None:
    """Prints what the terminal's encoding lacks as escapes; what goes to a closed stream goes nowhere.

    Neither ends the command, nor does an input that is closed, as under some schedulers: it counts as empty.
    """
    sys.stdin = sys.stdin or io.StringIO()
    sys.stdout, sys.stderr = (stream or io.StringIO() for stream in (sys.stdout, sys.stderr))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _check_current_folder() -> None:
    """Ends the command where the current folder is gone: not even libraries can be loaded from there."""
    try:
        Path.cwd()
    except OSError as error:
        click.echo(f"error: the current folder cannot be used ({error.strerror}): change to another one.", err=True)
        sys.exit(EXIT_ENVIRONMENT)


def _fault(error: OSError) -> str:
    """An operating system's error in a sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk is full ({error.filename or error.strerror}): free some space and type the same command again; "
            "what is finished is kept."
        )
    file = str(error.filename or "")
    at_work = FILE_AT_WORK.fullmatch(file)
    if error.errno == errno.EROFS or at_work:
        named = f"{at_work['folder']}{at_work['name']}" if at_work else file
        return f"{named or 'a file'} cannot be written ({error.strerror}): name another folder, or change its rights."
    remedy = f": {REMEDIES[error.errno]}" if file and error.errno in REMEDIES else ""
    return f"{file or 'a file or a connection'} cannot be used ({error.strerror}){remedy}."


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name=DISTRIBUTION, prog_name=NAME)
@click.option(
    "--home",
    type=Location(),
    envvar=HOME_VARIABLE,
    default=DEFAULT_HOME,
    show_default=True,
    help="Folder of datasets, artifacts and reports (also FREELUNCH_HOME).",
)
@click.pass_context
def main(click_context: click.Context, home: Path) -> None:
    """Studies of distilled self-supervision on surgical video.

    \b
    A first study on synthetic videos, in minutes and without a GPU:
        freelunch run table3 --scale demo
        freelunch ui
    The same on Cholec80:
        freelunch ingest cholec80 /data/cholec80
        freelunch weights add moco_v2_800ep_pretrain.pth.tar --name moco-v2
        freelunch plan table3 --dataset cholec80 --weights moco-v2
        freelunch run table3 --dataset cholec80 --weights moco-v2 --check
        freelunch run table3 --dataset cholec80 --weights moco-v2
    """
    logging.getLogger("study").addHandler(NOTES)
    click_context.obj = HomeContext(home=home)
