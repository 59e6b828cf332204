"""Batches over a store in memory and a scripted gateway: what their requests are, and when they are tried again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from batches.batch_world import chat_line, jsonl

from ghostd.batch import ENDED, BackgroundReply, BackgroundRequest, Batch, NewBatch
from ghostd.batches.patience import Patience, Tries
from ghostd.batches.places import Places
from ghostd.batches.service import BatchService, open_batches
from ghostd.config.files import BatchesConfig
from ghostd.testing.file_contract import content_of, keep
from ghostd.testing.memory_files import MemoryFiles

OK = BackgroundReply(200, "req_1", b'{"usage":{"input_tokens":3,"output_tokens":2}}')
Ask = Callable[[BackgroundRequest], Awaitable[BackgroundReply]]


@asynccontextmanager
async def batches(folder: Path, ask: Ask, files: MemoryFiles) -> AsyncIterator[BatchService]:
    async with open_batches(folder / "batches", BatchesConfig(), files, ask) as service:
        yield service


async def begin(service: BatchService, files: MemoryFiles, *lines: dict[str, Any], **changes: Any) -> Batch:
    file = await keep(files, jsonl(lines or (chat_line("a"),)), purpose="batch")
    wanted = NewBatch(endpoint="/v1/chat/completions", input_file_id=file.id, completion_window="24h")
    return await service.create(replace(wanted, **changes))


async def ended(service: BatchService, batch: Batch) -> Batch:
    async with asyncio.timeout(10):
        while (found := await service.get(batch.id)) is None or found.status not in ENDED:
            await asyncio.sleep(0)
    return found


async def test_a_request_goes_as_it_stands_in_the_file_with_the_batchs_hints(tmp_path: Path) -> None:
    asked: list[BackgroundRequest] = []

    async def ask(request: BackgroundRequest) -> BackgroundReply:
        asked.append(request)
        return OK

    files = MemoryFiles()
    async with batches(tmp_path, ask, files) as service:
        line = chat_line("a", newer={"field": [1]})
        batch = await ended(service, await begin(service, files, line, hints={"x-client": "me"}))
        assert (batch.status, batch.usage.input_tokens, batch.usage.output_tokens) == ("completed", 3, 2)
        (request,) = asked
        assert request.path == "/v1/chat/completions"
        assert msgspec.json.decode(request.body) == line["body"]
        assert request.hints == {"x-client": "me", "x-intent": "batch"}


@pytest.mark.parametrize("body", [b'{\n  "a": "x\\ny"\r\n}', b"not JSON", b'{"usage": "many"}', b'{"usage":null}', b""])
async def test_whatever_a_reply_is_the_output_has_one_line(tmp_path: Path, body: bytes) -> None:
    async def ask(request: BackgroundRequest) -> BackgroundReply:
        return replace(OK, body=body)

    files = MemoryFiles()
    async with batches(tmp_path, ask, files) as service:
        batch = await ended(service, await begin(service, files))
        (line,) = (await content_of(files, str(batch.output_file_id))).splitlines()
        found = msgspec.json.decode(line)["response"]["body"]
        if body.startswith(b"{"):
            assert found == msgspec.json.decode(body)
        else:
            assert found == body.decode()


async def test_a_mistake_of_ghostds_own_fails_the_batch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def ask(request: BackgroundRequest) -> BackgroundReply:
        raise ZeroDivisionError

    files = MemoryFiles()
    async with batches(tmp_path, ask, files) as service:
        batch = await ended(service, await begin(service, files))
        assert (batch.status, batch.problems[0].code) == ("failed", "internal_error")
        assert "cannot go on" in caplog.text
        async with asyncio.timeout(10):
            while [path for path in (tmp_path / "batches").iterdir() if path.is_dir()]:
                await asyncio.sleep(0)


async def test_requests_at_once_are_limited_over_all_batches(tmp_path: Path) -> None:
    running, most, hold = 0, 0, asyncio.Event()

    async def ask(request: BackgroundRequest) -> BackgroundReply:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 4:
            hold.set()
        await hold.wait()
        await asyncio.sleep(0)
        running -= 1
        return OK

    files = MemoryFiles()
    async with batches(tmp_path, ask, files) as service:
        made = [await begin(service, files, *(chat_line(f"{n}") for n in range(20))) for _ in range(3)]
        for batch in made:
            assert (await ended(service, batch)).completed == 20
    assert most == 4


async def test_a_batch_may_be_cancelled_before_it_has_been_read(tmp_path: Path) -> None:
    async def ask(request: BackgroundRequest) -> BackgroundReply:
        raise AssertionError("it was asked")

    files = MemoryFiles()
    async with batches(tmp_path, ask, files) as service:
        made = await begin(service, files)
        await service.cancel(made.id)
        batch = await ended(service, made)
        assert (batch.status, batch.total, batch.output_file_id, batch.error_file_id) == ("cancelled", 0, None, None)


async def test_a_model_that_is_not_back_yet_after_a_restart_is_waited_for() -> None:
    loop = asyncio.get_running_loop()
    reply = BackgroundReply(404, "r", b"{}", "model_not_found")
    assert Patience(3, loop.time() + 10).pause_s(Tries(), reply, "m") is not None
    assert Patience(3, 0.0).pause_s(Tries(), reply, "m") is None


@pytest.mark.parametrize(
    ("reply", "tries"),
    [
        (BackgroundReply(400, "r", b""), 1),
        (BackgroundReply(500, "r", b""), 3),
        (BackgroundReply(502, "r", b"", hopeless=True), 1),
        (BackgroundReply(429, "r", b"", "insufficient_quota"), 3),
        (BackgroundReply(429, "r", b"", "rate_limit_exceeded"), None),
        (BackgroundReply(503, "r", b"", "overloaded"), None),
    ],
)
async def test_how_often_a_failure_is_tried_again(reply: BackgroundReply, tries: int | None) -> None:
    patience, so_far = Patience(3, 0.0), Tries()
    pauses = [patience.pause_s(so_far, reply, "m") for _ in range(12)]
    if tries is None:
        assert None not in pauses
        assert pauses[-1] == 60
    else:
        assert pauses.index(None) == tries - 1


async def test_a_pause_is_what_the_service_says_within_reason() -> None:
    patience = Patience(9, 0.0)
    for said_s, wanted_s in ((7.0, 7.0), (0.0, 0.05), (1e9, 60.0)):
        reply = BackgroundReply(429, "r", b"", None, said_s)
        assert patience.pause_s(Tries(), reply, f"{said_s}") == wanted_s


# --- places ---------------------------------------------------------------------------


class Crowd:
    """Requests that take and give back places."""

    def __init__(self, total: int) -> None:
        self.places = Places(total)
        self.running: Counter[str] = Counter()
        self.tasks: dict[str, list[tuple[asyncio.Task[None], asyncio.Event]]] = {}

    def want(self, batch: str, count: int) -> None:
        for _ in range(count):
            done = asyncio.Event()
            self.tasks.setdefault(batch, []).append((asyncio.create_task(self._one(batch, done)), done))

    async def _one(self, batch: str, done: asyncio.Event) -> None:
        async with self.places.place(batch):
            self.running[batch] += 1
            try:
                await done.wait()
            finally:
                self.running[batch] -= 1

    async def settled(self) -> dict[str, int]:
        for _ in range(5):
            await asyncio.sleep(0)
        return {batch: count for batch, count in self.running.items() if count}

    async def finish(self, batch: str, count: int) -> None:
        for task, done in self.tasks[batch][:count]:
            done.set()
            await task
        del self.tasks[batch][:count]

    async def leave(self) -> None:
        tasks = [task for batch in self.tasks.values() for task, _ in batch]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_slow_batch_does_not_keep_all_places() -> None:
    crowd = Crowd(4)
    crowd.want("slow", 9)
    assert await crowd.settled() == {"slow": 4}
    crowd.want("quick", 9)
    await crowd.finish("slow", 1)
    assert await crowd.settled() == {"slow": 3, "quick": 1}
    await crowd.finish("quick", 1)
    assert await crowd.settled() == {"slow": 3, "quick": 1}
    await crowd.finish("slow", 1)
    assert await crowd.settled() == {"slow": 2, "quick": 2}
    await crowd.finish("slow", 1)
    assert await crowd.settled() == {"slow": 2, "quick": 2}
    await crowd.finish("quick", 8)
    assert await crowd.settled() == {"slow": 4}, "what nobody else wants is its own again"
    await crowd.leave()
    assert await crowd.settled() == {}
    crowd.tasks.clear()
    crowd.want("next", 9)
    assert await crowd.settled() == {"next": 4}
    await crowd.leave()


async def test_more_batches_than_places_take_turns() -> None:
    crowd = Crowd(2)
    for batch in "abcd":
        crowd.want(batch, 2)
    assert await crowd.settled() == {"a": 2}, "it was alone"
    await crowd.finish("a", 2)
    assert await crowd.settled() == {"b": 1, "c": 1}
    await crowd.finish("b", 1)
    assert await crowd.settled() == {"c": 1, "b": 1}
    await crowd.finish("b", 1)
    assert await crowd.settled() == {"c": 1, "d": 1}
    await crowd.leave()
