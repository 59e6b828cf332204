"""Processes that do a part of the daemon's work: started with little of what it has, ended in bounded time.

They are modules of ghostd, take orders on standard input, answer on standard output, and end when the first one closes.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

LINE_BYTES = 64 * 1024 * 1024
"""Longest line of an answer."""
_GOODBYE_S = 2.0
_ENVIRONMENT = ("LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
"""What a process inherits: no secrets, no home, no GIT_ variables."""


async def start(
    module: str,
    *arguments: str,
    environment: Sequence[str] = (),
    pass_fds: Sequence[int] = (),
    line_bytes: int = LINE_BYTES,
) -> asyncio.subprocess.Process:
    """Run a module, whose first argument is the daemon's process id; raises OSError.

    `environment` names further variables that it inherits. Its folder is the root, and with -P no file of that folder
    is imported in place of a library.
    """
    names = (*_ENVIRONMENT, *environment)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", module, str(os.getpid()), *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in names if name in os.environ},
        cwd="/",
        pass_fds=pass_fds,
        limit=line_bytes,
    )


def send(process: asyncio.subprocess.Process | None, *data: bytes) -> None:
    """Write to its standard input; nothing happens where there is no process any more."""
    if process is not None and process.stdin is not None and not process.stdin.is_closing():
        process.stdin.writelines(data)


async def end(process: asyncio.subprocess.Process) -> None:
    """Close its standard input, and kill it if it does not end by itself in time."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_GOODBYE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
