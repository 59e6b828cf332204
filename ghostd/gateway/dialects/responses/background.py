"""Responses that are made in the background, while nobody waits for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import TracebackType

from ghostd.errors import Overloaded, StoreError
from ghostd.gateway.dialects.responses.events import EventLog
from ghostd.gateway.dialects.responses.frame import replaced
from ghostd.ports import ResponseStore
from ghostd.stored import StoredResponse

log = logging.getLogger(__name__)

_MOST_TASKS = 100
_PATIENCE_S = 10.0
_HEARD_S = 300.0
"""How long the events of a response can be heard again after its end."""
_BROKEN_OFF = {"code": "server_error", "message": "ghostd ended while this response was being made."}


class Background:
    """The tasks, while the block runs; what is left at its end is told as failed when ghostd starts again.

    Without a store there is nothing to do.
    """

    def __init__(self, store: ResponseStore | None, at_once: int) -> None:
        self._store = store
        self._room = asyncio.Semaphore(at_once)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._logs: dict[str, EventLog] = {}

    async def __aenter__(self) -> Background:
        if self._store is None:
            return self
        try:
            for response in await self._store.broken_off():
                await self._store.keep(ended(response, "failed", _BROKEN_OFF))
        except StoreError:
            log.debug("nothing is kept")  # the store has told why
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def check_room(self) -> None:
        """Raise Overloaded where too many wait already: each holds its request in memory."""
        if len(self._tasks) >= _MOST_TASKS:
            raise Overloaded(f"{_MOST_TASKS} responses are waiting to be made in the background.", _PATIENCE_S)

    def start(self, response_id: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work as soon as there is room."""
        # Not a TaskGroup: what fails is told in the response, and must not end the others.
        task = asyncio.create_task(self._run(work), name=f"background {response_id}")
        self._tasks[response_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(response_id, None))

    def listen(self, response_id: str, log: EventLog) -> None:
        """The current task makes the response of this id, and tells of it in this log."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks[response_id] = task
        self._logs[response_id] = log
        over = [name for name in self._logs if name not in self._tasks]
        for name in over[: max(0, len(self._logs) - _MOST_TASKS)]:
            del self._logs[name]
        task.add_done_callback(lambda _: self._over(response_id))

    def log(self, response_id: str) -> EventLog | None:
        """The events of a response that is streamed, for a while after its end, too."""
        return self._logs.get(response_id)

    def _over(self, response_id: str) -> None:
        self._tasks.pop(response_id, None)
        asyncio.get_running_loop().call_later(_HEARD_S, self._logs.pop, response_id, None)

    async def stop(self, response_id: str) -> None:
        """End the work on a response, if there is any."""
        task = self._tasks.get(response_id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def cancel(self, response_id: str) -> StoredResponse | None:
        """End the work on a response; what became of it, None where there is no such response."""
        if self._store is None:
            return None
        await self.stop(response_id)
        response = await self._store.response(response_id)
        if response is not None and response.running:
            response = ended(response, "cancelled", None)
            await self._store.keep(response)
        return response

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        async with self._room:
            try:
                await work()
            except Exception:
                log.exception("a response in the background failed")


def ended(response: StoredResponse, status: str, error: dict[str, str] | None) -> StoredResponse:
    """The response as it is when its making has ended without a reply."""
    return replace(response, body=replaced(response.body, {"status": status, "error": error}), running=False)
