"""A request that a worker has, and what its failures mean."""

from __future__ import annotations

import asyncio

from ghostd.errors import ContextTooLong, GhostdError, InvalidRequest, WorkerFailed
from ghostd.workers.messages import Failed, Message
from ghostd.workers.process import WorkerProcess


class Running:
    """One request of a worker, as messages for the one who asked."""

    def __init__(self, request_id: int, process: WorkerProcess, rank: int) -> None:
        self.id = request_id
        self.process = process
        self.rank = rank
        self.messages: asyncio.Queue[Message | GhostdError | None] = asyncio.Queue()
        """None: the process has ended."""
        self.begun = False
        self.over = False
        self.abandoned = False
        """Whether it was cancelled."""
        self.left = False
        """Whether nobody listens any more."""
        self.hung = False
        self.timer: asyncio.TimerHandle | None = None

    def finish(self, last: Message | None) -> None:
        """No more messages will come."""
        self.over = True
        if self.timer is not None:
            self.timer.cancel()
        self.messages.put_nowait(last)

    def refuse(self, error: GhostdError) -> None:
        """It makes room for another."""
        self.messages.put_nowait(error)


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
