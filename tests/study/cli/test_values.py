"""Values that mean nothing, given to every option and argument of every command: one sentence, before anything runs."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from study.cli import main
from tests.study.tiny_cli import called
from tests.study.tiny_home import refused

NO_LINES = ("", "  ", "\t", "two\nlines", "a\x1b[31mb", "a\u2028b", "a\x00b", "not UTF-8: \udcff", "x" * 5000)
NO_NUMBERS = (
    "",
    "  ",
    "one",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-1e400",
    "9" * 400,
    "9" * 5000,
    str(10**30),
    str(-(10**30)),
)
FINE = "x"


def leaves(command: click.Command, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command and those below it, each with the words that call it."""
    if names:
        yield names, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, *names, name)


def takes_number(parameter: click.Parameter) -> bool:
    return isinstance(parameter.type, click.types.IntParamType | click.types.FloatParamType)


def cases() -> Iterator[tuple[tuple[str, ...], click.Command, click.Parameter, str]]:
    for words, command in leaves(main):
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.is_flag:
                continue
            for value in NO_NUMBERS if takes_number(parameter) else NO_LINES:
                yield words, command, parameter, value


def with_value(command: click.Command, parameter: click.Parameter, value: str) -> list[str]:
    """The arguments of a command with a value for one parameter, and fine ones for the others that it needs."""
    options: list[str] = []
    arguments: list[str] = []
    for each in command.params:
        given = value if each is parameter else _fine(each)
        if isinstance(each, click.Argument):
            arguments += [given] if each.required or each is parameter else []
        elif each is parameter or each.required:
            options += [f"{each.opts[-1]}={given}"]
    return [*options, "--", *arguments]


def is_refused(name: str, command: click.Command, arguments: list[str]) -> bool:
    try:
        command.make_context(name, list(arguments), parent=click.Context(main))
    except click.BadParameter:
        return True
    return False


def _fine(parameter: click.Parameter) -> str:
    if isinstance(parameter.type, click.Choice):
        return parameter.type.choices[0]
    return "1" if takes_number(parameter) else FINE


@pytest.mark.parametrize(("words", "command"), list(leaves(main)))
def test_fine_values_are_taken(words: tuple[str, ...], command: click.Command):
    fine = next((each for each in command.params if each.required), None)
    arguments = with_value(command, fine, _fine(fine)) if fine else []
    command.make_context(words[-1], arguments, parent=click.Context(main))


def test_a_value_that_means_nothing_is_refused_by_every_option_before_anything_runs():
    tried = 0
    for words, command, parameter, value in cases():
        arguments = with_value(command, parameter, value)
        assert is_refused(words[-1], command, arguments), f"{' '.join(words)} takes {parameter.name}={value[:50]!r}"
        tried += 1
    assert tried > 300


@pytest.mark.parametrize("value", ["nan", "", "9" * 5000, "a\x1b[31mb"])
@pytest.mark.parametrize(("words", "option"), [(("search", "distilled"), "--hours"), (("run", "table3"), "--threads")])
def test_such_a_value_is_one_sentence_and_exit_code_2(tmp_path: Path, words: tuple[str, ...], option: str, value: str):
    result = called(tmp_path / "home", *words, option, value)
    refused(result, 2, option)
    assert len(result.stderr) < 500
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("value", NO_LINES)
def test_a_home_that_no_path_names_is_refused(value: str):
    refused(called(value, "status"), 2, "--home")  # type: ignore[arg-type]


@pytest.mark.parametrize("folder", ["x" * 300, "é" * 130, f"a/{'x' * 256}/b"])
def test_a_name_longer_than_file_systems_take_is_refused(tmp_path: Path, folder: str):
    refused(called(tmp_path / "home", "synthesize", folder), 2, "file systems take 255")
