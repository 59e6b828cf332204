"""One writer for each root's store, over all processes: flock on a file beside it that names the holder."""

from __future__ import annotations

import fcntl
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ghostd.errors import RootError
from ghostd.index.kernel_mounts import kernel_mount_of


@dataclass(slots=True)
class RootLock:
    """A held lock. It ends with the process, or with `release()`."""

    descriptor: int

    def release(self) -> None:
        """Let others index the root."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def acquire(store: Path, root: Path) -> RootLock:
    """The lock of this root's store; raises RootError, with the holder's process id, when it is taken."""
    path = store.with_suffix(".lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RootError(root, f"its index {path} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise RootError(
            root,
            f"process {holder} is indexing it already; ask that ghostd, or stop it first",
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return RootLock(descriptor)


def check_and_lock(root: Path, store: Path) -> RootLock:
    """The lock of a folder that can be indexed; raises RootError."""
    try:
        str(root).encode()
    except UnicodeEncodeError:
        raise RootError(root, "its path is not UTF-8") from None
    try:
        mode = root.stat().st_mode
    except FileNotFoundError:
        raise RootError(root, "there is no such folder") from None
    except OSError as error:
        raise RootError(root, f"it cannot be looked at: {error.strerror}") from None
    if not stat.S_ISDIR(mode):
        raise RootError(root, "it is not a folder")
    if not os.access(root, os.R_OK | os.X_OK):
        raise RootError(root, "it may not be read (check its permissions)")
    if kind := kernel_mount_of(root.resolve()):
        raise RootError(root, f"it lies in a file system of the kernel's ({kind}), which holds no source")
    return acquire(store, root)
