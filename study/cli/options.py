"""Options that several commands share; a command gets a whole group of them as one argument."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click
from click.core import ParameterSource

from study.cli.values import Count, Line, Location, Number
from study.home.request import LARGEST_SEEDS
from trainers.stage import InputError

if TYPE_CHECKING:
    from study.cli.resources import ComputeTarget
    from study.core.tapes import Tapes
    from study.home.request import Request
    from study.search.request import SearchRequest

MOST_TRIALS, MOST_HOURS, LARGEST_SEED = 1_000_000, 1e6, 2**63 - 1
MOST_WORKERS, MOST_THREADS, MOST_GPUS = 4096, 4096, 64
"""More than any study or machine has: larger numbers are typing errors."""

Command = Callable[..., None]
Decorator = Callable[[Command], Command]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
threads_option = click.option("--threads", type=Count(1, MOST_THREADS), help="CPU threads; all cores where not given.")
mlflow_option = click.option(
    "--mlflow/--no-mlflow", default=True, envvar="FREELUNCH_MLFLOW", help="Keep the trials in MLflow."
)
MACHINE_OPTIONS: tuple[Decorator, ...] = (
    click.option("--profile", type=Location(), help="TOML file: what every type of stage is granted."),
    click.option("--workers", type=Count(1, MOST_WORKERS), help="Processes that train together; one where not given."),
    click.option("--gpus-per-worker", type=Number(0, MOST_GPUS), help="One where there are any; 0 uses none."),
)
TAPE_OPTIONS: tuple[Decorator, ...] = (
    click.option(
        "--tape",
        type=click.Choice(["auto", "off", "features", "embeddings"]),
        default="auto",
        show_default=True,
        help="Record the outputs of frozen networks once, for all stages that read them: auto where that costs less.",
    ),
    click.option(
        "--tape-disk",
        type=Line(),
        metavar="SIZE",
        help="Disk for all tapes; where not given, 150GB, or half of what is free.",
    ),
)
CONDITION_OPTIONS: tuple[Decorator, ...] = (
    click.option(
        "--preset",
        type=Line(),
        default="corrected",
        show_default=True,
        help="The protocol: corrected, paper or official_code.",
    ),
    click.option("--scale", type=Line(), default="full", show_default=True, help="The sizes: full, small, or demo."),
    click.option(
        "--dataset",
        "datasets",
        type=Line(),
        multiple=True,
        help="A registered dataset; where not given, cholec80, or the scale's own. Studies take several, side by side.",
    ),
    click.option(
        "--pretrain-on",
        type=Line(),
        metavar="NAME",
        help="Pre-train on the training videos of this dataset; all that needs labels, and the test, is of --dataset.",
    ),
    click.option(
        "--weights",
        type=Line(),
        multiple=True,
        metavar="NAME",
        help="Public weights to start from; one of each kind, or any number that study teachers compares.",
    ),
    click.option(
        "--stand-in",
        is_flag=True,
        help="Train stand-ins on drawn images where no public weights are named, even where the package has weights.",
    ),
    click.option(
        "--set", "settings", type=Line(), multiple=True, metavar="NAME=VALUE", help="Fix a hyperparameter, any number."
    ),
)


drop_option = click.option(
    "--drop-features",
    is_flag=True,
    help="Remove features once every stage that reads them is finished; they are most of the disk.",
)
budget_option = click.option(
    "--budget", type=Line(), metavar="AMOUNT", help="End in order once this is used: 40gpuh, or 200GB of disk."
)


class ConditionValues(TypedDict):
    """Values of the options that decide under which conditions trials run."""

    preset: str
    scale: str
    datasets: tuple[str, ...]
    pretrain_on: str | None
    weights: tuple[str, ...]
    stand_in: bool
    settings: tuple[str, ...]


class StudyValues(ConditionValues):
    """Values of `study_options`."""

    study: str
    seeds: int
    rows: tuple[str, ...]


class SearchValues(ConditionValues):
    """Values of `search_options`."""

    search: str
    trials: int
    hours: float | None
    at_once: int | None
    seed: int
    storage: str | None


class ResourceValues(TypedDict):
    """Values of `resource_options`."""

    local: bool
    address: str | None
    profile: Path | None
    workers: int | None
    gpus_per_worker: float | None
    threads: int | None
    callbacks: tuple[str, ...]
    yes: bool
    tape: "Tapes"
    tape_disk: str | None


def study_options(command: Command) -> Command:
    """Adds the options that decide the trials of a study; the command gets them as `request`."""
    options: tuple[Decorator, ...] = (
        click.argument("study", type=Line()),
        *CONDITION_OPTIONS,
        click.option(
            "--seeds", type=Count(1, LARGEST_SEEDS), default=1, show_default=True, help="Number of seeds per row."
        ),
        click.option(
            "--row", "rows", type=Line(), multiple=True, metavar="NAME", help="Only this row; repeat for more."
        ),
    )
    return with_options(command, options, "request", StudyValues.__annotations__, _request)


def search_options(command: Command) -> Command:
    """Adds the options that decide the trials of a search; the command gets them as `search_request`."""
    options: tuple[Decorator, ...] = (
        click.argument("search", type=Line()),
        click.option(
            "--trials", type=Count(1, MOST_TRIALS), default=40, show_default=True, help="Trials in all; more extend it."
        ),
        click.option(
            "--hours", type=Number(0, MOST_HOURS, min_open=True), help="Start no trial after this many hours."
        ),
        click.option(
            "--at-once",
            type=Count(1, MOST_WORKERS),
            help="Trials at a time; where not given, as many as there is room for.",
        ),
        click.option(
            "--seed", type=Count(0, LARGEST_SEED), default=0, show_default=True, help="Seed of the choice of points."
        ),
        click.option("--storage", type=Line(), metavar="URL", help="Optuna's storage; in the home folder by default."),
        *CONDITION_OPTIONS,
    )
    return with_options(command, options, "search_request", SearchValues.__annotations__, _search_request)


def resource_options(command: Command) -> Command:
    """Adds the options that decide where stages are computed; the command gets them as `target`."""
    options: tuple[Decorator, ...] = (
        click.option("--local", is_flag=True, help="Compute stage by stage in this process, without Ray."),
        click.option(
            "--address",
            type=Line(),
            envvar="RAY_ADDRESS",
            help="Join this Ray cluster (also RAY_ADDRESS); else start one.",
        ),
        *MACHINE_OPTIONS,
        *TAPE_OPTIONS,
        click.option(
            "--threads",
            type=Count(1, MOST_THREADS),
            help="CPU threads per worker; where not given, by the size of the nodes.",
        ),
        click.option(
            "--callback",
            "callbacks",
            type=Line(),
            multiple=True,
            metavar="MODULE:CLASS",
            help="A callback of Ray Tune.",
        ),
        click.option("--yes", is_flag=True, help="Start scale full without a GPU, too, and ask nothing."),
    )
    return with_options(command, options, "target", ResourceValues.__annotations__, _target)


def with_options(
    command: Command, options: Iterable[Decorator], parameter: str, names: Iterable[str], build: Callable[[Any], object]
) -> Command:
    """A command with more options: the values of `names` reach it as one `parameter`, made of them by `build`."""
    own = tuple(names)

    @functools.wraps(command)
    def with_one_parameter(*arguments: Any, **values: Any) -> None:
        built = build({name: values.pop(name) for name in own})
        command(*arguments, **{parameter: built}, **values)

    decorated: Command = with_one_parameter
    for option in reversed(tuple(options)):
        decorated = option(decorated)
    return decorated


def _request(values: StudyValues) -> "Request":
    from study.home.request import absolute_name

    request = _conditions(absolute_name(values["study"]), values)
    return replace(request, seeds=values["seeds"], rows=values["rows"])


def _search_request(values: SearchValues) -> "SearchRequest":
    from study.home.request import absolute_name
    from study.search.request import SearchRequest

    request = _conditions(absolute_name(values["search"]), values)
    if request.beside:
        named = ", ".join((request.dataset or "", *request.beside))
        raise InputError(f"--dataset names {named}: a search has one objective, on one dataset; give one of them.")
    return SearchRequest(
        request=request,
        num_trials=values["trials"],
        hours=values["hours"],
        at_once=values["at_once"],
        seed=values["seed"],
        storage=values["storage"],
    )


def _conditions(name: str, values: ConditionValues) -> "Request":
    """The request of a study or search of that name under the conditions of the command line."""
    from study.home.request import Request

    dataset, *beside = dict.fromkeys(values["datasets"]) or (None,)
    request = Request(
        study=name,
        preset=values["preset"],
        scale=values["scale"],
        dataset=dataset,
        settings=_settings(values["settings"]),
        weights=values["weights"],
        stand_in=values["stand_in"],
        pretrain_on=values["pretrain_on"],
        beside=tuple(each for each in beside if each),
    )
    return request if request.beside else request.each_dataset()[0]


def _target(values: ResourceValues) -> "ComputeTarget":
    from study.cli.resources import ComputeTarget

    if values["local"] and _is_from_environment("address"):
        values = {**values, "address": None}
    return ComputeTarget(**values)


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
