"""Values of hyperparameters, read as their annotations say."""

import math
import reprlib
import typing
from typing import Annotated, Any, Literal

from trainers.fields import alternatives, fault_of_value, form_of, has_form, in_words, range_of
from trainers.stage import InputError

LONGEST_SHOWN = 100
"""Characters of a value that an error shows."""


def coerced(name: str, value: object, annotation: Any) -> object:
    """A value of the type that its annotation names; text from a command line is read.

    Raises:
        InputError: the value does not fit; the sentence names the values that do.
    """
    for alternative in alternatives(annotation):
        try:
            return _coerced_to(value, alternative)
        except ValueError:
            continue
    wanted = " or ".join(_spelled(alternative) for alternative in alternatives(annotation))
    shown = value if len(str(value)) <= LONGEST_SHOWN else reprlib.repr(str(value))
    raise InputError(f"{name}={shown} does not fit: {name} takes {wanted}.")


def _coerced_to(value: object, annotation: Any) -> object:
    if annotation is Any:
        return value
    if typing.get_origin(annotation) is Annotated:
        read = _coerced_to(value, typing.get_args(annotation)[0])
        if fault_of_value(read, annotation) or not has_form(read, form_of(annotation)):
            raise ValueError
        return read
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
        return _finite(value)
    if annotation is int and isinstance(value, str):
        return int(value)
    kind = typing.get_origin(annotation) or annotation
    if not isinstance(kind, type) or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return value
    raise ValueError


def _finite(value: float | str) -> float:
    try:
        number = float(value)
    except OverflowError:  # a whole number that no float can be
        raise ValueError from None
    if not math.isfinite(number):
        raise ValueError
    return number


def _read_bool(value: object) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    word = str(value).lower()
    if word not in words:
        raise ValueError
    return words[word]


def _spelled(annotation: Any) -> str:
    if typing.get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(annotation)))
    form, interval = form_of(annotation), range_of(annotation)
    if form is not None:
        return form.words
    if interval is not None:
        return f"{_spelled(typing.get_args(annotation)[0])} ({in_words(interval)})"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "none"}
    return names.get(annotation, str(annotation))
