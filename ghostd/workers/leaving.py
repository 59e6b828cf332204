"""The process of a model that was unloaded, while it saves what it has read."""

from __future__ import annotations

import asyncio

from ghostd.workers.process import WorkerProcess

_SAVE_S = 2.0
"""Time it gets for that."""


class Leaving:
    """At most one process."""

    def __init__(self) -> None:
        self._process: WorkerProcess | None = None
        self._gone = asyncio.Event()
        self._gone.set()

    @property
    def pid(self) -> int | None:
        """While it runs."""
        return self._process.pid if self._process is not None else None

    def begin(self, process: WorkerProcess) -> bool:
        """Let a process save and end; False where it has nothing to save, and was ended at once."""
        if not process.finish(_SAVE_S):
            return False
        self._process = process
        self._gone.clear()
        return True

    def ended(self, process: WorkerProcess) -> bool:
        """A process is gone; whether it was this one."""
        if process is not self._process:
            return False
        self._process = None
        self._gone.set()
        return True

    async def gone(self) -> None:
        """Wait until there is none."""
        await self._gone.wait()
