"""Values of hyperparameters, read as their annotations say."""

import math
import types
import typing
from typing import Any, Literal, Union

from trainers.stage import InputError


def coerced(name: str, value: object, annotation: Any) -> object:
    """A value of the type that its annotation names; text from a command line is read.

    Raises:
        InputError: the value does not fit; the sentence names the values that do.
    """
    for alternative in _alternatives(annotation):
        try:
            return _coerced_to(value, alternative)
        except ValueError:
            continue
    wanted = " or ".join(_spelled(alternative) for alternative in _alternatives(annotation))
    raise InputError(f"{name}={value} does not fit: {name} takes {wanted}.")


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _coerced_to(value: object, annotation: Any) -> object:
    if annotation is Any:
        return value
    if typing.get_origin(annotation) is Literal:
        for choice in typing.get_args(annotation):
            if value == choice or value == str(choice):
                return choice
        raise ValueError
    if annotation is bool:
        return _read_bool(value)
    if annotation is type(None) and str(value).lower() == "none":
        return None
    if annotation is float and not isinstance(value, bool) and isinstance(value, int | float | str):
        return _finite(float(value))
    if annotation is int and isinstance(value, str):
        return int(value)
    kind = typing.get_origin(annotation) or annotation
    if not isinstance(kind, type) or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return value
    raise ValueError


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError
    return value


def _read_bool(value: object) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    word = str(value).lower()
    if word not in words:
        raise ValueError
    return words[word]


def _spelled(annotation: Any) -> str:
    if typing.get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(annotation)))
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "none"}
    return names.get(annotation, str(annotation))
