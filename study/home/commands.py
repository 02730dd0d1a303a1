"""Commands as they are typed for a home folder: whatever is printed can be copied.

Sentences name commands in backticks (or brackets) and without a home, as `freelunch logs KEY`: so they are kept, and so
they stand in reports and in MLflow, where nobody's folders belong. Whoever prints one puts the home in.
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
    """What a command for a home folder begins with; the folder is left out where it is found without."""
    found = Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)
    return NAME if home.absolute() == found.absolute() else f"{NAME} --home {shlex.quote(str(home))}"


def with_home(command: str, home: Path) -> str:
    """A command that was kept without a home, as it is typed for one."""
    return program(home) + command.removeprefix(NAME)


def expand_commands(sentence: str, home: Path) -> str:
    """A sentence, the commands in its backticks or brackets as they are typed for a home folder."""
    return COMMAND.sub(lambda _: program(home), sentence)
