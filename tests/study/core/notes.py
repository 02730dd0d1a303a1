"""A stage that leaves a note, and its artifact."""

from dataclasses import dataclass
from pathlib import Path

from study.core.graph import key
from study.core.store import Store
from trainers.stage import Stage, Work


@dataclass(frozen=True)
class Note(Stage):
    text: str = "hello"

    def run(self, work: Work) -> None: ...

    def expected_seconds(self) -> float:
        return 2.0


NOTE = Note()
KEY = key(NOTE)


def fill(store: Store, stage: Note = NOTE) -> Path:
    with store.claim(key(stage)) as folder:
        (folder / "note.txt").write_text(stage.text)
        (folder / "deeper").mkdir()
        (folder / "deeper" / "large.bin").write_bytes(bytes(1000))
        return store.publish(stage, folder, 1.5)
