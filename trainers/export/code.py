"""Python code that makes a config again, for the lines that load an exported file."""

from collections.abc import Iterator
from dataclasses import MISSING, fields

from trainers.stage import Config


def expression(config: Config) -> str:
    """An expression whose value is the config; fields at their default are left out."""
    arguments = [f"{name}={_value(value)}" for name, value in _given(config)]
    return f"{type(config).__name__}({', '.join(arguments)})"


def imports(*configs: Config) -> list[str]:
    """The import statements that the expressions of configs need."""
    classes = sorted({(cls.__module__, cls.__name__) for config in configs for cls in _classes(config)})
    return [f"from {module} import {name}" for module, name in classes]


def _given(config: Config) -> Iterator[tuple[str, object]]:
    for field in fields(config):  # type: ignore[arg-type]  # every config is a dataclass
        value = getattr(config, field.name)
        if field.default is MISSING or value != field.default:
            yield field.name, value


def _value(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return expression(value) if isinstance(value, Config) else repr(value)


def _classes(config: Config) -> Iterator[type]:
    yield type(config)
    for _, value in _given(config):
        if isinstance(value, Config):
            yield from _classes(value)
