"""What the broker has to tell its driver: numbered events that are kept until the driver has heard them."""

import asyncio
from contextlib import suppress

from study.execution.ray.messages import Event, ends_epoch


class News:
    """Events in their order, for one listener; of progress within an epoch it keeps the latest of every stage."""

    def __init__(self) -> None:
        self._events: list[Event | None] = []
        self._first = 0
        self._latest: dict[str, int] = {}
        self._something = asyncio.Event()

    def tell(self, event: Event) -> None:
        if event.kind == "progress" and not ends_epoch(event.metrics):
            outdated = self._latest.get(event.key, -1)
            if outdated >= self._first:
                self._events[outdated - self._first] = None
            self._latest[event.key] = self._first + len(self._events)
        self._events.append(event)
        self._something.set()

    async def since(self, number: int, seconds: float) -> tuple[int, list[Event]]:
        """The events from a number on, and the number that follows them; those before it are forgotten.

        Args:
            number: what the last call returned, 0 at first.
            seconds: how long to wait for an event if there is none.
        """
        heard = min(max(number - self._first, 0), len(self._events))
        del self._events[:heard]
        self._first += heard
        if not self._events:
            self._something.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._something.wait(), seconds)
        return self._first + len(self._events), [event for event in self._events if event is not None]
