"""What is done while the user pauses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from ghostd.errors import GhostdError

log = logging.getLogger(__name__)

PAUSE_S = 0.7
"""Without a key, after which a model gets ready for the next one."""

Work = Callable[[], Coroutine[Any, Any, object]]


class Rest:
    """Work that begins when a document has been left alone for a while, and ends with the next key."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, work: Work, after_s: float = PAUSE_S) -> None:
        """Do this after a pause, in place of what was to be done."""
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(after_s, self._start, work)

    def stop(self) -> None:
        """The pause is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _start(self, work: Work) -> None:
        self._timer = None
        self._task = asyncio.get_running_loop().create_task(_quietly(work), name="warm-up")


async def _quietly(work: Work) -> None:
    try:
        await work()
    except GhostdError as error:
        log.debug("no warm-up: %s", error)
