"""Folders for workers' sockets: private, short enough a path for a socket, and gone with the daemon that made them."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_NAME = re.compile(r"ghostd-worker-(\d+)-\w+")


def make_scratch() -> Path:
    """A new folder of mode 0700. Blocks on the disk."""
    return Path(tempfile.mkdtemp(prefix=f"ghostd-worker-{os.getpid()}-"))


def remove_stale_scratch() -> None:
    """Remove this user's folders whose daemon was killed. Blocks on the disk."""
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            match = _NAME.fullmatch(entry.name)
            if match is None or entry.is_symlink() or entry.stat(follow_symlinks=False).st_uid != os.getuid():
                continue
            if not _runs(int(match[1])):
                shutil.rmtree(entry.path, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
