"""What commands share: the options that ask for a study and say where it is computed, and how a command ends."""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from study.home.commands import expand_commands, program
from study.home.interrupts import handle_interrupts
from trainers.stage import InputError, MachineError

if TYPE_CHECKING:
    from study.core.store import Store
    from study.home.request import Request

EXIT_TRIAL_FAILED, EXIT_USAGE, EXIT_ENVIRONMENT, EXIT_INTERRUPTED = 1, 2, 3, 130


@dataclass(frozen=True, kw_only=True)
class HomeContext:
    """Where a command works, and what its user types to get there."""

    home: Path

    @property
    def program(self) -> str:
        return program(self.home)

    def copyable(self, sentence: object) -> str:
        """A sentence, or an error's, whose commands can be copied."""
        return expand_commands(str(sentence), self.home)


def study_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that decide a study's trials; the command gets them as one request."""
    options = [
        click.argument("study"),
        click.option(
            "--preset", default="corrected", show_default=True, help="The protocol: corrected, paper or official_code."
        ),
        click.option("--scale", default="full", show_default=True, help="The sizes: full, or demo."),
        click.option("--dataset", help="A registered dataset; where not given, cholec80, or the demo's own."),
        click.option(
            "--weights", multiple=True, metavar="NAME", help="Public weights to start from; one of each kind."
        ),
        click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Number of seeds per row."),
        click.option(
            "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Fix a hyperparameter, any number."
        ),
        click.option("--row", "rows", multiple=True, metavar="NAME", help="Only this row; repeat for more."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def resource_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that decide where stages are computed; the command gets them as one target."""
    options = [
        click.option("--local", is_flag=True, help="Compute stage by stage in this process, without Ray."),
        click.option(
            "--address", envvar="RAY_ADDRESS", help="Join this Ray cluster (also RAY_ADDRESS); else start one."
        ),
        click.option(
            "--profile", type=click.Path(path_type=Path), help="TOML file: what every type of stage is granted."
        ),
        click.option("--workers", type=click.IntRange(1), help="Processes that train together; one where not given."),
        click.option(
            "--gpus-per-worker", type=click.FloatRange(0), help="One where there are any; 0 leaves them alone."
        ),
        click.option("--threads", type=click.IntRange(1), help="CPU threads per worker; by the size of the nodes."),
    ]

    @functools.wraps(command)
    def with_target(
        *arguments: Any,
        local: bool,
        address: str | None,
        profile: Path | None,
        workers: int | None,
        gpus_per_worker: float | None,
        threads: int | None,
        **options: Any,
    ) -> None:
        from study.cli.resources import ComputeTarget

        target = ComputeTarget(
            local=local,
            address=None if local and _is_from_environment("address") else address,
            profile=profile,
            workers=workers,
            gpus_per_worker=gpus_per_worker,
            threads=threads,
        )
        command(*arguments, target=target, **options)

    wrapped: Callable[..., None] = with_target
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
threads_option = click.option("--threads", type=click.IntRange(1), help="CPU threads; all cores where not given.")


def existing_store(context: HomeContext) -> "Store":
    """The store of a home folder that is there already.

    Raises:
        InputError: there is no such folder.
    """
    from study.core.store import Store

    if not context.home.is_dir():
        raise InputError(f"there is no home folder {context.home}: name one with --home or FREELUNCH_HOME.")
    return Store(context.home)


def request_of(
    study: str,
    preset: str,
    scale: str,
    dataset: str | None,
    seeds: int,
    settings: tuple[str, ...],
    rows: tuple[str, ...],
    weights: tuple[str, ...],
) -> "Request":
    """The options of `study_options` as a request."""
    from study.home.request import Request, absolute_name

    return Request(
        study=absolute_name(study),
        preset=preset,
        scale=scale,
        dataset=dataset,
        seeds=seeds,
        settings=_settings(settings),
        rows=rows,
        weights=weights,
    )


def print_next(what: str) -> None:
    """Prints what to type next."""
    click.echo(f"next: {what}")


def print_error(error: InputError, context: HomeContext | None = None) -> None:
    """Prints what a user can mend; `context` is missing where the command line itself was wrong."""
    click.echo(f"error: {context.copyable(error) if context else error}", err=True)


def exit_code(error: InputError) -> int:
    """The machine's fault, or the user's."""
    return EXIT_ENVIRONMENT if isinstance(error, MachineError) else EXIT_USAGE


@contextmanager
def interruptible(command: str) -> Iterator[None]:
    """Ends on Ctrl-C and on SIGTERM with a sentence; what was computed stays, and the stage at work goes on later."""
    with handle_interrupts() as interrupts:
        try:
            yield
        except BaseException as error:
            # Some libraries, SQLAlchemy among them, stumble over an interrupt and raise something else.
            if not (isinstance(error, KeyboardInterrupt) or interrupts.raised):
                raise
            click.echo(f"\ninterrupted; nothing is lost. To go on, type: {command}", err=True)
            sys.exit(EXIT_INTERRUPTED)


def _is_from_environment(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is ParameterSource.ENVIRONMENT


def _settings(texts: tuple[str, ...]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise InputError(f"--set {text} is not NAME=VALUE, such as --set temperature=0.1.")
        if settings.setdefault(name, value) != value:
            raise InputError(f"--set gives {name} twice, as {settings[name]} and as {value}: give it once.")
    return settings
