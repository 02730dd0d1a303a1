"""Log of the broker's events for its driver: numbered, and kept until the driver has read them."""

import asyncio
from contextlib import suppress

from study.execution.events import Progressed, StageEvent


class EventLog:
    """Events in their order, for one reader; of progress within an epoch it keeps the latest of every stage."""

    def __init__(self) -> None:
        self._events: list[StageEvent | None] = []
        self._first = 0
        self._latest_progress: dict[str, int] = {}
        self._appended = asyncio.Event()

    def append(self, event: StageEvent) -> None:
        """Adds an event, and wakes the reader."""
        if isinstance(event, Progressed):
            outdated = self._latest_progress.get(event.key, -1)
            if outdated >= self._first:
                self._events[outdated - self._first] = None
            self._latest_progress[event.key] = self._first + len(self._events)
        self._events.append(event)
        self._appended.set()

    async def read_from(self, number: int, seconds: float) -> tuple[int, list[StageEvent]]:
        """The events from a number on, and the number that follows them; those before it are forgotten.

        Args:
            number: what the last call returned, 0 at first.
            seconds: how long to wait for an event if there is none.
        """
        num_read = min(max(number - self._first, 0), len(self._events))
        del self._events[:num_read]
        self._first += num_read
        if not self._events:
            self._appended.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._appended.wait(), seconds)
        return self._first + len(self._events), [event for event in self._events if event is not None]
