"""Printed commands, complete for their home folder: every one can be copied to the command line.

Sentences name commands in backticks (or brackets) and without a home, as `freelunch logs KEY`. In this form they are
saved and stand in reports and in MLflow, which name no folders of a machine. The home is added when one is printed.
"""

import os
import re
import shlex
from pathlib import Path

NAME = "freelunch"
DISTRIBUTION = "freelunch-surgical"
"""Name of the installed package; `freelunch` alone is another product on the package index."""
HOME_VARIABLE, DEFAULT_HOME = "FREELUNCH_HOME", ".freelunch"
COMMAND = re.compile(rf"(?<=[`(]){NAME}(?= )")


def program(home: Path) -> str:
    """First words of a command for a home folder; `--home` is left out where the command finds that home without it."""
    found = Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)
    return NAME if home.absolute() == found.absolute() else f"{NAME} --home {shlex.quote(str(home))}"


def with_home(command: str, home: Path) -> str:
    """A saved command, with the home folder added."""
    return program(home) + command.removeprefix(NAME)


def expand_commands(sentence: str, home: Path) -> str:
    """A sentence, with the home folder added to the commands in its backticks or brackets."""
    return COMMAND.sub(lambda _: program(home), sentence)
