"""The daemon's side of the tokenizers' process: starts it for a question, ends it when idle or stuck."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import msgspec

from ghostd import child_process
from ghostd.tokenizers.messages import Question, Reply

log = logging.getLogger(__name__)

IDLE_S = 120.0
"""Without a question the process is ended."""
_ANSWER_S = 20.0
"""To load a vocabulary takes about one second, a megabyte of text a tenth of one."""
_REST_S = 30.0
"""After a failure no process is started for so long."""
_GOODBYE_S = 2.0
_LINE_BYTES = 256 * 1024 * 1024
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Reply).decode


class TokenizerProcess:
    """One question at a time. `close` it."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None
        self._rests_until = 0.0
        self._retired: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int | None:
        """The process's id; None while there is none."""
        return self._process.pid if self._process is not None else None

    async def ask(self, question: Question) -> Reply | None:
        """The answer; None where it cannot be had."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._rests_until:
            return None
        async with self._lock:
            self._stay()
            try:
                async with asyncio.timeout(_ANSWER_S):
                    return await self._exchange(question)
            except (OSError, TimeoutError, ValueError) as error:
                log.warning("the tokenizers' process does not answer (%s); tokens are estimated", error or "too slow")
                self._rests_until = loop.time() + _REST_S
                await self._end()
                return None
            except asyncio.CancelledError:
                await asyncio.shield(self._end())  # its answer would be taken for that of the next question
                raise
            finally:
                if self._process is not None:
                    self._idle = loop.call_later(self._idle_s, self._retire)

    async def close(self) -> None:
        """End the process."""
        async with self._lock:
            self._stay()
            await self._end()
        await asyncio.gather(*self._retired)

    async def _exchange(self, question: Question) -> Reply:
        if self._process is None or self._process.returncode is not None:
            self._process = await child_process.start("ghostd.tokenizers.worker", line_bytes=_LINE_BYTES)
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(_encode(question) + b"\n")
        await process.stdin.drain()
        line = await process.stdout.readline()
        if not line.endswith(b"\n"):
            raise OSError("it has ended")
        return _decode(line)

    def _stay(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _retire(self) -> None:
        process, self._process = self._process, None
        task = asyncio.get_running_loop().create_task(_ended(process), name="end the tokenizers' process")
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)

    async def _end(self) -> None:
        process, self._process = self._process, None
        await _ended(process)


async def _ended(process: asyncio.subprocess.Process | None) -> None:
    if process is None:
        return
    with suppress(ProcessLookupError):
        process.kill()
    with suppress(TimeoutError):
        async with asyncio.timeout(_GOODBYE_S):
            await process.wait()
