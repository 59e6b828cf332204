"""What editors' open documents say, by session: the newest text of each is parsed by the worker process.

A document has one job at a time; what is told meanwhile replaces what waits. All of it runs on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ghostd.config.projects import IndexConfig
from ghostd.index.languages import language_of
from ghostd.index.supervisor import Message, Supervisor, overlay_order

_log = logging.getLogger(__name__)

_MAX_FAILURES = 3
"""After so many the document's texts are no longer tried: each costs the worker the whole time limit."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a document, with what the worker found in it."""

    text: bytes
    language: str = ""
    outline: bytes = b""
    """See `rows`; empty: no grammar, or it could not be parsed."""
    uses: bytes = b""
    chunks: bytes = b""
    """See `chunks`."""


@dataclass(slots=True, eq=False)
class _Document:
    session: str
    path: Path
    text: bytes
    chars: int
    seen: Version | None = None
    """None until it has been parsed once: its file still stands."""
    job: int | None = None
    failures: int = 0
    """Texts in a row that the parser did not survive: each is seen without its symbols."""


@dataclass(slots=True)
class Overlays:
    """The open documents of all sessions, those told last at the end."""

    config: IndexConfig
    supervisor: Supervisor
    in_root: Callable[[Path], bool]
    changes: int = 0
    """Grows with everything that changes an answer of `versions`."""
    _documents: dict[tuple[str, Path], _Document] = field(default_factory=dict)
    _chars: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Replaced whenever it is set."""

    def tell(self, session: str, path: Path, text: str | None) -> None:
        """Note a document's text; None: it is closed."""
        path = Path(os.path.normpath(path))
        document = self._documents.pop((session, path), None)
        if document is not None:
            self._chars -= document.chars
        if text is None or len(text) > self.config.max_file_bytes or not path.is_absolute():
            if document is not None:
                self._drop(document)
            return
        # Lone surrogates, of an editor that cuts a character in two, have no UTF-8.
        data = text.encode("utf-8", "replace")
        if document is None:
            document = _Document(session, path, data, len(text))
        document.text, document.chars = data, len(text)
        self._documents[session, path] = document
        self._chars += len(text)
        self._bound()
        self._begin(document)

    def forget(self, session: str) -> None:
        """Drop a session's documents."""
        for key in [key for key in self._documents if key[0] == session]:
            self._remove(key)

    def begin_waiting(self) -> None:
        """A root has come: parse what lies in it."""
        for document in self._documents.values():
            if document.seen is None:
                self._begin(document)

    def has(self, session: str) -> bool:
        """Whether the session has any document."""
        return any(key[0] == session for key in self._documents)

    async def wait_read(self, session: str) -> None:
        """Wait until none of a session's documents is being read."""
        while any(document.job is not None for key, document in self._documents.items() if key[0] == session):
            await self._changed.wait()

    def versions(self, session: str, root: Path) -> Iterator[tuple[Path, Version]]:
        """(path below `root`, version) of the session's documents in a root."""
        for (whose, path), document in self._documents.items():
            if whose == session and document.seen is not None and path.is_relative_to(root) and path != root:
                yield path.relative_to(root), document.seen

    def _bound(self) -> None:
        """Drop those told longest ago; each stays the newest of its kind by being told again."""
        limits = self.config.max_open_documents, self.config.max_open_chars
        while self._documents and (len(self._documents) > limits[0] or self._chars > limits[1]):
            key = next(iter(self._documents))
            _log.info("%s counts as its file: more is open than index.max_open_documents or max_open_chars", key[1])
            self._remove(key)

    def _remove(self, key: tuple[str, Path]) -> None:
        document = self._documents.pop(key)
        self._chars -= document.chars
        self._drop(document)

    def _drop(self, document: _Document) -> None:
        self._note_change()
        if document.job is not None:
            self.supervisor.cancel(document.job)

    def _begin(self, document: _Document) -> None:
        if document.failures >= _MAX_FAILURES:
            document.seen = _unparsed(document)
            self._note_change()
            return
        current = self._documents.get((document.session, document.path))
        if document.job is not None or current is not document or not self.in_root(document.path):
            return
        text = document.text
        order = overlay_order(document.session, document.path, self.config)
        document.job = self.supervisor.submit(order, lambda message: self._hear(document, text, message), text)

    def _hear(self, document: _Document, text: bytes, message: Message) -> None:
        document.job = None
        if "error" in message:
            document.failures += 1
            document.seen = _unparsed(document)
            _log.warning(
                "%s, open in %s, is seen without its symbols: %s", document.path, document.session, message["error"]
            )
        else:
            document.failures = 0
            found = message["done"]
            outline, uses, chunks = (b64decode(found.get(name, "")) for name in ("outline", "uses", "chunks"))
            document.seen = Version(text, found["language"], outline, uses, chunks)
        if document.text is not text:
            self._begin(document)
        self._note_change()

    def _note_change(self) -> None:
        self.changes += 1
        self._changed.set()
        self._changed = asyncio.Event()


def _unparsed(document: _Document) -> Version:
    """Its newest text, without what is in it."""
    return Version(document.text, language_of(document.path.name, document.text))
