"""Hearing that a client leaves while nothing is read of what it sends."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable


class HangUpWatch:
    """Calls once when the peer of a socket has closed its side, however much of what it has sent is unread.

    Linux's EPOLLRDHUP tells so, behind an epoll of its own, since the loop's would ring for the unread bytes, too.
    Elsewhere nothing is told, and a hang-up is found when reading goes on.
    """

    def __init__(self, descriptor: int, on_hang_up: Callable[[], None]) -> None:
        """Watches the socket of this descriptor from now on, until it is closed or `on_hang_up` has been called."""
        self._on_hang_up = on_hang_up
        self._loop = asyncio.get_running_loop()
        self._epoll: select.epoll | None = None
        if hasattr(select, "epoll"):
            self._epoll = select.epoll()
            self._epoll.register(descriptor, select.EPOLLRDHUP)
            self._loop.add_reader(self._epoll.fileno(), self._on_ready)

    def close(self) -> None:
        """Watch no more."""
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def _on_ready(self) -> None:
        self.close()
        self._on_hang_up()
