"""What a model has read outlives its process: the first request of the next one reads only what is new."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import shutil
import signal
import stat
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from zlib import crc32

import pytest
from gguf_fixtures import ModelFile
from workers.opening import TIMEOUT_S, Install, completion, until
from workers.recurrent import write_mamba
from workers.sliding import write_gemma

from ghostd.completion.fill import collect
from ghostd.config.local import LocalConfig
from ghostd.errors import WorkerCrashed
from ghostd.types import Delta, Prompt
from ghostd.workers import leaving, process
from ghostd.workers.provider import LocalProvider, local_provider

pytestmark = pytest.mark.local_model

LONG = tuple(30 + (number * 7 + number * number) % 200 for number in range(600))
OTHER = tuple(40 + (number * 11 + number * number) % 190 for number in range(500))
MB = 1024 * 1024
KV_BYTES = 512
"""Of one token of the models used here."""


class Restarts:
    """Starts of ghostd's local models over the same folders."""

    def __init__(self, models_dir: Path, cache: Path) -> None:
        self._models_dir = models_dir
        self.cache = cache

    @property
    def folder(self) -> Path:
        """Where prompts are kept."""
        return self.cache / "prompts"

    def files(self) -> list[Path]:
        """All of them, whatever they are."""
        return sorted(self.folder.iterdir()) if self.folder.exists() else []

    def __call__(self, **settings: object) -> AbstractAsyncContextManager[LocalProvider]:
        """One start, with these settings."""
        config = LocalConfig(engine="llama-cpp-python", **settings)  # type: ignore[arg-type]
        return local_provider(config, self._models_dir, self._models_dir, cache=self.cache)


