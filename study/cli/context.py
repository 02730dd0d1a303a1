"""The home folder that a command works on, and commands as they are typed for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from study.home.commands import expand_commands, program
from trainers.stage import InputError

if TYPE_CHECKING:
    from study.core.store import Store


@dataclass(frozen=True, kw_only=True)
class HomeContext:
    """Home folder of a command."""

    home: Path

    @property
    def program(self) -> str:
        """The program's name, with `--home` where a command needs it to find this home folder."""
        return program(self.home)

    def copyable(self, sentence: object) -> str:
        """A sentence, or that of an error, with its commands as they are typed for this home folder."""
        return expand_commands(str(sentence), self.home)


def existing_store(context: HomeContext, *, writing: bool = False) -> "Store":
    """The store of a home folder that exists.

    Raises:
        InputError: the folder does not exist.
        MachineError: it has files of other users that this one cannot use.
    """
    from study.core.store import Store
    from study.home.sharing import check_shared

    if not context.home.is_dir():
        raise InputError(f"there is no home folder {context.home}: name one with --home or FREELUNCH_HOME.")
    check_shared(context.home, writing=writing)
    return Store(context.home, create=False)
