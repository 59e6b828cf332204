"""What lies on the disk of a batch that runs: its requests, and the log of what was answered. Blocking.

The log is only ever appended to: a line is written before its request counts as answered (so that a killed daemon does
not ask again), and is on the disk itself a second later (so that a power cut loses no more than that). What a crash has
left of a last line is cut off. All methods raise OSError.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from ghostd.batch import BatchUsage

_SYNC_S = 1.0


class Result(msgspec.Struct, array_like=True):
    """One line of the log."""

    line: int
    """0-based number of the request."""
    ok: bool
    usage: tuple[int, int, int, int]
    out: msgspec.Raw
    """The line of the output or error file."""


class _Head(msgspec.Struct, array_like=True):
    """The same without what is large."""

    line: int
    ok: bool
    usage: tuple[int, int, int, int]


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_result = msgspec.json.Decoder(Result).decode
_encode = msgspec.json.Encoder().encode


class Progress:
    """What has been answered."""

    def __init__(self) -> None:
        self.results: dict[int, tuple[int, int, bool]] = {}
        """Request → where its line of the log begins, its length, and whether it succeeded."""
        self.completed = 0
        self.failed = 0
        self.usage = BatchUsage()
        self.size_bytes = 0
        """Of the log."""

    def add(self, line: int, ok: bool, usage: BatchUsage, size_bytes: int) -> None:
        """Another line of the log."""
        if line not in self.results:
            self.results[line] = (self.size_bytes, size_bytes, ok)
            self.completed += ok
            self.failed += not ok
            self.usage = self.usage.plus(usage)
        self.size_bytes += size_bytes


class BatchFolder:
    """The files of one batch, mode 0600 in a folder of mode 0700. Its methods may be called from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._log: int | None = None
        self._synced = 0.0
        self.progress = Progress()

    @property
    def _requests(self) -> Path:
        return self._path / "requests.jsonl"

    # --- requests ---------------------------------------------------------------------

    def begin_requests(self) -> None:
        """Begin to write the requests, anew."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._requests, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))

    def add_requests(self, lines: list[bytes]) -> None:
        """Write more of them."""
        with self._requests.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))

    def end_requests(self) -> None:
        """Have them on the disk."""
        for path in (self._requests, self._path):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def offsets(self) -> array[int]:
        """Where each request begins, and where the last one ends."""
        found = array("q", [0])
        with self._requests.open("rb") as file:
            for line in file:
                found.append(found[-1] + len(line))
        return found

    def request(self, begin: int, end: int) -> bytes:
        """One of them."""
        with self._requests.open("rb", buffering=0) as file:
            file.seek(begin)
            return file.read(end - begin)

    # --- the log ----------------------------------------------------------------------

    def open_log(self) -> None:
        """Read what was answered before, cut off what is broken, and go on from there."""
        path = self._path / "answers.jsonl"
        with self._lock:
            self._log = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self.progress = progress = Progress()
            with path.open("rb") as file:
                for line in file:
                    try:
                        head = _decode_head(line)
                    except (msgspec.DecodeError, RecursionError):
                        break
                    if not line.endswith(b"\n"):
                        break
                    progress.add(head.line, head.ok, BatchUsage(*head.usage), len(line))
            os.ftruncate(self._log, progress.size_bytes)

    def append(self, line: int, ok: bool, usage: BatchUsage, out: bytes) -> None:
        """Note an answer; when this returns it outlives the process. An answer that is there already is passed over."""
        head = (line, ok, (usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens))
        data = _encode((*head, msgspec.Raw(out))) + b"\n"
        with self._lock:
            if self._log is None or line in self.progress.results:
                return
            try:
                written = os.write(self._log, data)
                if written < len(data):
                    raise OSError(errno.ENOSPC, "only part of a line could be written")
            except OSError:
                os.ftruncate(self._log, self.progress.size_bytes)
                raise
            self.progress.add(line, ok, usage, len(data))
            if time.monotonic() - self._synced > _SYNC_S:
                os.fsync(self._log)
                self._synced = time.monotonic()

    def sync(self) -> None:
        """Have all of the log on the disk."""
        with self._lock:
            if self._log is not None:
                os.fsync(self._log)

    def answers(self, *, ok: bool) -> Iterator[bytes]:
        """The lines of the output file, or of the error file, in the order of the requests."""
        with self._lock:
            assert self._log is not None
            found = sorted(self.progress.results.items())
        for _, (offset, size, succeeded) in found:
            if succeeded is ok:
                yield bytes(_decode_result(os.pread(self._log, size, offset)).out)

    def close(self) -> None:
        """Close the log."""
        with self._lock:
            if self._log is not None:
                os.close(self._log)
                self._log = None

    def remove(self) -> None:
        """Delete it all."""
        self.close()
        with suppress(FileNotFoundError):
            shutil.rmtree(self._path)
