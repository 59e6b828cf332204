"""The request that a worker is computing now."""

from __future__ import annotations

import asyncio
import time

from ghostd.workers.messages import Message
from ghostd.workers.process import WorkerProcess


class Running:
    """The request that a worker is computing, as messages for the one who asked."""

    def __init__(self, request_id: int, process: WorkerProcess) -> None:
        self.id = request_id
        self.process = process
        self.messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self.last_sign_s = time.monotonic()
        self.over = False
        self.abandoned = False
        self.hung = False
        self.timer: asyncio.TimerHandle | None = None

    def finish(self) -> None:
        """No more messages will come."""
        self.over = True
        if self.timer is not None:
            self.timer.cancel()
