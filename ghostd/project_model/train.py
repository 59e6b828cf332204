"""The process that learns a root: reads a job from standard input, writes the segment, answers on standard output.

It ends by itself when the daemon does: standard input then closes.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec


class Job(msgspec.Struct, frozen=True):
    """What to learn."""

    root: str
    target: str
    """The segment to write."""
    files: tuple[tuple[str, str], ...]
    """(path relative to the root, content hash as the index has it); the first are the most wanted."""
    max_tokens: int
    max_file_bytes: int


class Done(msgspec.Struct, frozen=True):
    """What was learned."""

    files: int
    left_out: int
    """Files that the limit on tokens left no room for."""
    cpu_s: float


def main() -> None:
    """Do one job."""
    os.nice(10)
    line = sys.stdin.buffer.readline()
    job = msgspec.json.decode(line, type=Job)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from ghostd.project_model.build import build

    left_out = build(_contents(job), Path(job.target), job.max_tokens)
    times = os.times()
    done = Done(len(job.files) - len(left_out), len(left_out), times.user + times.system)
    sys.stdout.buffer.write(msgspec.json.encode(done))
    sys.stdout.buffer.flush()


def _end_with_parent() -> None:
    # Not by a buffered reader: Python aborts at its end where a thread holds the lock of one.
    while os.read(0, 65_536):
        pass
    os._exit(3)


def _contents(job: Job) -> Iterator[tuple[str, str, bytes]]:
    root = os.path.realpath(job.root)
    for path, content_hash in job.files:
        # What cannot be read counts as empty, so that it is not tried again until it changes.
        yield path, content_hash, read_file(root, path, job.max_file_bytes) or b""


def read_file(root: str, path: str, max_bytes: int) -> bytes | None:
    """The file's bytes; None when it is gone, no regular file, too large, or leads out of the root."""
    full = os.path.join(root, path)  # noqa: PTH118  (a string many thousand times)
    try:
        descriptor = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > max_bytes or not _lies_in(root, full, found):
            return None
        with os.fdopen(os.dup(descriptor), "rb") as file:  # which a folder's descriptor would not become
            content = file.read(max_bytes + 1)
    finally:
        os.close(descriptor)
    return None if b"\0" in content[:4096] else content


def _lies_in(root: str, full: str, opened: os.stat_result) -> bool:
    """Whether what was opened under this path is in the root: a folder on the way may have been a link just then."""
    real = os.path.realpath(full)
    try:
        return real.startswith(root + os.sep) and os.path.samestat(os.lstat(real), opened)
    except OSError:
        return False


if __name__ == "__main__":
    main()
