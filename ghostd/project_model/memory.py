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
        self._fresh: dict[frozenset[str], list[TokenText]] = {}
        self._near: dict[tuple[str, frozenset[str]], list[TokenText]] = {}

    @property
    def size_bytes(self) -> int:
        """Memory that the segment can take, if all of it is read."""
        return self.segment.size_bytes if self.segment else 0

    def rest(self) -> None:
        """An answer has been given: what of the segment it has read need not stay mapped."""
        if self.segment:
            self.segment.rest()

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

    def outdated(self, hidden: frozenset[str]) -> list[int]:
        """Bounds of the stream's parts that do not count: start, stop, start, stop, …, ascending.

        `hidden`, here and below: paths whose saved text does not count, since an editor shows another one.
        """
        parts = sorted((file.start, file.end) for path in self._gone | hidden if (file := self.files.get(path)))
        return [bound for part in parts for bound in part]

    def fresh_texts(self, hidden: frozenset[str]) -> list[TokenText]:
        """The files that changed since the segment was built, as one text."""
        key = hidden.intersection(self._changed)
        if key not in self._fresh:
            parts = [texts for path, (_, texts) in self._changed.items() if path not in key]
            edge = chr(EDGE)
            tokens = edge.join(part for part, _ in parts)
            self._fresh[key] = [TokenText(tokens, edge.join(part for _, part in parts), len(tokens))] if tokens else []
        return self._fresh[key]

    def texts_near(self, path: str | None, hidden: frozenset[str] = frozenset()) -> Sequence[TokenText]:
        """The files beside this one, of the same kind, as one text."""
        if path is None:
            return ()
        folder, _, _ = path.rpartition("/")
        beside = [file for file in self._folders.get(folder, ()) if _suffix(file.path) == _suffix(path)]
        skipped = frozenset(file.path for file in beside if file.path == path or file.path in hidden)
        key = (f"{folder}/{_suffix(path)}", skipped)
        if key not in self._near:
            if len(self._near) >= _NEAR_FOLDERS:
                self._near.pop(next(iter(self._near)))
            self._near[key] = self._join(file for file in beside if file.path not in skipped)
        return self._near[key]

    def _join(self, files: Iterable[LearnedFile]) -> list[TokenText]:
        """As many of the files as there is room for."""
        tokens: list[str] = []
        shapes: list[str] = []
        room = NEAR_TOKENS
        for file in files:
            assert self.segment  # it has the files
            if file.path not in self._gone and file.end - file.start <= room:
                room -= file.end - file.start
                part, part_shapes = self.segment.texts(file.start, file.end)
                tokens.append(part)
                shapes.append(part_shapes)
        return [TokenText("".join(tokens), "".join(shapes), NEAR_TOKENS)] if tokens else []


def _suffix(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2]
