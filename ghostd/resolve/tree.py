"""The files of one root, by their paths as text ("a/b.py"), and joins that never leave it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class FileTree:
    """What the index knows to exist. "" is the root's own folder."""

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    """Those with a file somewhere below."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes, of the files that may be manifests."""
    _ordered: list[str] | None = None
    _by_name: dict[str, list[str]] | None = None

    def below(self, folder: str) -> Sequence[str]:
        """The files in a folder and in those inside of it, ordered."""
        if self._ordered is None:
            self._ordered = sorted(self.files)
        start = f"{folder}/" if folder else ""
        first = bisect_left(self._ordered, start)
        # "0" is the character after "/".
        last = bisect_left(self._ordered, f"{folder}0") if folder else len(self._ordered)
        return self._ordered[first:last]

    def named(self, name: str) -> Sequence[str]:
        """The files of this base name, ordered."""
        if self._by_name is None:
            by_name: dict[str, list[str]] = {}
            for path in sorted(self.files):
                by_name.setdefault(path.rpartition("/")[2], []).append(path)
            self._by_name = by_name
        return self._by_name.get(name, ())

    def add(self, paths: Iterable[str]) -> None:
        """Take files in."""
        self._ordered = self._by_name = None
        folders = self.folders
        folders.add("")
        for path in paths:
            self.files.add(path)
            folder = folder_of(path)
            while folder not in folders:
                folders.add(folder)
                folder = folder_of(folder)

    def remove(self, paths: Iterable[str]) -> None:
        """Take files out."""
        self.files.difference_update(paths)
        self.folders = {""}
        self.add(tuple(self.files))

    def first(self, paths: Iterable[str]) -> str:
        """The first of these that is a file; "" if none is."""
        return next((path for path in paths if path in self.files), "")


def folder_of(path: str) -> str:
    """ "a/b/c.py" → "a/b"; "c.py" → ""."""
    return path.rpartition("/")[0]


def joined(folder: str, relative: str) -> str | None:
    """`relative` seen from `folder`, without "." and ".."; None where it leads out of the root.

    An absolute path leads out, too.
    """
    if relative.startswith("/") or "\\" in relative:
        return None
    if "." not in relative:
        pieces = relative.strip("/") if "//" not in relative else "/".join(p for p in relative.split("/") if p)
        return f"{folder}/{pieces}" if folder and pieces else folder or pieces
    parts = folder.split("/") if folder else []
    for part in relative.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def folders_above(folder: str) -> Iterable[str]:
    """The folder itself, then those around it, up to and with the root's own ("")."""
    while folder:
        yield folder
        folder = folder_of(folder)
    yield ""
