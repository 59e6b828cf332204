"""Linux inotify, as far as the index needs it.

The daemon owns one inotify instance for all roots and hands it to the worker process, which adds each folder's watch
just before it lists the folder: nothing can change unseen in between, ignored folders cost no watch, and the daemon
need not walk a tree. watchfiles, which serves other systems, wakes up at every step to look for changes (20 times a
second at a step of 50 ms), watches ignored folders too, and does not tell when the kernel's queue overflowed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

IN_ATTRIB = 0x004
IN_CLOSE_WRITE = 0x008
IN_MOVED_FROM = 0x040
IN_MOVED_TO = 0x080
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_UNMOUNT = 0x2000
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x01000000
IN_DONT_FOLLOW = 0x02000000
IN_EXCL_UNLINK = 0x04000000
IN_ISDIR = 0x40000000

WATCH_MASK = (
    IN_ATTRIB
    | IN_CLOSE_WRITE
    | IN_MOVED_FROM
    | IN_MOVED_TO
    | IN_CREATE
    | IN_DELETE
    | IN_DELETE_SELF
    | IN_MOVE_SELF
    | IN_ONLYDIR
    | IN_EXCL_UNLINK
)

_HEADER = struct.Struct("iIII")
READ_BYTES = 64 * 1024


class Event(NamedTuple):
    """One event; `name` is the entry in the watched folder, "" for the folder itself."""

    watch: int
    mask: int
    name: str


class WatchLimit(Exception):
    """The user's inotify watches (fs.inotify.max_user_watches) are used up."""


def available() -> bool:
    """Whether this system has inotify."""
    return sys.platform == "linux"


def create() -> int:
    """A new non-blocking inotify instance; raises OSError."""
    descriptor = _libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(descriptor)


def add(descriptor: int, folder: str, follow: bool = False) -> int | None:
    """Watch a folder; None when it is gone, unreadable or a link. Raises WatchLimit."""
    mask = WATCH_MASK if follow else WATCH_MASK | IN_DONT_FOLLOW
    watch = _libc().inotify_add_watch(descriptor, os.fsencode(folder), mask)
    if watch >= 0:
        return int(watch)
    if ctypes.get_errno() == errno.ENOSPC:
        raise WatchLimit
    return None


def remove(descriptor: int, watch: int) -> None:
    """End a watch; one that has ended is no error."""
    _libc().inotify_rm_watch(descriptor, watch)


def read(descriptor: int) -> Iterator[Event]:
    """The events that wait now."""
    try:
        data = os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return
    offset = 0
    while offset < len(data):
        watch, mask, _, length = _HEADER.unpack_from(data, offset)
        offset += _HEADER.size
        name = data[offset : offset + length].rstrip(b"\0")
        offset += length
        yield Event(watch, mask, os.fsdecode(name))


def _libc() -> ctypes.CDLL:
    return _LIBC


_LIBC = ctypes.CDLL(None, use_errno=True)
