"""The journal: segment files of JSON lines, each appended by one write(2), and read once.

A line is safe from a kill of the process as soon as it is written, since it then lies in the kernel's memory; nothing
is fsynced, so that a power cut may take the last seconds. A segment is read only after another has taken its place, and
deleted once its rows are in the database. Only the process that holds the home's lock may open a Journal.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ghostd.ledger.complaints import Complaint
from ghostd.ledger.lines import MAX_LINE_BYTES

MAX_WAITING_BYTES = 8 * 1024 * 1024
"""Lines kept in memory while they cannot be written; the oldest are given up for newer ones."""
_CHUNK_BYTES = 256 * 1024


@dataclass(slots=True)
class Segment:
    """An open segment file."""

    path: Path
    descriptor: int
    size_bytes: int = 0
    torn: bool = False
    """Whether it ends in part of a line that could not be cut off."""


def segments(folder: Path) -> list[Path]:
    """The segment files, oldest first."""
    found = [path for path in folder.glob("*.jsonl") if re.fullmatch("[0-9]{16}", path.stem) and path.is_file()]
    return sorted(found)


def open_segment(folder: Path) -> Segment:
    """Begin a segment that is younger than all others; raises OSError."""
    last = segments(folder)
    number = int(last[-1].stem) + 1 if last else 1
    path = folder / f"{number:016d}.jsonl"
    # O_NONBLOCK means nothing to the kernel here; it tells a guard against blocking calls that this write is meant.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
    return Segment(path, os.open(path, flags, 0o600))


def read_batches(path: Path) -> Iterator[list[bytes]]:
    """The segment's lines without their ends, some at a time; an overlong one comes in pieces that are no rows."""
    batch: list[bytes] = []
    size = 0
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES):
            if line := line.strip(b"\n\0"):  # zeros are what a power cut may leave of a file's end
                batch.append(line)
                size += len(line)
                if size > _CHUNK_BYTES:
                    yield batch
                    batch, size = [], 0
    if batch:
        yield batch


class Journal:
    """The writing side. `append` and `take` belong to the event loop's thread."""

    def __init__(self) -> None:
        self.segment: Segment | None = None
        """Where lines go; None while none can be opened."""
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._trouble = Complaint()
        self._given_up = Complaint()

    @property
    def waiting(self) -> int:
        """Lines in memory because they cannot be written."""
        return len(self._waiting)

    @property
    def given_up(self) -> int:
        """Lines lost because too many waited."""
        return self._given_up.count

    def append(self, line: bytes) -> None:
        """Write a line, its end included; if that fails, keep it and say so."""
        if self._waiting:
            self._keep(line)
            self.retry()
        elif not self._write(line):
            self._keep(line)

    def retry(self) -> None:
        """Write the lines that wait."""
        while self._waiting:
            chunk: list[bytes] = []
            size = 0
            for line in self._waiting:
                chunk.append(line)
                size += len(line)
                if size > _CHUNK_BYTES:
                    break
            if not self._write(b"".join(chunk)):
                return
            for _ in chunk:
                self._waiting_bytes -= len(self._waiting.popleft())

    def take(self, fresh: Segment) -> Segment | None:
        """Go on in `fresh`; the segment before it, which is now complete, is the caller's to close."""
        before, self.segment = self.segment, fresh
        return before

    def _write(self, data: bytes) -> bool:
        segment = self.segment
        if segment is None:
            return False
        if segment.torn:
            data = b"\n" + data
        try:
            written = os.write(segment.descriptor, data)
        except OSError as error:
            self._complain(f"{segment.path}: {error.strerror}")
            return False
        if written == len(data):
            segment.size_bytes += written
            segment.torn = False
            return True
        self._complain(f"{segment.path}: only part of a line could be written (is the disk full?)")
        try:
            os.ftruncate(segment.descriptor, segment.size_bytes)
        except OSError:
            segment.size_bytes += written
            segment.torn = True
        return False

    def _complain(self, reason: str) -> None:
        self._trouble.say(f"requests cannot be recorded, they wait in memory: {reason}")

    def _keep(self, line: bytes) -> None:
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        while self._waiting_bytes > MAX_WAITING_BYTES:
            self._waiting_bytes -= len(self._waiting.popleft())
            self._given_up.say("a record of a request is lost: too many wait in memory for room on the disk")


def keep_rejected(folder: Path, lines: list[bytes]) -> Path:
    """Keep lines that are no rows where a person can look at them; returns the file. Raises OSError."""
    path = folder / "journal.rejected"
    with suppress(FileNotFoundError):
        if path.stat().st_size > MAX_WAITING_BYTES:
            path.replace(path.with_suffix(".rejected.old"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"".join(line + b"\n" for line in lines))
    return path
