"""The commands and options that sentences and pages name exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from study.cli import main

ROOT = Path(__file__).parents[3]
SOURCES = sorted(path for package in ("study", "trainers", "search_spaces") for path in (ROOT / package).rglob("*.py"))
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
OTHER_PROGRAMS = re.compile(r"`(?!freelunch |--)[^`]*`|^ *(?:ray|mlflow) .*", re.MULTILINE)
COMMAND = re.compile(r"(?:^ *|[`(])freelunch (?:--home \S+ )?([a-z]+)\b([^`)|#\n]*)", re.MULTILINE)


def commands_below(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from commands_below(command)


def options_of(*commands: click.Command) -> set[str]:
    declared = {name for command in commands for each in command.params for name in (*each.opts, *each.secondary_opts)}
    return declared | {"--help"}


EVERYWHERE = options_of(main)
OURS = options_of(main, *commands_below(main))


def sentences(path: Path) -> list[str]:
    """The sentences of a module, of which only the parts that are always the same count; a page is one."""
    if path.suffix == ".md":
        return [path.read_text()]
    nodes = ast.walk(ast.parse(path.read_text()))
    values = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [value for value in values if " " in value]


def unknown_options(text: str) -> set[str]:
    """The options that a text names in no other program's command, and that none of our commands has."""
    return set(OPTION.findall(OTHER_PROGRAMS.sub("", text))) - OURS


def unknown_commands(text: str) -> set[str]:
    """The commands that a text names, and that do not exist or lack an option."""
    unknown = set()
    for verb, rest in COMMAND.findall(text):
        command = main.commands.get(verb)
        below = list(commands_below(command)) if isinstance(command, click.Group) else []
        if command is None or set(OPTION.findall(rest)) - options_of(command, *below) - EVERYWHERE:
            unknown.add(f"freelunch {verb}{rest}")
    return unknown


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_a_page_names_exists(path: Path):
    assert unknown_commands(path.read_text()) == set()


def test_what_sentences_name_exists():
    named = [(path.relative_to(ROOT), sentence) for path in SOURCES for sentence in sentences(path)]
    unknown = [(str(path), each) for path, text in named for each in unknown_options(text) | unknown_commands(text)]
    assert unknown == []
    assert len([text for _, text in named if OPTION.search(text)]) > 50


@pytest.mark.parametrize(
    ("text", "options", "commands"),
    [
        ("check the driver, or run with --gpus 0.", {"--gpus"}, set()),
        ("leave --local out; `ray start --head` or `--gpus-per-worker 0`", set(), set()),
        ("`freelunch run table3 --trials 3` and `freelunch search distilled --trials 3`", set(), {"run"}),
        ("type (freelunch --home /x plans table3)", set(), {"plans"}),
        ("freelunch weights add FILE --name NAME", set(), set()),
    ],
)
def test_what_does_not_exist_is_found(text: str, options: set[str], commands: set[str]):
    assert unknown_options(text) == options
    assert {command.split()[1] for command in unknown_commands(text)} == commands
