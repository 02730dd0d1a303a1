"""Stages that a command needs only in passing: marked in the home folder before they are computed, removed after."""

from collections.abc import Iterable
from contextlib import suppress

from study.core.store import Store
from trainers.stage import MachineError


class PassingStages:
    """Marks of stages that one command alone needs.

    A command that is killed leaves its marks: when it is run again, they tell what it may remove from what was there
    before.

    Args:
        store: the store of the stages.
        name: folder of the marks, in the home folder.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._folder = store.home / name

    def mark(self, stage_keys: Iterable[str]) -> None:
        """Marks stages that are about to be computed."""
        self._folder.mkdir(exist_ok=True)
        for stage_key in stage_keys:
            (self._folder / stage_key).touch()

    def keep(self, stage_keys: Iterable[str]) -> None:
        """Takes the marks of stages away: they stay."""
        for stage_key in stage_keys:
            (self._folder / stage_key).unlink(missing_ok=True)

    def remove(self, stage_keys: Iterable[str]) -> None:
        """Removes those of the stages that are marked, and their marks; the log of a failed stage stays."""
        for mark in (self._folder / stage_key for stage_key in stage_keys):
            if mark.exists():
                mark.unlink(missing_ok=True)
                if self._store.find(mark.name):
                    with suppress(MachineError):  # another process computes it
                        self._store.remove(mark.name)
