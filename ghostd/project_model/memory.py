"""What the daemon holds of one root: the mapped segment, and what changed since it was built."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ghostd.project_model.document import TokenText
from ghostd.project_model.lexicon import Lexicon
from ghostd.project_model.segment import LearnedFile, Segment
from ghostd.project_model.tokens import EDGE, Indentation
from ghostd.project_model.train import read_file

NEAR_TOKENS = 16_000
"""Tokens of the files beside the open one that are looked at more closely."""
CHANGED_TOKENS = 60_000
"""When the files that changed since the segment was built have more tokens, it is built anew."""
_NEAR_FOLDERS = 12
"""Folders whose neighbourhood is remembered."""


class RootMemory:
    """One root's knowledge. Used by one thread at a time: the provider's."""

    def __init__(self, root: Path, segment: Segment | None) -> None:
        self.root = root
        self.lexicon = Lexicon(segment)
        self.segment = segment
        self.files: dict[str, LearnedFile] = {file.path: file for file in segment.files} if segment else {}
        self._folders: dict[str, list[LearnedFile]] = {}
        for path, file in self.files.items():
            self._folders.setdefault(path.rpartition("/")[0], []).append(file)
        self._changed: dict[str, tuple[str, tuple[str, str]]] = {}
        self._gone: set[str] = set()
        self._fresh: dict[str | None, list[TokenText]] = {}
        self._near: dict[str, list[TokenText]] = {}

    @property
    def size_bytes(self) -> int:
        """Memory that the segment can take, if all of it is read."""
        return self.segment.size_bytes if self.segment else 0

    def close(self) -> None:
        """Unmap the segment."""
        if self.segment:
            self.segment.close()

    # --- changes ---

    def known(self) -> dict[str, str]:
        """Path → content hash of everything learned."""
        known = {path: file.content_hash for path, file in self.files.items() if path not in self._gone}
        known.update((path, content_hash) for path, (content_hash, _) in self._changed.items())
        return known

    @property
    def changed_tokens(self) -> int:
        """Tokens that the segment lacks."""
        return sum(len(tokens) for _, (tokens, _) in self._changed.values())

    def apply(self, changed: Iterable[tuple[str, str]], removed: Iterable[str], max_file_bytes: int) -> None:
        """Read the (path, content hash) of `changed` again and forget `removed`."""
        for path, content_hash in changed:
            content = read_file(str(self.root.resolve()), path, max_file_bytes) or b""
            text = content.decode("utf-8", "replace").replace("\r\n", "\n")
            self._changed[path] = (content_hash, self.lexicon.texts(text, Indentation()))
            if path in self.files:
                self._gone.add(path)
        for path in removed:
            self._changed.pop(path, None)
            if path in self.files:
                self._gone.add(path)
        self._near.clear()
        self._fresh.clear()

    # --- questions ---

    def outdated(self, own: str | None) -> list[int]:
        """Bounds of the stream's parts that do not count: start, stop, start, stop, …, ascending."""
        gone = self._gone if own is None else {*self._gone, own}
        parts = sorted((self.files[path].start, self.files[path].end) for path in gone if path in self.files)
        return [bound for part in parts for bound in part]

    def fresh_texts(self, own: str | None) -> list[TokenText]:
        """The files that changed since the segment was built, as one text; without the document's own."""
        own = own if own in self._changed else None
        if own not in self._fresh:
            parts = [texts for path, (_, texts) in self._changed.items() if path != own]
            edge = chr(EDGE)
            tokens = edge.join(part for part, _ in parts)
            self._fresh[own] = [TokenText(tokens, edge.join(part for _, part in parts), len(tokens))] if tokens else []
        return self._fresh[own]

    def texts_near(self, path: str | None) -> Sequence[TokenText]:
        """The files beside this one, of the same kind, as one text."""
        return self._neighbours(path) if path else ()

    def _neighbours(self, path: str) -> Sequence[TokenText]:
        folder, _, _ = path.rpartition("/")
        key = f"{folder}/{_suffix(path)}"
        # A file must not be its own neighbour: it has its own entry.
        key = path if path in self.files else key
        if key in self._near:
            return self._near[key]
        if len(self._near) >= _NEAR_FOLDERS:
            self._near.pop(next(iter(self._near)))
        tokens: list[str] = []
        room = NEAR_TOKENS
        shapes: list[str] = []
        if self.segment:
            beside = (file for file in self._folders.get(folder, ()) if file.path != path)
            for file in beside:
                skipped = file.path in self._gone or _suffix(file.path) != _suffix(path)
                if not skipped and file.end - file.start <= room:
                    room -= file.end - file.start
                    part, part_shapes = self.segment.texts(file.start, file.end)
                    tokens.append(part)
                    shapes.append(part_shapes)
        self._near[key] = found = [TokenText("".join(tokens), "".join(shapes), NEAR_TOKENS)] if tokens else []
        return found


def _suffix(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2]
