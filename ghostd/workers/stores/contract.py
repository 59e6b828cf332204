"""What a store is, and the limits under which it is searched."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ghostd.workers.gguf_header import is_later_part

MAX_MODELS = 1000
"""Of one store."""
MAX_ENTRIES = 50_000
"""Files and folders looked at in one store."""
MAX_SECONDS = 10.0
"""For one store: a folder on a server that does not answer must not hold up the others."""

_FIRST_PART = re.compile(r"-00001-of-\d{5}$")
_PROJECTOR = re.compile(r"mmproj|imatrix", re.IGNORECASE)
"""Files beside a model that are none; known by their names before their headers are read."""


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A file that may be a model."""

    name: str
    """As the program that downloaded it calls it."""
    path: Path
    longer_name: str = ""
    """Tells it apart from another one of the same name in the same store."""


@dataclass(frozen=True, slots=True)
class Store:
    """One place where a program keeps models. `look` blocks on the disk."""

    prefix: str
    """Put before a name that is taken already: "ollama" makes "ollama/qwen:7b"."""
    source: str
    """As in ModelInfo.source."""
    look: Callable[[Search], Iterator[FoundModel]]


class LimitReached(Exception):
    """The search has looked at as much as it may."""


@dataclass(slots=True)
class Search:
    """One look at one store: what it may still cost, and what was left out and why."""

    environ: Mapping[str, str]
    skips: list[tuple[str, str]] = field(default_factory=list)
    """(path, reason) pairs."""
    _entries: int = 0
    _deadline_s: float = field(default_factory=lambda: time.monotonic() + MAX_SECONDS)

    @property
    def home(self) -> Path | None:
        """The user's home folder, if there is one."""
        home = self.environ.get("HOME", "")
        return Path(home) if home.startswith("/") else None

    def folder(self, variable: str) -> Path | None:
        """The folder that an environment variable names; None, with the reason noted, when it cannot be one."""
        text = self.environ.get(variable, "")
        if not text:
            return None
        if text.startswith("~/") and self.home is not None:
            return self.home / text[2:]
        if text.startswith("/"):
            return Path(text)
        self.skip(text, f"the variable {variable} is no absolute path")
        return None

    def skip(self, path: str | Path, reason: str) -> None:
        """Note that something was left out."""
        self.skips.append((shown(path), reason))

    def entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """What lies in a folder, by name; nothing if it cannot be read. Raises LimitReached."""
        found = []
        try:
            with os.scandir(folder) as scanned:
                for entry in scanned:
                    self._entries += 1
                    if self._entries > MAX_ENTRIES:
                        raise LimitReached(f"more than {MAX_ENTRIES} files and folders")
                    if time.monotonic() > self._deadline_s:
                        raise LimitReached(f"the search took longer than {MAX_SECONDS:g} s")
                    found.append(entry)
        except (FileNotFoundError, NotADirectoryError):
            return []  # the program is not installed, or keeps nothing
        except OSError as error:
            self.skip(folder, error.strerror or "cannot be read")
            return []
        return sorted(found, key=lambda entry: entry.name)

    def folders(self, folder: Path) -> list[Path]:
        """The folders in a folder; links to folders are not followed."""
        return [Path(entry.path) for entry in self.entries(folder) if entry.is_dir(follow_symlinks=False)]

    def files(self, folder: Path, depth: int) -> Iterator[Path]:
        """GGUF files in a folder and up to `depth` below it: each first part, and nothing known to be no model."""
        for entry in self.entries(folder):
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if depth > 0:
                    yield from self.files(path, depth - 1)
            elif entry.name.endswith(".gguf") and not is_later_part(path) and not _PROJECTOR.search(entry.name):
                yield from [path] if self.is_regular(path) else []

    def is_regular(self, path: Path) -> bool:
        """Whether it is a regular file or a link to one; otherwise the reason is noted."""
        try:
            mode = path.stat().st_mode
        except OSError as error:
            self.skip(path, error.strerror or "cannot be read")
            return False
        if not stat.S_ISREG(mode):
            self.skip(path, "not a regular file")
            return False
        return True

    def read_small(self, path: Path, limit_bytes: int) -> bytes | None:
        """A small regular file's content; None, with the reason noted, when it is something else."""
        try:
            # Not blocking: what was a file a moment ago may be a pipe now.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            self.skip(path, error.strerror or "cannot be read")
            return None
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                self.skip(path, "not a regular file")
                return None
            try:
                data = file.read(limit_bytes + 1)
            except OSError as error:
                self.skip(path, error.strerror or "cannot be read")
                return None
        if len(data) > limit_bytes:
            self.skip(path, f"larger than {limit_bytes} bytes")
            return None
        return data


def model_name(path: Path) -> str:
    """A file's name as a model's: without `.gguf` and a split file's number."""
    return shown(_FIRST_PART.sub("", path.stem))


def shown(path: str | Path) -> str:
    """The path as text that JSON can carry: what is not UTF-8 in it becomes an escape."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")
