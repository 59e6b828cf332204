"""The events of a response that is made in the background, for those who listen, from any of them on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator

_NUMBER = re.compile(rb'"sequence_number"\s*:\s*(\d+)')
_LAST = 2**62
"""Behind all events: the mark at a stream's end has no number."""


class EventLog:
    """All events so far; whoever makes them calls `end`."""

    def __init__(self) -> None:
        self._events: list[tuple[int, bytes]] = []
        self._ended = False
        self._news = asyncio.Event()

    def add(self, events: bytes) -> None:
        """Whole events."""
        for event in events.removesuffix(b"\n\n").split(b"\n\n"):
            if event:
                number = _NUMBER.search(event)
                self._events.append((int(number[1]) if number else _LAST, event + b"\n\n"))
        self._tell()

    def end(self) -> None:
        """There are no more."""
        self._ended = True
        self._tell()

    async def follow(self, after: int) -> AsyncGenerator[bytes, None]:
        """The events behind the one of this number, those to come included."""
        at = 0
        while True:
            news = self._news
            fresh = [event for number, event in self._events[at:] if number > after]
            at = len(self._events)
            if fresh:
                yield b"".join(fresh)
            elif self._ended:
                return
            else:
                await news.wait()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
