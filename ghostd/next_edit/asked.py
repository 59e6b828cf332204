"""What is asked for, and the texts that an answer reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ghostd.code_ports import Index
from ghostd.next_edit.document import Source
from ghostd.next_edit.history import Edit, Undone
from ghostd.next_edit.tokens import MAX_CHARS


@dataclass(frozen=True, slots=True)
class Asked:
    """A document, the cursor in it, and what was edited before."""

    root: Path
    path: PurePosixPath
    text: str
    offset: int
    """Of the cursor, in characters."""
    edits: Sequence[Edit]
    """The last one at the end."""
    view: Index
    """The index as the one who asks sees it."""
    opened: Callable[[Path], str | None] = lambda _: None
    """What an open document says; None for a file that is not open."""
    undone: frozenset[Undone] = frozenset()
    """What is not proposed as it was taken back."""
    session: str = ""
    """Whose rejections count."""


@dataclass(slots=True)
class Texts:
    """The files of one answer, each read once."""

    asked: Asked
    _read: dict[PurePosixPath, Source | None] = field(default_factory=dict)

    def here(self) -> Source:
        """The file that is asked about, whatever its size."""
        asked = self.asked
        source = self._read.get(asked.path) or Source(asked.root, asked.path, asked.text)
        self._read[asked.path] = source
        return source

    async def source(self, path: PurePosixPath) -> Source | None:
        """A file as the user has it; None where it cannot be read, is not indexed, or is too large."""
        asked = self.asked
        if path not in self._read:
            text = asked.opened(asked.root / path)
            if text is None:
                data = await asked.view.text(asked.root, path)
                if data is not None and len(data) <= MAX_CHARS:
                    try:
                        text = data.decode()
                    except UnicodeDecodeError:
                        text = None
            known = text is not None and len(text) <= MAX_CHARS
            self._read[path] = Source(asked.root, path, text) if known and text is not None else None
        return self._read[path]
