"""One daemon for each user and home: a lock that the kernel releases with the process, however it dies."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ghostd.errors import InstanceError
from ghostd.local.paths import Paths


class Instance(msgspec.Struct, frozen=True):
    """What a running daemon says of itself in its lock file."""

    pid: int
    version: str
    started: float
    """Seconds since the epoch."""
    url: str = ""
    """Base URL of the HTTP API; empty until the daemon is ready."""


class Lock:
    """The held lock; `describe` replaces what others read in it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def describe(self, instance: Instance) -> None:
        """Write the description; readers see the old or the new one, whole."""
        data = msgspec.json.encode(instance)
        os.pwrite(self._descriptor, data + b"\n", 0)
        os.ftruncate(self._descriptor, len(data) + 1)


@contextmanager
def hold(paths: Paths, instance: Instance) -> Iterator[Lock]:
    """Hold the home's lock while the block runs.

    Raises InstanceError, naming the holder, if another has it, and if something else lies in the lock's place.
    """
    descriptor = _open(paths.lock)
    try:
        if not _take(descriptor):
            raise InstanceError(_held_message(paths))
        lock = Lock(descriptor)
        lock.describe(instance)
        yield lock
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)  # the lock goes with it


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise InstanceError(f"cannot open the lock {path}: {error.strerror}; remove what lies there") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InstanceError(f"the lock {path} is not a file; remove what lies there")
    return descriptor


def _take(descriptor: int) -> bool:
    """Lock, looking again for a moment: `running` of another process holds the lock for an instant."""
    for _ in range(10):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


def running(paths: Paths) -> Instance | None:
    """The daemon that holds this home, or None. A description left by a killed daemon does not count."""
    try:
        descriptor = os.open(paths.lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _describe(paths.lock)
        return None
    finally:
        os.close(descriptor)


def _describe(path: Path) -> Instance:
    """What the holder says; it may need a moment to say it. Process id 0 if it says nothing."""
    for _ in range(10):
        if found := _read(path):
            return found
        time.sleep(0.02)
    return Instance(pid=0, version="?", started=0.0)


def _read(path: Path) -> Instance | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Instance)
    except (OSError, msgspec.DecodeError):
        return None


def _held_message(paths: Paths) -> str:
    holder = _read(paths.lock)
    who = f"pid {holder.pid}, version {holder.version}" if holder else "its process id is not known yet"
    where = f" at {holder.url}" if holder and holder.url else ""
    return (
        f"ghostd is already running for this user and home ({who}){where}. "
        "Use it, end it with `ghostd stop`, or set GHOSTD_HOME to another folder."
    )
