"""The ResponseStore port: a thread that has the SQLite file to itself."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from ghostd.config.responses import ResponsesConfig
from ghostd.database import is_damage
from ghostd.errors import StoreError
from ghostd.responses.database import NewerSchema, open_database, set_aside
from ghostd.responses.store import Store
from ghostd.stored import History, Item, Order, Page, StoredConversation, StoredResponse

log = logging.getLogger(__name__)

T = TypeVar("T")

FILE = "responses.sqlite3"
_MORE_TO_PRUNE_S = 1.0
_PRUNE_EVERY_S = 3600.0


class ResponseService:
    """See the port `ResponseStore`. Made by `open_responses`."""

    def __init__(self, path: Path, config: ResponsesConfig, clock: Callable[[], float]) -> None:
        self._path = path
        self._config = config
        self._clock = clock
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="responses")
        self._database: sqlite3.Connection | None = None
        self._store: Store | None = None
        self._problem = ""

    async def keep(self, response: StoredResponse) -> None:
        """Keep a response."""
        await self._do(lambda store: store.keep(response))

    async def response(self, response_id: str) -> StoredResponse | None:
        """A response with all its items."""
        return await self._do(lambda store: store.response(response_id))

    async def forget(self, response_id: str) -> bool:
        """Delete a response."""
        return await self._do(lambda store: store.forget(response_id))

    async def history(self, response_id: str, max_bytes: int) -> History:
        """All that was said up to the end of a response."""
        return await self._do(lambda store: store.history(response_id, max_bytes))

    async def input_items(self, response_id: str, limit: int, order: Order, after: str | None) -> Page | None:
        """Some of a response's own input."""
        return await self._do(lambda store: store.input_items(response_id, limit, order, after))

    async def find(self, item_ids: Sequence[str]) -> Mapping[str, Item]:
        """The items of these ids."""
        return await self._do(lambda store: store.find(item_ids))

    async def begin_conversation(self, conversation: StoredConversation, items: Sequence[Item]) -> None:
        """Keep a new conversation."""
        await self._do(lambda store: store.begin_conversation(conversation, items))

    async def conversation(self, conversation_id: str) -> StoredConversation | None:
        """A conversation without its items."""
        return await self._do(lambda store: store.conversation(conversation_id))

    async def describe_conversation(
        self, conversation_id: str, metadata: Mapping[str, str]
    ) -> StoredConversation | None:
        """Replace its metadata."""
        return await self._do(lambda store: store.describe_conversation(conversation_id, metadata))

    async def forget_conversation(self, conversation_id: str) -> bool:
        """Delete a conversation and its items."""
        return await self._do(lambda store: store.forget_conversation(conversation_id))

    async def said(self, conversation_id: str, max_bytes: int) -> Sequence[Item]:
        """All items of a conversation."""
        return await self._do(lambda store: store.said(conversation_id, max_bytes))

    async def conversation_items(
        self, conversation_id: str, limit: int, order: Order, after: str | None
    ) -> Page | None:
        """Some of a conversation's items."""
        return await self._do(lambda store: store.conversation_items(conversation_id, limit, order, after))

    async def conversation_item(self, conversation_id: str, item_id: str) -> Item | None:
        """One item of a conversation."""
        return await self._do(lambda store: store.conversation_item(conversation_id, item_id))

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """Add items to the end of a conversation."""
        return await self._do(lambda store: store.add_items(conversation_id, items))

    async def forget_item(self, conversation_id: str, item_id: str) -> bool:
        """Delete one item of a conversation."""
        return await self._do(lambda store: store.forget_item(conversation_id, item_id))

    async def broken_off(self) -> Sequence[StoredResponse]:
        """The responses that an earlier run was still making when it ended."""
        return await self._do(lambda store: store.running())

    async def _do(self, work: Callable[[Store], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._in_thread, work)

    def _in_thread(self, work: Callable[[Store], T]) -> T:
        store = self._store
        if store is None:
            raise StoreError(f"Stored responses are not available: {self._problem}")
        try:
            return work(store)
        except sqlite3.Error as error:
            log.error("%s: %s", self._path, error)  # noqa: TRY400 - a full disk is no news for each request
            raise StoreError(f"Stored responses cannot be read or written: {error}") from None

    async def open(self) -> None:
        """Open the file; what is wrong with it is told in the log, and to those who ask."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._open)

    def _open(self) -> None:
        try:
            self._database = self._open_or_begin_anew()
        except (sqlite3.Error, OSError, NewerSchema) as error:
            self._problem = f"{self._path}: {error}"
            log.error("stored responses are not available: %s", self._problem)  # noqa: TRY400
            return
        self._store = Store(self._database, self._config.keep_days, self._config.max_bytes, self._clock)

    def _open_or_begin_anew(self) -> sqlite3.Connection:
        try:
            return open_database(self._path)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            aside = set_aside(self._path)
            log.error("%s is damaged and was set aside as %s; a new one begins", self._path, aside.name)  # noqa: TRY400
            return open_database(self._path)

    async def look_after(self) -> None:
        """Delete what has expired, from time to time, for ever."""
        while True:
            try:
                more = await self._do(lambda store: store.prune())
            except StoreError:
                more = False
            await asyncio.sleep(_MORE_TO_PRUNE_S if more else _PRUNE_EVERY_S)

    async def close(self) -> None:
        """Close the file."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._close)
        self._executor.shutdown(wait=False)

    def _close(self) -> None:
        self._store, self._problem = None, "ghostd is shutting down"
        if self._database is not None:
            self._database.close()


@asynccontextmanager
async def open_responses(
    folder: Path, config: ResponsesConfig, clock: Callable[[], float] = time.time
) -> AsyncIterator[ResponseService]:
    """The responses that lie in `folder`, while the block runs; the caller holds the home's lock."""
    service = ResponseService(folder / FILE, config, clock)
    await service.open()
    # Not a TaskGroup: that would turn every error of the block into a group.
    task = asyncio.create_task(service.look_after(), name="stored responses")
    try:
        yield service
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await service.close()
