"""Batches across restarts, power cuts and full disks."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import Counter
from pathlib import Path

import openai
import pytest
from batches.batch_world import chat_line, echo, jsonl, said, world

from ghostd.batch import BatchUsage
from ghostd.batches.folder import BatchFolder
from ghostd.batches.service import seconds_of
from ghostd.config.files import BatchesConfig
from ghostd.files.contents import Upload
from ghostd.testing.scripted_upstream import Answer, Seen

HANG = Answer(silent=True, ending="hang")
ONE = BatchUsage(1, 0, 2, 0)


async def test_a_restart_asks_only_what_was_not_answered(tmp_path: Path) -> None:
    asked: Counter[str] = Counter()
    holding = True

    def serve(seen: Seen) -> Answer:
        if holding and int(said(seen)) >= 6:
            return HANG
        asked[said(seen)] += 1
        return echo(seen)

    config = BatchesConfig(concurrency=2)
    async with world(tmp_path, serve, config) as w:
        made = await w.begin([chat_line(f"r{n}", f"{n}") for n in range(12)])
        await w.upstream.requested(8)  # two hang
        async with asyncio.timeout(10):
            while (await w.client.batches.retrieve(made.id)).request_counts.completed < 6:  # type: ignore[union-attr]
                await asyncio.sleep(0.01)
    holding = False
    async with world(tmp_path, serve, config) as w:
        batch = await w.until(made.id)
        assert batch.status == "completed"
        assert batch.request_counts is not None
        assert batch.request_counts.completed == 12
        assert batch.usage is not None
        assert batch.usage.total_tokens == 12 * 14
        assert [line["custom_id"] for line in await w.outputs(batch)] == [f"r{n}" for n in range(12)]
    assert asked == Counter({f"{n}": 1 for n in range(12)})


async def test_a_cancelled_batch_ends_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path, lambda _: HANG) as w:
        made = await w.begin([chat_line("a")])
        await w.upstream.requested()
        await w.client.batches.cancel(made.id)
    async with world(tmp_path, lambda _: HANG) as w:
        batch = await w.until(made.id)
        assert batch.status == "cancelled"
        assert w.upstream.requests == []


async def test_a_window_that_passed_while_ghostd_was_away_expires_the_batch(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    async with world(tmp_path, lambda _: HANG, clock=lambda: now[0]) as w:
        made = await w.begin([chat_line("a")])
        await w.upstream.requested()
    now[0] += seconds_of("24h") + 1
    async with world(tmp_path, lambda _: HANG, clock=lambda: now[0]) as w:
        batch = await w.until(made.id)
        assert (batch.status, batch.output_file_id) == ("expired", None)
        (error,) = await w.errors(batch)
        assert error["error"]["code"] == "batch_expired"
        assert w.upstream.requests == []


async def test_old_batches_are_forgotten(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    async with world(tmp_path, clock=lambda: now[0]) as w:
        made = await w.begin([chat_line("a")])
        await w.until(made.id)
    now[0] += 31 * 86_400
    async with world(tmp_path, clock=lambda: now[0]) as w:
        await w.begin([chat_line("a")])
        async with asyncio.timeout(10):
            while made.id in [batch.id async for batch in w.client.batches.list()]:
                await asyncio.sleep(0.01)


async def test_a_full_disk_makes_a_batch_wait_and_loses_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ghostd.batches.run._RETRY_S", 0.01)
    full = True
    tried = asyncio.Event()
    loop = asyncio.get_running_loop()
    write = os.write

    def writing(descriptor: int, data: bytes) -> int:
        if full and b"batch_req_" in data:
            loop.call_soon_threadsafe(tried.set)
            write(descriptor, data[:30])
            return 30
        return write(descriptor, data)

    asked: Counter[str] = Counter()

    def serve(seen: Seen) -> Answer:
        asked[said(seen)] += 1
        return echo(seen)

    async with world(tmp_path, serve) as w:
        monkeypatch.setattr("ghostd.batches.folder.os.write", writing)
        made = await w.begin([chat_line(f"{n}", f"{n}") for n in range(3)])
        await tried.wait()
        assert (await w.client.batches.retrieve(made.id)).status == "in_progress"
        full = False
        batch = await w.until(made.id)
        assert [line["custom_id"] for line in await w.outputs(batch)] == ["0", "1", "2"]
        assert asked == Counter(["0", "1", "2"])


async def test_a_disk_that_is_full_at_the_end_only_delays_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ghostd.batches.service._RETRY_S", 0.01)
    failing = [True]
    tried = asyncio.Event()
    loop = asyncio.get_running_loop()
    keep = Upload.keep

    def keeping(upload: Upload, file_id: str) -> None:
        if failing[0]:
            loop.call_soon_threadsafe(tried.set)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        keep(upload, file_id)

    async with world(tmp_path) as w:
        file = await w.upload(jsonl([chat_line("a")]))
        monkeypatch.setattr(Upload, "keep", keeping)
        made = await w.client.batches.create(
            input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h"
        )
        await tried.wait()
        assert (await w.client.batches.retrieve(made.id)).status == "finalizing"
        with pytest.raises(openai.ConflictError):
            await w.client.batches.cancel(made.id)
        failing[0] = False
        batch = await w.until(made.id)
        assert len(await w.outputs(batch)) == 1
        assert len([file async for file in w.client.files.list(purpose="batch_output")]) == 1


# --- the folder of a batch -----------------------------------------------------------


def opened(path: Path) -> BatchFolder:
    found = BatchFolder(path)
    found.begin_requests()
    found.add_requests([b'{"custom_id":"a"}', b'{"custom_id":"b"}'])
    found.end_requests()
    found.open_log()
    return found


@pytest.mark.parametrize(
    "torn", [b'[1,true,[0,0,0,0],{"half', b"\0" * 50, b"junk\n", b"[1]\n", b'[1,true,[0,0,0,0],{"a":1}]']
)
def test_a_torn_end_of_the_log_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    log = opened(tmp_path / "b")
    log.append(0, True, ONE, b'{"first":1}')
    log.close()
    path = tmp_path / "b" / "answers.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    again = BatchFolder(tmp_path / "b")
    again.open_log()
    assert path.read_bytes() == whole
    assert (again.progress.completed, again.progress.usage) == (1, ONE)
    again.append(1, False, ONE, b'{"second":2}')
    assert (list(again.answers(ok=True)), list(again.answers(ok=False))) == ([b'{"first":1}'], [b'{"second":2}'])
    again.close()


def test_an_answer_counts_once(tmp_path: Path) -> None:
    log = opened(tmp_path / "b")
    log.append(0, True, ONE, b'{"first":1}')
    log.append(0, False, ONE, b'{"again":1}')
    assert (log.progress.completed, log.progress.failed) == (1, 0)
    assert list(log.offsets()) == [0, 18, 36]
    assert log.request(18, 36) == b'{"custom_id":"b"}\n'
    log.remove()
    assert not (tmp_path / "b").exists()
