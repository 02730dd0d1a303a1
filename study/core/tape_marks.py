"""Marks of tapes in a home folder: which stages replay each, so that it is removed once they are finished."""

from collections.abc import Collection
from contextlib import suppress

from study.core.graph import key
from study.core.plan import Plan
from study.core.store import Store
from study.home.files import locked, parse_object, write_json
from trainers.stage import MachineError

FOLDER, LOCK = "tapes", "tapes/.lock"
STAGES = "stages"


class TapeMarks:
    """Marks of the tapes of a home: one file each, with the keys of the stages that replay it.

    Two commands that replay one tape write both of their stages down: it stays until all of them are finished.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.home / FOLDER

    def mark(self, plan: Plan) -> None:
        """Notes which missing stages of a plan replay which tape."""
        if not plan.tapes:
            return
        with locked(self._store.home / LOCK):
            for tape in plan.tapes:
                own = {k for k in plan.missing if tape in map(key, plan.stages[k].aids().values())}
                write_json(self._folder / tape, {STAGES: sorted(own | self._stages(tape))})

    def remove_used(self, ended: Collection[str] = ()) -> None:
        """Removes the tapes whose stages are all finished, and their marks.

        Args:
            ended: keys of stages that count as finished, unless a process computes them.
        """
        if not self._folder.is_dir():
            return
        with locked(self._store.home / LOCK):
            for path in self._folder.iterdir():
                if path.name.startswith(".") or path.suffix or not self._is_used(path.name, ended):
                    continue
                with suppress(MachineError):  # another process records it
                    self._store.remove(path.name)
                    path.unlink()

    def _is_used(self, tape: str, ended: Collection[str]) -> bool:
        return all(
            self._store.find(each) or (each in ended and not self._store.is_claimed(each))
            for each in self._stages(tape)
        )

    def _stages(self, tape: str) -> set[str]:
        """The stages that replay a tape; none where the mark is damaged: it is marked again with the next plan."""
        with suppress(OSError, ValueError):
            stages = parse_object((self._folder / tape).read_bytes()).get(STAGES)
            if isinstance(stages, list):
                return {str(each) for each in stages}
        return set()
