"""Responses and conversations in SQLite: every operation of the ResponseStore port, blocking. Use from one thread."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from ghostd.database import transaction
from ghostd.errors import InvalidRequest
from ghostd.stored import History, Item, Order, Page, StoredConversation, StoredResponse

_INPUT, _OUTPUT = 0, 1
_PRUNED_AT_ONCE = 200
_IDS_AT_ONCE = 500
_LONGEST_CHAIN = 10_000
"""Responses that one may continue, one after the other."""
_METADATA = msgspec.json.Decoder(dict[str, str])
_DAY_S = 86_400


class Store:
    """Keeps responses for `keep_days` after they were last used, and of all no more than `max_bytes`."""

    def __init__(
        self, database: sqlite3.Connection, keep_days: float, max_bytes: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._db = database
        self._keep_s = keep_days * _DAY_S
        self._max_bytes = max_bytes
        self._clock = clock
        self._size_bytes = sum(
            self._db.execute(f"SELECT COALESCE(SUM(size_bytes), 0) FROM {table}").fetchone()[0]  # noqa: S608
            for table in ("response", "conversation")
        )

    @property
    def _oldest(self) -> float:
        """What was not used since then has expired."""
        return self._clock() - self._keep_s

    # --- responses ------------------------------------------------------------------

    def keep(self, response: StoredResponse) -> None:
        """See the port."""
        size = len(response.body) + _bytes((*response.input, *response.output))
        with transaction(self._db):
            before = self._delete_response(response.id)
            self._db.execute(
                "INSERT INTO response (id, created_s, used_s, size_bytes, previous_id, conversation_id, running, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    response.id,
                    response.created_s,
                    self._clock(),
                    size,
                    response.previous_id,
                    response.conversation_id,
                    response.running,
                    response.body,
                ),
            )
            self._add(response.id, _INPUT, response.input)
            self._add(response.id, _OUTPUT, response.output)
            added = size - before
            if response.conversation_id is not None and not response.running:
                said = (*response.input, *response.output)
                if self._append(response.conversation_id, said):
                    added += _bytes(said)
        self._size_bytes += added
        self._make_room(response.id)

    def response(self, response_id: str) -> StoredResponse | None:
        """See the port."""
        row = self._db.execute(
            "SELECT created_s, previous_id, conversation_id, running, body FROM response WHERE id = ? AND used_s >= ?",
            (response_id, self._oldest),
        ).fetchone()
        if row is None:
            return None
        created_s, previous_id, conversation_id, running, body = row
        return StoredResponse(
            response_id,
            created_s,
            body,
            self._items(response_id, _OUTPUT),
            self._items(response_id, _INPUT),
            previous_id,
            conversation_id,
            bool(running),
        )

    def running(self) -> list[StoredResponse]:
        """Those that were being made in the background."""
        rows = self._db.execute("SELECT id FROM response WHERE running = 1").fetchall()
        return [found for (response_id,) in rows if (found := self.response(response_id)) is not None]

    def forget(self, response_id: str) -> bool:
        """See the port."""
        with transaction(self._db):
            found = self.response(response_id) is not None
            freed = self._delete_response(response_id)
        self._size_bytes -= freed
        return found

    def history(self, response_id: str, max_bytes: int) -> History:
        """See the port."""
        chain: list[str] = []
        following: str | None = response_id
        seen = {following}
        size = 0
        while following is not None:
            row = self._db.execute(
                "SELECT previous_id, size_bytes FROM response WHERE id = ? AND used_s >= ?", (following, self._oldest)
            ).fetchone()
            if row is None:
                break
            size += row[1]
            if size > max_bytes or len(chain) == _LONGEST_CHAIN:
                raise too_long(max_bytes, "previous_response_id")
            chain.append(following)
            following = row[0] if row[0] not in seen else None  # a service may give one id twice
            seen.add(following)
        self._used("response", chain)
        items: list[Item] = []
        for owner in reversed(chain):
            items.extend(self._items(owner, _INPUT))
            items.extend(self._items(owner, _OUTPUT))
        return History(tuple(items), following)

    def input_items(self, response_id: str, limit: int, order: Order, after: str | None) -> Page | None:
        """See the port."""
        if self.response(response_id) is None:
            return None
        return self._page(response_id, limit, order, after)

    def find(self, item_ids: Sequence[str]) -> Mapping[str, Item]:
        """See the port."""
        found: dict[str, Item] = {}
        for start in range(0, len(item_ids), _IDS_AT_ONCE):
            some = item_ids[start : start + _IDS_AT_ONCE]
            rows = self._db.execute(
                f"SELECT id, body FROM item WHERE id IN ({', '.join('?' * len(some))})",  # noqa: S608
                some,
            )
            found.update((item_id, Item(item_id, body)) for item_id, body in rows)
        return found

    # --- conversations ----------------------------------------------------------------

    def begin_conversation(self, conversation: StoredConversation, items: Sequence[Item]) -> None:
        """See the port."""
        with transaction(self._db):
            self._db.execute(
                "INSERT INTO conversation (id, created_s, used_s, size_bytes, metadata) VALUES (?, ?, ?, 0, ?)",
                (conversation.id, conversation.created_s, self._clock(), msgspec.json.encode(conversation.metadata)),
            )
            self._append(conversation.id, items)
        self._size_bytes += _bytes(items)
        self._make_room(conversation.id)

    def conversation(self, conversation_id: str) -> StoredConversation | None:
        """See the port."""
        row = self._db.execute(
            "SELECT created_s, metadata FROM conversation WHERE id = ? AND used_s >= ?", (conversation_id, self._oldest)
        ).fetchone()
        return None if row is None else StoredConversation(conversation_id, row[0], _METADATA.decode(row[1]))

    def describe_conversation(self, conversation_id: str, metadata: Mapping[str, str]) -> StoredConversation | None:
        """See the port."""
        with transaction(self._db):
            if self.conversation(conversation_id) is None:
                return None
            self._db.execute(
                "UPDATE conversation SET metadata = ?, used_s = ? WHERE id = ?",
                (msgspec.json.encode(metadata), self._clock(), conversation_id),
            )
        return self.conversation(conversation_id)

    def forget_conversation(self, conversation_id: str) -> bool:
        """See the port."""
        with transaction(self._db):
            found = self.conversation(conversation_id) is not None
            freed = self._delete_conversation(conversation_id)
        self._size_bytes -= freed
        return found

    def said(self, conversation_id: str, max_bytes: int) -> Sequence[Item]:
        """See the port."""
        row = self._db.execute("SELECT size_bytes FROM conversation WHERE id = ?", (conversation_id,)).fetchone()
        if row is not None and row[0] > max_bytes:
            raise too_long(max_bytes, "conversation")
        self._used("conversation", [conversation_id])
        return self._items(conversation_id, _INPUT)

    def conversation_items(self, conversation_id: str, limit: int, order: Order, after: str | None) -> Page | None:
        """See the port."""
        return None if self.conversation(conversation_id) is None else self._page(conversation_id, limit, order, after)

    def conversation_item(self, conversation_id: str, item_id: str) -> Item | None:
        """See the port."""
        row = self._db.execute(
            "SELECT body FROM item WHERE id = ? AND owner = ? AND part = ?", (item_id, conversation_id, _INPUT)
        ).fetchone()
        return None if row is None else Item(item_id, row[0])

    def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """See the port."""
        with transaction(self._db):
            added = self._append(conversation_id, items)
        if added:
            self._size_bytes += _bytes(items)
            self._make_room(conversation_id)
        return added

    def forget_item(self, conversation_id: str, item_id: str) -> bool:
        """See the port."""
        with transaction(self._db):
            found = self.conversation_item(conversation_id, item_id)
            if found is None:
                return False
            self._db.execute(
                "DELETE FROM item WHERE owner = ? AND part = ? AND id = ?", (conversation_id, _INPUT, item_id)
            )
            self._grow(conversation_id, -len(found.body))
        self._size_bytes -= len(found.body)
        return True

    # --- room ---------------------------------------------------------------------------

    def prune(self) -> bool:
        """Delete some of what has expired; whether there may be more."""
        some = self._least_used("used_s < ?", (self._oldest,), _PRUNED_AT_ONCE)
        if some:
            self._delete(some)
        return len(some) >= _PRUNED_AT_ONCE

    def _make_room(self, keeping: str) -> None:
        """Delete what was used least recently while it is too much altogether; the one called `keeping` stays."""
        while self._size_bytes > self._max_bytes:
            oldest = [entry for entry in self._least_used("1", (), 2) if entry[1] != keeping]
            if not oldest:
                return
            self._delete(oldest[:1])

    def _least_used(self, where: str, values: tuple[float, ...], limit: int) -> list[tuple[str, str]]:
        """Tables and ids."""
        found: list[tuple[float, str, str]] = []
        for table in ("response", "conversation"):
            rows = self._db.execute(
                f"SELECT used_s, id FROM {table} WHERE {where} ORDER BY used_s LIMIT ?",  # noqa: S608
                (*values, limit),
            )
            found.extend((used_s, table, entry) for used_s, entry in rows)
        return [(table, entry) for _, table, entry in sorted(found)[:limit]]

    def _delete(self, entries: Iterable[tuple[str, str]]) -> None:
        freed = 0
        with transaction(self._db):
            for kind, entry in entries:
                freed += self._delete_response(entry) if kind == "response" else self._delete_conversation(entry)
        self._size_bytes -= freed

    # --- rows ---------------------------------------------------------------------------

    def _delete_response(self, response_id: str) -> int:
        """The bytes that this frees."""
        return self._delete_from("response", response_id)

    def _delete_conversation(self, conversation_id: str) -> int:
        return self._delete_from("conversation", conversation_id)

    def _delete_from(self, table: str, owner: str) -> int:
        row = self._db.execute(f"DELETE FROM {table} WHERE id = ? RETURNING size_bytes", (owner,)).fetchone()  # noqa: S608
        if row is None:
            return 0
        self._db.execute("DELETE FROM item WHERE owner = ?", (owner,))
        return int(row[0])

    def _append(self, conversation_id: str, items: Sequence[Item]) -> bool:
        if self.conversation(conversation_id) is None:
            return False
        (last,) = self._db.execute(
            "SELECT COALESCE(MAX(position), -1) FROM item WHERE owner = ? AND part = ?", (conversation_id, _INPUT)
        ).fetchone()
        self._add(conversation_id, _INPUT, items, last + 1)
        self._grow(conversation_id, _bytes(items))
        return True

    def _grow(self, conversation_id: str, size_bytes: int) -> None:
        self._db.execute(
            "UPDATE conversation SET size_bytes = size_bytes + ?, used_s = ? WHERE id = ?",
            (size_bytes, self._clock(), conversation_id),
        )

    def _add(self, owner: str, part: int, items: Sequence[Item], first: int = 0) -> None:
        self._db.executemany(
            "INSERT INTO item (owner, part, position, id, body) VALUES (?, ?, ?, ?, ?)",
            [(owner, part, first + number, item.id, item.body) for number, item in enumerate(items)],
        )

    def _items(self, owner: str, part: int) -> tuple[Item, ...]:
        rows = self._db.execute(
            "SELECT id, body FROM item WHERE owner = ? AND part = ? ORDER BY position", (owner, part)
        )
        return tuple(Item(item_id, body) for item_id, body in rows)

    def _page(self, owner: str, limit: int, order: Order, after: str | None) -> Page | None:
        up = order == "asc"
        edge = -1 if up else 2**62
        if after is not None:
            row = self._db.execute(
                "SELECT position FROM item WHERE owner = ? AND part = ? AND id = ?", (owner, _INPUT, after)
            ).fetchone()
            if row is None:
                return None
            (edge,) = row
        rows = self._db.execute(
            f"SELECT id, body FROM item WHERE owner = ? AND part = ? AND position {'>' if up else '<'} ?"  # noqa: S608
            f" ORDER BY position {'ASC' if up else 'DESC'} LIMIT ?",
            (owner, _INPUT, edge, limit + 1),
        ).fetchall()
        return Page(tuple(Item(item_id, body) for item_id, body in rows[:limit]), len(rows) > limit)

    def _used(self, table: str, ids: Sequence[str]) -> None:
        with transaction(self._db):
            self._db.executemany(
                f"UPDATE {table} SET used_s = ? WHERE id = ?",  # noqa: S608
                [(self._clock(), entry) for entry in ids],
            )


def too_long(max_bytes: int, param: str) -> InvalidRequest:
    """What was said before is more than one request may carry."""
    return InvalidRequest(
        f"What was said before is more than {max_bytes} bytes (responses.max_history_bytes); begin anew, or with a "
        "summary.",
        param,
    )


def _bytes(items: Iterable[Item]) -> int:
    return sum(len(item.body) for item in items)
