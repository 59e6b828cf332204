"""A load generator that costs little: raw HTTP/1.1 over asyncio.Protocol on uvloop.

Reads jobs, one JSON object a line, from stdin and prints a JSON object with the figures of each.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import Any, cast

import uvloop

_STAMP = re.compile(rb"@(\d+)@")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """Sends the same request again and again, each when the last one's reply is complete."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.transport: asyncio.Transport
        self.sent_at = 0.0
        self.reply = b""
        self.wanted: int | None = None
        self.first_at: float | None = None
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none, but has its methods
        self._send()

    def _send(self) -> None:
        if not self.run.take():
            self.busy = False
            self.transport.close()
            return
        self.reply = b""
        self.wanted = None
        self.first_at = None
        self.busy = True
        self.sent_at = time.perf_counter()
        self.transport.write(self.run.request)

    def data_received(self, data: bytes) -> None:
        """Collect the reply."""
        run = self.run
        if run.timed:
            now = time.monotonic_ns()
            run.delays += [now - int(stamp) for stamp in _STAMP.findall(data)]
        if self.first_at is None and (b"data:" in data or not run.stream):
            self.first_at = time.perf_counter()
        self.reply = self.reply + data if self.reply else data
        if self.wanted is None:
            end = self.reply.find(b"\r\n\r\n")
            if end < 0:
                return
            found = _LENGTH.search(self.reply, 0, end + 2)
            self.wanted = end + 4 + int(found[1]) if found else 0
        if len(self.reply) >= self.wanted if self.wanted else self.reply.endswith(b"0\r\n\r\n"):
            self._complete()

    def _complete(self) -> None:
        now = time.perf_counter()
        run = self.run
        reply = self.reply
        good = reply.startswith(b"HTTP/1.1 200") and (
            b"[DONE]" in reply[-40:] if run.stream else b"return a + b" in reply
        )
        run.done(now - self.sent_at, (self.first_at or now) - self.sent_at, b"" if good else reply)
        if b"onnection: close" in reply[:1000]:
            self.busy = False
            self.transport.close()
            run.connect()
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        """A connection lost in the middle of a reply is a failure."""
        if self.busy:
            self.run.done(0.0, 0.0, self.reply or b"connection lost")
            self.run.connect()
        self.run.ended()


class Run:
    """One job: so many requests over so many connections."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.port: int = job["port"]
        self.request = request(job)
        self.stream = job["stream"]
        self.timed = job["prompt"] == "bench:paced"
        self.left: int = job["requests"]
        self.open = 0
        self.seconds: list[float] = []
        self.firsts: list[float] = []
        self.delays: list[int] = []
        self.failures: list[bytes] = []
        self.finished = asyncio.Event()
        self.connecting: set[asyncio.Task[Any]] = set()

    def take(self) -> bool:
        """Whether there is another request to send."""
        self.left -= 1
        return self.left >= 0

    def done(self, seconds: float, first: float, failure: bytes) -> None:
        """Note a reply."""
        if failure:
            self.failures.append(failure)
        else:
            self.seconds.append(seconds)
            self.firsts.append(first)

    def connect(self) -> None:
        """Open a connection."""
        self.open += 1
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.create_connection(lambda: Connection(self), "127.0.0.1", self.port))
        self.connecting.add(task)
        task.add_done_callback(self.connecting.discard)

    def ended(self) -> None:
        """A connection is gone."""
        self.open -= 1
        if self.open == 0:
            self.finished.set()


def request(job: dict[str, Any]) -> bytes:
    """A chat completion as HTTP."""
    body = {
        "model": job["model"],
        "messages": [
            {"role": "system", "content": "You are a careful programmer."},
            {"role": "user", "content": f"Add two numbers. {job['prompt']}"},
        ],
        "max_tokens": 400,
        "temperature": 0.2,
    } | ({"stream": True} if job["stream"] else {})
    encoded = json.dumps(body).encode()
    headers = {
        "Host": f"127.0.0.1:{job['port']}",
        "Content-Type": "application/json",
        "Authorization": "Bearer sk-bench",
        "User-Agent": "bench",
        "Content-Length": str(len(encoded)),
    } | job.get("headers", {})
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {job['path']} HTTP/1.1\r\n{head}\r\n".encode() + encoded


async def send_all(job: dict[str, Any]) -> dict[str, Any]:
    """Send a job's requests; seconds and nanoseconds as they were measured."""
    run = Run(job)
    began = time.perf_counter()
    for _ in range(min(job["concurrency"], job["requests"])):
        run.connect()
    try:
        async with asyncio.timeout(job.get("limit_s", 120)):
            await run.finished.wait()
    except TimeoutError:
        run.failures.append(b"not done in time")
    return {
        "took_s": time.perf_counter() - began,
        "seconds": run.seconds,
        "firsts": run.firsts,
        "delays_ns": run.delays,
        "failed": len(run.failures),
        "failure": run.failures[0][:600].decode("latin-1") if run.failures else "",
    }


async def hang_up(job: dict[str, Any]) -> dict[str, Any]:
    """Send a request that gets no (complete) reply, leave, and ask the upstream when it saw that."""
    before = len(await _left(job["upstream"]))
    reader, writer = await asyncio.open_connection("127.0.0.1", job["port"])
    writer.write(request(job))
    if job["prompt"] == "bench:open":
        try:
            await asyncio.wait_for(reader.readuntil(b"word0"), 10)
        except (asyncio.IncompleteReadError, TimeoutError) as error:
            return {"hang_up_s": None, "failure": repr(error)}
    else:
        await asyncio.sleep(0.3)  # nothing tells when the request has reached the upstream
    closed = time.monotonic()
    writer.close()
    for _ in range(100):
        await asyncio.sleep(0.02)
        left = await _left(job["upstream"])
        if len(left) > before:
            return {"hang_up_s": left[before] - closed}
    return {"hang_up_s": None}


async def _left(port: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /left HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    found = _LENGTH.search(head)
    assert found
    body = await reader.readexactly(int(found[1]))
    writer.close()
    left: list[float] = json.loads(body)
    return left


async def main() -> None:
    """Do the jobs."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        job = json.loads(line)
        figures = await (hang_up if job.get("hang_up") else send_all)(job)
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