@pytest.fixture
def start(install: Install, models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Restarts:
    """With one model, `random`, that has time to save however busy the machine is."""
    pytest.importorskip("llama_cpp")
    monkeypatch.setattr(leaving, "_SAVE_S", TIMEOUT_S)
    install("random")
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    return Restarts(models_dir, cache)


async def ask(provider: LocalProvider, prompt: Prompt, max_tokens: int = 1, model: str = "random") -> Delta:
    """The whole reply."""
    return await collect(provider.complete(completion(model, prompt, max_tokens=max_tokens, logprobs=0)))


async def cached(provider: LocalProvider, prompt: Prompt, model: str = "random") -> int:
    """How much of the prompt was there already, by the worker's own count."""
    usage = (await ask(provider, prompt, model=model)).usage
    assert usage is not None
    return usage.cached_tokens


async def read_and_stop(start: Restarts, *prompts: Prompt, model: str = "random", **settings: object) -> None:
    """One start that reads these."""
    async with start(**settings) as provider:
        for prompt in prompts:
            await ask(provider, prompt, model=model)


# --- restarts ------------------------------------------------------------------------


async def test_the_first_request_after_a_restart_reads_only_what_is_new(start: Restarts) -> None:
    await read_and_stop(start, LONG)
    async with start() as provider:
        assert await cached(provider, (*LONG, 40, 41)) == len(LONG)


async def test_the_reply_is_the_one_without_a_restart(start: Restarts) -> None:
    """To the last digits but few: other cells of the cache may be summed up in another order."""
    longer = (*LONG, *OTHER[:20])
    async with start() as provider:
        await ask(provider, LONG)
        before = await ask(provider, longer, max_tokens=24)
        unlike = await ask(provider, (*OTHER, *OTHER[:20]), max_tokens=1)
    async with start() as provider:
        after = await ask(provider, longer, max_tokens=24)
    assert after.usage is not None and after.usage.cached_tokens == len(longer) - 1
    assert after.text == before.text and len(before.logprobs) > 1
    for one, other in zip(before.logprobs, after.logprobs, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=1e-3)
    assert unlike.logprobs[0].logprob != pytest.approx(before.logprobs[0].logprob, abs=1e-3)


async def test_it_lasts_over_several_restarts_and_grows(start: Restarts) -> None:
    await read_and_stop(start, LONG[:300])
    await read_and_stop(start, LONG)
    assert len(start.files()) == 1, "the shorter one is worth nothing any more"
    await read_and_stop(start, (41,))
    async with start() as provider:
        assert await cached(provider, LONG) == len(LONG) - 1


async def test_two_that_only_begin_alike_are_both_kept(start: Restarts) -> None:
    longer, other = (*LONG, *OTHER[:300]), (*LONG[:260], *OTHER)
    await read_and_stop(start, LONG)
    await read_and_stop(start, other, longer)
    async with start() as provider:
        assert await cached(provider, other) == len(other) - 1
        assert await cached(provider, longer) == len(longer) - 1
    assert len(start.files()) == 2, "of the first one nothing is left that the longer one has not"


async def test_several_prompts_are_kept(start: Restarts) -> None:
    await read_and_stop(start, LONG, OTHER, LONG[:50])
    async with start() as provider:
        assert await cached(provider, OTHER) == len(OTHER) - 1
        assert await cached(provider, LONG) == len(LONG) - 1


async def test_a_prompt_that_begins_alike_finds_the_beginning(start: Restarts) -> None:
    await read_and_stop(start, LONG)
    async with start() as provider:
        assert await cached(provider, (*LONG[:400], *OTHER[:200])) == 400


async def test_what_an_unloaded_model_has_read_is_there_when_it_is_loaded_again(start: Restarts) -> None:
    async with start() as provider:
        await ask(provider, LONG)
        before = provider.worker_pid("random")
        await provider.unload("random")
        assert provider.worker_pid("random") is None and len(start.files()) == 1
        assert await cached(provider, LONG) == len(LONG) - 1
        assert provider.worker_pid("random") != before


async def test_an_idle_model_that_is_asked_again_while_it_saves_is_waited_for(start: Restarts) -> None:
    async with start(idle_unload_s=0.01) as provider:
        await ask(provider, LONG)
        await until(lambda: provider.worker_pid("random") is None)
        assert await cached(provider, LONG) == len(LONG) - 1


async def test_a_model_that_makes_room_for_another_saves_first(
    start: Restarts, install: Install, model_file: ModelFile, models_dir: Path
) -> None:
    shutil.copy(model_file("random"), models_dir / "second.gguf")
    async with start(memory_budget_mb=60) as provider:
        await ask(provider, LONG)
        await ask(provider, OTHER, model="second")
        assert provider.worker_pid("random") is None
        assert await cached(provider, LONG) == len(LONG) - 1


async def test_a_reply_that_still_runs_does_not_hold_up_the_end(start: Restarts, install: Install) -> None:
    install("qwen")
    async with start() as provider:
        deltas = provider.complete(completion("qwen", LONG, max_tokens=None))
        await anext(deltas)  # it goes on for ever
    with pytest.raises(WorkerCrashed):
        async for _ in deltas:
            pass
    async with start() as provider:
        assert await cached(provider, LONG, model="qwen") == len(LONG) - 1


async def test_room_is_made_for_what_comes_back(start: Restarts) -> None:
    """The cache holds 1280 tokens: not all three together."""
    third = tuple(reversed(LONG))
    await read_and_stop(start, LONG, context_tokens=640)
    async with start(context_tokens=640) as provider:
        await ask(provider, third)
        await ask(provider, OTHER)
        assert await cached(provider, LONG) == len(LONG) - 1
        assert await cached(provider, third) < len(third) - 1


# --- what is not kept ----------------------------------------------------------------


async def test_short_prompts_are_not_worth_a_file(start: Restarts) -> None:
    await read_and_stop(start, LONG[:200])
    assert start.files() == []


async def test_what_the_self_test_reads_is_not_kept(start: Restarts) -> None:
    await read_and_stop(start, (41,), n_batch=512)
    assert start.files() == []


async def test_a_killed_worker_saves_nothing_and_the_next_start_is_as_ever(start: Restarts) -> None:
    async with start() as provider:
        await ask(provider, LONG)
        worker = provider.worker_pid("random")
        assert worker is not None
        os.kill(worker, signal.SIGKILL)
        await until(lambda: provider.worker_pid("random") is None)
    assert start.files() == []
    async with start() as provider:
        assert await cached(provider, LONG) == 0


async def test_a_worker_that_does_not_end_is_ended(start: Restarts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "_SAVE_S", 0.05)
    monkeypatch.setattr(process, "_GRACE_S", 0.05)
    async with start() as provider:
        await ask(provider, LONG)
        worker = provider.worker_pid("random")
        assert worker is not None
        os.kill(worker, signal.SIGSTOP)
    assert start.files() == []


async def test_recurrent_models_and_sliding_windows_are_left_out(start: Restarts, models_dir: Path) -> None:
    """Brought back, neither could go back to an earlier token."""
    await asyncio.to_thread(write_mamba, models_dir / "mamba.gguf")
    await asyncio.to_thread(write_gemma, models_dir / "gemma.gguf")
    for model in ("mamba", "gemma"):
        await read_and_stop(start, LONG, model=model)
        assert start.files() == []


async def test_off_deletes_what_was_kept(start: Restarts) -> None:
    await read_and_stop(start, LONG)
    foreign = start.folder / "notes.txt"
    foreign.write_text("not ghostd's")
    await read_and_stop(start, LONG, keep_prompt_cache=False)
    assert start.files() == [foreign]
    foreign.unlink()
    await read_and_stop(start, LONG, keep_prompt_cache=False)
    assert not start.folder.exists() or start.files() == []
    async with start() as provider:
        assert await cached(provider, LONG) == 0


# --- what may not be used ------------------------------------------------------------


async def test_another_file_under_the_same_name_finds_nothing(start: Restarts, models_dir: Path) -> None:
    """Not even one of the same size and time that has other weights."""
    await read_and_stop(start, LONG)
    path = models_dir / "random.gguf"
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    async with start() as provider:
        assert await cached(provider, LONG) == 0
        assert start.files() == [], "what the old file's model has read is deleted"


async def test_a_copy_that_is_newer_finds_nothing(start: Restarts, models_dir: Path) -> None:
    await read_and_stop(start, LONG)
    os.utime(models_dir / "random.gguf")
    async with start() as provider:
        assert await cached(provider, LONG) == 0


async def test_other_settings_find_nothing_and_leave_it(start: Restarts) -> None:
    await read_and_stop(start, LONG)
    async with start(context_tokens=1024) as provider:
        assert await cached(provider, LONG) == 0
    async with start() as provider:
        assert await cached(provider, LONG) == len(LONG) - 1


async def test_one_model_does_not_find_what_another_has_read(start: Restarts, install: Install) -> None:
    install("qwen")
    await read_and_stop(start, LONG)
    async with start() as provider:
        assert await cached(provider, LONG, model="qwen") == 0


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Whatever level an earlier test has left a logger at."""
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "damage", ["a byte of the data", "a token", "the end", "the beginning", "all", "a link", "what llama.cpp checks"]
)
async def test_a_damaged_file_is_deleted_told_and_else_a_normal_start(
    start: Restarts, damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await read_and_stop(start, LONG)
    (path,) = start.files()
    data = bytearray(path.read_bytes())
    if damage == "a byte of the data":
        data[len(data) // 2] ^= 1
    elif damage == "a token":
        data[28 + 4 * 590] ^= 1
    elif damage == "the end":
        del data[-KV_BYTES:]
    elif damage == "the beginning":
        data[:8] = b"somebody"
    elif damage == "all":
        data.clear()
    elif damage == "what llama.cpp checks":
        data[28 + 4 * len(LONG)] ^= 1
        data[-4:] = crc32(data[:-4]).to_bytes(4, "little")
    path.unlink()
    if damage == "a link":
        elsewhere = tmp_path / "elsewhere"
        elsewhere.write_bytes(data)
        path.symlink_to(elsewhere)
    else:
        path.write_bytes(data)
    with caplog.at_level(logging.WARNING, logger="ghostd.workers"):
        async with start() as provider:
            assert await cached(provider, LONG) == 0
            assert await cached(provider, LONG) == len(LONG) - 1
            assert not path.is_symlink() and not path.exists()
    (record,) = warnings_of(caplog)
    assert path.name in record.getMessage() and "it is deleted" in record.getMessage()
    if damage == "a link":
        assert (tmp_path / "elsewhere").exists()


async def test_a_file_that_is_gone_when_it_is_wanted_is_no_error(
    start: Restarts, caplog: pytest.LogCaptureFixture
) -> None:
    await read_and_stop(start, LONG)
    with caplog.at_level(logging.WARNING, logger="ghostd.workers"):
        async with start() as provider:
            await provider.load("random")
            (path,) = start.files()
            path.unlink()
            assert await cached(provider, LONG) == 0
    assert warnings_of(caplog) == []


async def test_files_of_other_programs_are_left_alone(start: Restarts) -> None:
    start.folder.mkdir()
    foreign = start.folder / "model.prompt"
    foreign.write_text("somebody's")
    await read_and_stop(start, LONG)
    assert foreign in start.files() and len(start.files()) == 2


# --- the disk ------------------------------------------------------------------------


async def test_nobody_else_can_read_them(start: Restarts) -> None:
    start.folder.mkdir(mode=0o755)
    before = os.umask(0)
    try:
        await read_and_stop(start, LONG)
    finally:
        os.umask(before)
    assert stat.S_IMODE(start.folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in start.files()] == [0o600]


async def test_a_folder_that_is_a_link_is_not_used(
    start: Restarts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    start.folder.symlink_to(elsewhere)
    with caplog.at_level(logging.WARNING, logger="ghostd.workers"):
        await read_and_stop(start, LONG)
    assert list(elsewhere.iterdir()) == []
    assert "not kept" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process can be set on Linux only")
async def test_a_full_disk_is_told_and_leaves_nothing(start: Restarts, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="ghostd.workers"):
        async with start() as provider:
            await ask(provider, LONG)
            worker = provider.worker_pid("random")
            assert worker is not None
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (100_000, 100_000))
    assert start.files() == []
    assert "cannot keep prompts: File too large" in caplog.text
    async with start() as provider:
        assert await cached(provider, LONG) == 0


async def test_what_a_process_did_not_finish_writing_is_removed(start: Restarts) -> None:
    await read_and_stop(start, LONG)
    (path,) = start.files()
    unfinished = path.with_name(f".{path.name}")
    path.rename(unfinished)
    async with start() as provider:
        assert start.files() == []
        assert await cached(provider, LONG) == 0


async def test_the_oldest_ones_make_room_for_new_ones(start: Restarts, install: Install) -> None:
    """One megabyte holds 2000 tokens, of all models."""
    install("qwen")
    prompts = [tuple(30 + (number * step + number * number) % 200 for number in range(900)) for step in (3, 5, 9)]
    await read_and_stop(start, prompts[0], prompt_cache_mb=1)
    await read_and_stop(start, prompts[1], model="qwen", prompt_cache_mb=1)
    await read_and_stop(start, prompts[2], prompt_cache_mb=1)
    assert sum(path.stat().st_size for path in start.files()) < MB
    async with start(prompt_cache_mb=1) as provider:
        assert await cached(provider, prompts[0]) == 0
        assert await cached(provider, prompts[1], model="qwen") == len(prompts[1]) - 1
        assert await cached(provider, prompts[2]) == len(prompts[2]) - 1


async def test_a_lower_limit_holds_at_the_next_start(start: Restarts) -> None:
    prompts = [tuple(30 + (number * step + number * number) % 200 for number in range(1200)) for step in (3, 5)]
    for prompt in prompts:
        await read_and_stop(start, prompt)
    assert len(start.files()) == 2
    async with start(prompt_cache_mb=1):
        assert len(start.files()) == 1


async def test_what_nobody_has_wanted_for_a_month_is_deleted(start: Restarts) -> None:
    await read_and_stop(start, LONG)
    (path,) = start.files()
    old_s = path.stat().st_mtime - 32 * 24 * 3600
    os.utime(path, (old_s, old_s))
    async with start():
        assert start.files() == []


async def test_one_prompt_that_is_more_than_the_limit_is_not_kept(start: Restarts) -> None:
    await read_and_stop(start, LONG, (tuple(reversed(LONG)) * 4)[:2040], prompt_cache_mb=1)
    async with start(prompt_cache_mb=1) as provider:
        assert await cached(provider, LONG) == len(LONG) - 1
