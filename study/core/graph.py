"""Graph of stages: their inputs by dotted path, and their keys, which are equal where stages are."""

import hashlib
import inspect
import json
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Literal

from trainers.fields import alternatives, is_added, is_finite, members
from trainers.stage import Config, InputError, Stage

OUR_PACKAGES = ("study", "trainers", "search_spaces")
KEY_DIGITS = 32
_KEY_MEMO, _INPUTS_MEMO = "_freelunch_key", "_freelunch_inputs"
"""Attributes that hold computed values of a stage: a thousand trials share their stages."""
_SOURCE_MEMO = "_freelunch_source"
"""Stays on the class: another node that is sent a class of a user's file has no such file."""


def key(stage: Stage) -> str:
    """The content address of a stage: 32 hexadecimal digits.

    It covers the name, the revision and every field's value (defaults too) of the stage and of the configs in it, and
    the keys of its inputs. Values are coerced to their annotation first, so that 5 and 5.0 are one where a float is
    meant. Fields declared with `compare=False`, such as paths, do not enter, nor do those declared with `added` whose
    value is the default.

    Raises:
        InputError: a value is NaN or infinite, or of a type that has no canonical form.
    """
    memo = vars(stage).get(_KEY_MEMO)
    if memo is None:
        text = json.dumps(describe(stage), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        memo = hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]
        vars(stage)[_KEY_MEMO] = memo
    return str(memo)


def describe(config: Config) -> dict[str, Any]:
    """The canonical form of a stage or config, ready for JSON; a stage among its fields appears by its key.

    The properties of the class have names that no field can have.
    """
    cls: type = type(config)
    described: dict[str, Any] = {"class": cls.__name__, "class revision": config.revision}
    foreign = [base for base in cls.__mro__ if issubclass(base, Config) and not _is_ours(base)]
    if foreign:
        described["class source"] = [source_hash(base) for base in foreign]
    annotations = _annotations(cls)
    for name in _identity_fields(cls):
        value = getattr(config, name)
        if name not in _added_fields(cls) or value != _added_fields(cls)[name]:
            described[name] = _canonical(value, annotations[name], f"{cls.__name__}.{name}")
    return described


def inputs(stage: Stage) -> Mapping[str, Stage]:
    """The stages that a stage reads, by dotted path: `method.teacher`, `videos.3`."""
    memo: dict[str, Stage] | None = vars(stage).get(_INPUTS_MEMO)
    if memo is None:
        memo = {path: value for path, value in _leaves(stage, "") if isinstance(value, Stage)}
        vars(stage)[_INPUTS_MEMO] = memo
    return memo


def walk(*stages: Stage) -> dict[str, Stage]:
    """All distinct stages that lead to these, these included, by key; a stage comes after its inputs."""
    ordered: dict[str, Stage] = {}
    entered: set[str] = set()

    def visit(stage: Stage) -> None:
        stage_key = key(stage)
        if stage_key in entered:
            return
        entered.add(stage_key)
        for needed in inputs(stage).values():
            visit(needed)
        ordered[stage_key] = stage

    for stage in stages:
        visit(stage)
    return ordered


def configs(stage: Stage) -> set[type[Config]]:
    """The classes whose code decides the result of a stage: its own and those of its configs."""
    found: set[type[Config]] = {type(stage)}
    for _, value in _leaves(stage, "", inner=True):
        if isinstance(value, Config) and not isinstance(value, Stage):
            found.add(type(value))
    return found


def source_hash(cls: type) -> str:
    """A short hash of the file that defines a class; empty where Python has no file for it."""
    memo = vars(cls).get(_SOURCE_MEMO)
    if memo is None:
        try:
            path = inspect.getsourcefile(cls)
        except (TypeError, OSError):
            path = None
        memo = _file_hash(path) if path else ""
        setattr(cls, _SOURCE_MEMO, memo)
    return str(memo)


def _leaves(value: object, path: str, *, inner: bool = False) -> Iterator[tuple[str, object]]:
    """Dotted paths and values below `value`; other stages are leaves. With `inner`, the configs on the way too."""
    if isinstance(value, tuple):
        children = [(str(index), child) for index, child in enumerate(value)]
    elif isinstance(value, Config):
        cls: type = type(value)
        children = [(name, getattr(value, name)) for name in _identity_fields(cls)]
    else:
        yield path, value
        return
    for name, child in children:
        child_path = f"{path}.{name}" if path else name
        if isinstance(child, Stage):
            yield child_path, child
            continue
        if inner and isinstance(child, Config):
            yield child_path, child
        yield from _leaves(child, child_path, inner=inner)


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in OUR_PACKAGES


@cache
def _file_hash(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


@cache
def _identity_fields(cls: type) -> tuple[str, ...]:
    # A subclass that was not decorated itself would inherit its parent's fields, and its own would not enter the key.
    if "__dataclass_params__" not in vars(cls) or not vars(cls)["__dataclass_params__"].frozen:
        raise InputError(
            f"{cls.__name__} must be a frozen dataclass: decorate it with @dataclass(frozen=True, kw_only=True)."
        )
    return tuple(field.name for field in fields(cls) if field.compare)


@cache
def _added_fields(cls: type) -> dict[str, object]:
    """The defaults of the fields that a config was given later."""
    return {field.name: field.default for field in fields(cls) if is_added(field)}


@cache
def _annotations(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _canonical(value: object, annotation: Any, place: str) -> Any:
    if isinstance(value, Stage):
        return {"stage": key(value)}
    if isinstance(value, Config):
        return describe(value)
    if isinstance(value, tuple):
        annotations = members(annotation, len(value))
        places = (f"{place}.{index}" for index in range(len(value)))
        return [_canonical(*item) for item in zip(value, annotations, places, strict=True)]
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _canonical_number(value, annotation, place)
    if value is None or isinstance(value, str | bool):
        return value
    raise InputError(f"{place} = {value!r} cannot be part of a key: use numbers, text, tuples, enums or configs.")


def _canonical_number(value: float, annotation: Any, place: str) -> float:
    if not is_finite(value):
        raise InputError(f"{place} is {value}: only finite numbers can be part of a stage.")
    accepted = _accepted(annotation)
    if float in accepted and type(value) not in accepted - {float}:
        return float(value) + 0.0
    if int in accepted and float(value).is_integer():
        return int(value)
    return value + 0  # -0.0 and 0.0 are equal, so they must be one


def _accepted(annotation: Any) -> frozenset[Any]:
    """The types that an annotation accepts."""
    accepted: set[Any] = set()
    for each in alternatives(annotation):
        choices = typing.get_args(each) if typing.get_origin(each) is Literal else ()
        accepted |= {type(choice) for choice in choices} or {each}
    return frozenset(accepted)
