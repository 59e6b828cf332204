"""The request that a worker is computing now, and what its failures mean."""

from __future__ import annotations

import asyncio
import time

from ghostd.errors import ContextTooLong, GhostdError, InvalidRequest, WorkerFailed
from ghostd.workers.messages import Failed, Message
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


def error_of(failed: Failed) -> GhostdError:
    """The error that the worker reports."""
    match failed.kind:
        case "invalid_request":
            return InvalidRequest(failed.message, failed.param)
        case "context_too_long":
            prompt_tokens, context_tokens = failed.numbers or (0, 0)
            return ContextTooLong(prompt_tokens, context_tokens, failed.param or "messages")
        case _:
            return WorkerFailed(f"The model could not do the request: {failed.message.rstrip('.')}.")
