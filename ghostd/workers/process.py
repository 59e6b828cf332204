"""One worker process as the event loop sees it: start, one request at a time, its end."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

from ghostd.workers.environment import scrubbed_environment
from ghostd.workers.messages import Decoder, Finish, FrameError, Load, Message, encode
from ghostd.workers.scratch import make_scratch

log = logging.getLogger(__name__)

_GRACE_S = 1.0
"""Beyond the time to save, until a worker is ended."""
_OUTPUT_LINES = 20
"""Last lines of a worker's output that are kept for the message about its crash."""


class WorkerProcess(asyncio.Protocol):
    """The process and its socket. `on_message` and `on_end` are called on the event loop."""

    def __init__(self, on_message: Callable[[Message], None], on_end: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_end = on_end
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._scratch: Path | None = None
        self.output: deque[str] = deque(maxlen=_OUTPUT_LINES)
        self.ended = False
        self._saves = False
        self._patience: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and not self.ended else None

    async def start(self, load: Callable[[str], Load], *, scratch: bool) -> None:
        """Start the process and send it what to load; `load` is given the scratch folder, or ""."""
        try:
            if scratch:
                self._scratch = await asyncio.to_thread(make_scratch)
            await self._spawn()
        except BaseException:
            self.kill()
            await self._tidy()
            raise
        wanted = load(str(self._scratch or ""))
        self._saves = bool(wanted.prompts)
        self.send(wanted)

    async def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            # -P and the root folder: a file of the daemon's folder must not be imported in place of a library.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "ghostd.workers.main", str(theirs.fileno()), str(os.getpid()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                env=scrubbed_environment(),
                cwd="/",
                start_new_session=True,
            )  # fmt: skip
            ours.setblocking(False)
            await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ours."""
        # A cast: uvloop's transports do not inherit from asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Pass on the messages that have arrived."""
        try:
            messages = self._decoder.feed(data)
        except FrameError as error:
            log.warning("a worker sent nonsense (%s); it is ended", error)
            self.kill()
            return
        for message in messages:
            self._on_message(message)

    def connection_lost(self, _error: Exception | None) -> None:
        """The process has ended, or is about to."""
        if not self.ended:
            self.ended = True
            if self._patience is not None:
                self._patience.cancel()
            self.kill()
            self._on_end()

    def send(self, message: Message) -> None:
        """Send a message; nothing happens when the process has ended."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    def finish(self, within_s: float) -> bool:
        """Let it save its prompts and end, a loaded one; in any case it ends soon after that time. False: it has none
        to save, and was ended at once."""
        if not self._saves or self.ended:
            self.kill()
            return False
        self.send(Finish(within_s))
        self._patience = asyncio.get_running_loop().call_later(within_s + _GRACE_S, self._out_of_time)
        return True

    def _out_of_time(self) -> None:
        log.warning("a worker that was to end did not in time; it is ended, and what it had read is not kept")
        self.kill()

    def kill(self) -> None:
        """End it at once, whatever it does; a stopped process ends too."""
        if self._process is not None and self._process.returncode is None:
            # Not Process.kill: that polls first, and so takes the exit status away from asyncio's child watcher.
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
        if self._transport is not None:
            self._transport.abort()

    async def wait_status(self, timeout_s: float) -> int | None:
        """How it ended, as in subprocess (negative for a signal); None when that is not known in time."""
        if self._process is None:
            return None
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._process.wait()
        return self._process.returncode

    async def run(self) -> None:
        """Log its output until it ends, then tidy up. Cancelling this ends the process."""
        assert self._process is not None and self._process.stdout is not None
        try:
            rest = b""
            while data := await self._process.stdout.read(8192):
                *lines, rest = (rest + data)[-65536:].split(b"\n")
                for line in lines:
                    self._log_line(line)
            self._log_line(rest)
            await self._process.wait()
        finally:
            self.kill()
            await self._process.wait()
            await self._tidy()

    async def _tidy(self) -> None:
        if self._scratch is not None:
            await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)

    def _log_line(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            self.output.append(text)
            log.debug("worker %s: %s", self.pid, text)
