"""Recipes: the hyperparameters that their signatures offer, calls, and identities."""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, ParamSpec, TypeVar

from study.core.values import coerced
from study.home.text import nearest
from trainers.stage import InputError, Stage

P = ParamSpec("P")
Result = TypeVar("Result", bound=Stage)
Recipe = Callable[..., Stage]
"""A function `recipe(conditions, *, seed, **hyperparameters)` that returns the last stage of a trial."""

REPOSITORY = "search_spaces"
"""Package of this repository's recipes."""
RESERVED = ("conditions", "seed")
SHAPE = "a recipe is a function (conditions, *, seed, …) that returns the last stage of a trial"
NAMELESS = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY)


def named_settings(recipe: Callable[P, Result]) -> Callable[P, Result]:
    """A recipe with `**settings: Unpack[…]` that refuses other keyword arguments, as one without `**settings` does.

    Raises:
        TypeError: when it is called with a keyword argument that neither the signature nor the group of settings has.
    """

    @functools.wraps(recipe)
    def called(*args: P.args, **kwargs: P.kwargs) -> Result:
        unknown = kwargs.keys() - {*RESERVED, *vocabulary(recipe)}
        if unknown:
            raise TypeError(f"{recipe.__name__}() got an unexpected keyword argument {min(unknown)!r}")
        return recipe(*args, **kwargs)

    return called


def vocabulary(recipe: Recipe) -> Mapping[str, Any]:
    """The hyperparameters of a recipe and their annotations, those of `**settings: Unpack[…]` among them.

    Raises:
        InputError: it cannot be called, or an annotation cannot be read.
    """
    hints = _hints(_function(recipe))
    offered: dict[str, Any] = {}
    for name, parameter in _signature(recipe).parameters.items():
        annotation = hints.get(name, Any)
        if parameter.kind is inspect.Parameter.VAR_KEYWORD and typing.get_origin(annotation) is typing.Unpack:
            offered |= _hints(*typing.get_args(annotation))
        elif parameter.kind not in NAMELESS and name not in RESERVED:
            offered[name] = annotation
    return offered


def annotation_of(recipe: Recipe, name: str) -> Any:
    """The annotation of a hyperparameter of a recipe.

    Raises:
        InputError: the recipe has none of that name.
    """
    valid = vocabulary(recipe)
    if name not in valid:
        raise InputError(f"recipe {title_of(recipe)} has no hyperparameter {name!r}{nearest(name, valid)}")
    return valid[name]


def bind(
    recipe: Recipe, conditions: object, seed: int, values: Mapping[str, object]
) -> tuple[dict[str, object], Stage]:
    """A trial of a recipe: its hyperparameters as the annotations read them, and its last stage.

    Args:
        recipe: the recipe that is called.
        conditions: preset, scale and dataset; handed to the recipe as they are.
        seed: of the trial.
        values: hyperparameters by name; text is read.

    Raises:
        InputError: the recipe has no such hyperparameter, a value does not fit, or the recipe refuses it, cannot be
            called with it, or returns something else than a stage.
    """
    parameters = {name: coerced(name, value, annotation_of(recipe, name)) for name, value in values.items()}
    try:
        _signature(recipe).bind(conditions, seed=seed, **parameters)
    except TypeError as error:
        asked = ", ".join(("conditions", "seed", *parameters))
        raise InputError(f"recipe {title_of(recipe)} cannot be called with {asked} ({error}): {SHAPE}.") from None
    stage = recipe(conditions, seed=seed, **parameters)
    if not isinstance(stage, Stage):
        returned = "None" if stage is None else f"{_indefinite(type(stage).__name__)}"
        raise InputError(f"recipe {title_of(recipe)} returns {returned}, which is no stage: {SHAPE}.")
    return parameters, stage


def title_of(recipe: Recipe) -> str:
    """Name of a recipe in sentences."""
    return str(getattr(_function(recipe), "__name__", type(recipe).__name__))


def identity_of(recipe: Recipe) -> str:
    """Identity of a recipe, kept with its results: `freelunch.NAME` for one of this repository, else MODULE.NAME."""
    function = _function(recipe)
    return current_identity(f"{function.__module__}.{function.__qualname__}")


def current_identity(identity: str) -> str:
    """An identity as it is written today.

    Earlier versions wrote the module of this repository's recipes, such as `search_spaces.rivals.swav`: moving a recipe
    to another module must not make it another recipe.
    """
    package, _, path = identity.partition(".")
    return f"freelunch.{path.rpartition('.')[2]}" if package == REPOSITORY else identity


def _function(recipe: Recipe) -> Any:
    """The function that a recipe calls: that of a `functools.partial`, or `__call__` of an object."""
    while isinstance(recipe, partial):
        recipe = recipe.func
    return recipe if inspect.isroutine(recipe) or inspect.isclass(recipe) else type(recipe).__call__


def _signature(recipe: Recipe) -> inspect.Signature:
    if not callable(recipe):
        raise InputError(f"{recipe!r} cannot be called: {SHAPE}.")
    try:
        return inspect.signature(recipe)
    except ValueError:
        raise InputError(f"{recipe!r} does not say what it takes: {SHAPE}.") from None


@cache
def _hints(function: Any) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise InputError(f"the annotations of recipe {function.__name__} cannot be read: {error}.") from error


def _indefinite(word: str) -> str:
    return f"{'an' if word[0].lower() in 'aeiou' else 'a'} {word}"
