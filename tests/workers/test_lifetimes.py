"""Workers that crash, hang, are too big, wait, idle and end. The pool is the same for both engines."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from gguf_fixtures import CHAT_TEXT, ModelFile, write_not_a_gguf, write_truncated
from workers.opening import (
    TIMEOUT_S,
    EngineName,
    Install,
    Opener,
    chat,
    completion,
    computing,
    cpu_s,
    pieces_of,
    text_of,
    until,
    until_passing,
)

from ghostd.config.local import LocalConfig, LocalModelConfig
from ghostd.errors import (
    EngineMissing,
    ModelFileInvalid,
    ModelNotFound,
    ModelTooLarge,
    ModelUnavailable,
    Overloaded,
    WorkerCrashed,
)
from ghostd.models import ModelInfo
from ghostd.workers import backoff, capacity
from ghostd.workers.provider import LocalProvider, local_provider

pytestmark = pytest.mark.local_model

ENDLESS = completion("qwen", ("abc",), max_tokens=None)


@pytest.fixture
async def tiny(engine: EngineName, install: Install, open_provider: Opener) -> LocalProvider:
    """The Qwen-like model on each engine."""
    install("qwen")
    return await open_provider(LocalConfig(engine=engine))


def info(provider: LocalProvider, model: str = "qwen") -> ModelInfo:
    return next(found for found in provider.models() if found.id == model)


def pid(provider: LocalProvider, model: str = "qwen") -> int:
    found = provider.worker_pid(model)
    assert found is not None
    return found


# --- cancellation -------------------------------------------------------------


async def test_a_closed_stream_is_not_computed_on(engine: EngineName, install: Install, open_provider: Opener) -> None:
    """The next request finds the worker free long before the first could have ended, and in the same process."""
    install("slow")
    provider = await open_provider(LocalConfig(engine=engine, context_tokens=4096))
    async with asyncio.timeout(TIMEOUT_S):
        async with aclosing(provider.complete(completion("slow", ("abc",), max_tokens=None))) as deltas:
            await anext(deltas)
            worker = pid(provider, "slow")
        last = (await pieces_of(provider.complete(completion("slow", ("abcd",), max_tokens=1))))[-1]
    assert last.usage is not None and last.usage.completion_tokens == 1
    assert pid(provider, "slow") == worker


async def test_cancelling_inside_the_prompt_frees_the_worker(
    engine: EngineName, install: Install, open_provider: Opener
) -> None:
    """No delta has come yet; the prompt's rest is not computed, as the cache shows."""
    install("slow")
    provider = await open_provider(LocalConfig(engine=engine, context_tokens=4096))
    await text_of(provider.complete(completion("slow", ("warm",), max_tokens=1)))
    worker, before_s = pid(provider, "slow"), cpu_s(provider, "slow")
    prompt = tuple(30 + number % 200 for number in range(1200))
    reader = asyncio.create_task(text_of(provider.complete(completion("slow", prompt, max_tokens=1))))
    await computing(provider, "slow", before_s)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    last = (await pieces_of(provider.complete(completion("slow", prompt, max_tokens=1))))[-1]
    assert last.usage is not None and last.usage.cached_tokens < len(prompt) - 1
    assert pid(provider, "slow") == worker


async def test_a_waiting_request_whose_caller_is_gone_is_never_started(
    engine: EngineName, install: Install, open_provider: Opener
) -> None:
    install("qwen")
    tiny = await open_provider(LocalConfig(engine=engine, kv_sequences=1))
    async with aclosing(tiny.complete(ENDLESS)) as running:
        await anext(running)
        waiting = asyncio.create_task(text_of(tiny.complete(completion("qwen", tuple(range(20, 90)), max_tokens=1))))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    last = (await pieces_of(tiny.complete(completion("qwen", tuple(range(20, 90)), max_tokens=1))))[-1]
    assert last.usage is not None and last.usage.cached_tokens == 0


async def test_requests_beyond_the_queue_are_refused(install: Install, open_provider: Opener) -> None:
    install("qwen")
    provider = await open_provider(LocalConfig(max_queue=1, kv_sequences=1))
    async with aclosing(provider.complete(ENDLESS)) as running:
        await anext(running)
        waiting = asyncio.create_task(text_of(provider.chat(chat("qwen", "hi"))))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="max_queue"):
            await text_of(provider.chat(chat("qwen", "hi")))
    assert await waiting == CHAT_TEXT


# --- crashes and hangs --------------------------------------------------------


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV])
async def test_a_crash_fails_the_running_request_and_the_next_one_restarts(
    tiny: LocalProvider, sign: signal.Signals
) -> None:
    async with aclosing(tiny.complete(ENDLESS)) as running:
        await anext(running)
        first = pid(tiny)
        os.kill(first, sign)
        with pytest.raises(WorkerCrashed, match=sign.name):
            async for _ in running:
                pass
    assert await text_of(tiny.chat(chat("qwen", "hi"))) == CHAT_TEXT
    assert pid(tiny) != first


async def test_a_crash_between_requests_is_not_noticed_by_the_next(tiny: LocalProvider) -> None:
    assert await text_of(tiny.chat(chat("qwen", "hi"))) == CHAT_TEXT
    os.kill(pid(tiny), signal.SIGKILL)
    await until(lambda: tiny.worker_pid("qwen") is None)
    assert await text_of(tiny.chat(chat("qwen", "hi"))) == CHAT_TEXT


async def test_a_model_that_crashes_again_and_again_rests_for_a_while(
    tiny: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1000.0
    monkeypatch.setattr(backoff, "time", SimpleNamespace(monotonic=lambda: now_s))
    for _ in range(2):
        async with aclosing(tiny.complete(ENDLESS)) as running:
            await anext(running)
            os.kill(pid(tiny), signal.SIGKILL)
            with pytest.raises(WorkerCrashed):
                async for _ in running:
                    pass
    with pytest.raises(ModelUnavailable) as caught:
        await text_of(tiny.chat(chat("qwen", "hi")))
    assert caught.value.retry_after_s == 1.0
    assert "rests after 2 crashes" in info(tiny).detail
    now_s += caught.value.retry_after_s
    assert await text_of(tiny.chat(chat("qwen", "hi"))) == CHAT_TEXT


async def test_a_stopped_worker_that_ignores_a_cancellation_is_replaced(
    engine: EngineName, install: Install, open_provider: Opener
) -> None:
    install("qwen")
    tiny = await open_provider(LocalConfig(engine=engine, cancel_timeout_s=1.0))
    async with aclosing(tiny.complete(ENDLESS)) as running:
        await anext(running)
        stopped = pid(tiny)
        os.kill(stopped, signal.SIGSTOP)
    assert await text_of(tiny.chat(chat("qwen", "hi"))) == CHAT_TEXT
    assert pid(tiny) != stopped


async def test_a_stopped_worker_fails_its_request_after_the_stall_time(
    engine: EngineName, install: Install, open_provider: Opener
) -> None:
    install("qwen")
    tiny = await open_provider(LocalConfig(engine=engine, worker_stall_s=3.0))
    async with aclosing(tiny.complete(ENDLESS)) as running:
        await anext(running)
        os.kill(pid(tiny), signal.SIGSTOP)
        with pytest.raises(WorkerCrashed, match="hung"):
            async for _ in running:
                pass
    assert await text_of(tiny.chat(chat("qwen", "hi"))) == CHAT_TEXT


# --- files --------------------------------------------------------------------


async def test_a_truncated_file_is_listed_as_failed_and_harms_no_other(
    install: Install, model_file: ModelFile, models_dir: Path, open_provider: Opener
) -> None:
    install("qwen")
    write_truncated(models_dir / "half.gguf", model_file("qwen"))
    write_not_a_gguf(models_dir / "zip.gguf")
    provider = await open_provider(LocalConfig(models={"gone": LocalModelConfig(path="nowhere.gguf")}))
    assert [(m.id, m.state) for m in provider.models()] == [
        ("gone", "failed"), ("half", "failed"), ("qwen", "unloaded"), ("zip", "failed")
    ]  # fmt: skip
    for model, reason in (("half", "the header promises"), ("zip", "not a GGUF"), ("gone", "no such file")):
        assert reason in info(provider, model).detail
        with pytest.raises(ModelFileInvalid, match=reason):
            await text_of(provider.chat(chat(model, "hi")))
    assert await text_of(provider.chat(chat("qwen", "hi"))) == CHAT_TEXT


async def test_a_file_that_the_engine_refuses_is_a_clear_error(
    engine: EngineName, models_dir: Path, model_file: ModelFile, open_provider: Opener
) -> None:
    """A whole file of an architecture that nobody knows."""
    data = model_file("qwen").read_bytes().replace(b"llama", b"lemma")
    (models_dir / "odd.gguf").write_bytes(data)
    provider = await open_provider(LocalConfig(engine=engine))
    with pytest.raises(ModelFileInvalid, match=r"llama\.cpp cannot load it"):
        await text_of(provider.complete(completion("odd", ("x",))))
    assert info(provider, "odd").state == "failed"


async def test_a_file_that_makes_the_engine_abort_is_a_clear_error(
    engine: EngineName, install: Install, open_provider: Opener
) -> None:
    install("aborting")
    install("qwen")
    provider = await open_provider(LocalConfig(engine=engine))
    with pytest.raises(WorkerCrashed, match=r"SIGABRT while it loaded .*aborting\.gguf; the file may be damaged"):
        await text_of(provider.complete(completion("aborting", ("x",))))
    assert await text_of(provider.chat(chat("qwen", "hi"))) == CHAT_TEXT


async def test_a_model_too_big_for_memory_is_refused_with_both_numbers(
    install: Install, open_provider: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Little:
        available = 300 * 1024 * 1024

    monkeypatch.setattr(psutil, "virtual_memory", Little)
    install("qwen")
    provider = await open_provider(LocalConfig())
    with pytest.raises(ModelTooLarge, match=r"needs about \d+ MB .* 300 MB are available"):
        await text_of(provider.chat(chat("qwen", "hi")))


async def test_a_file_dropped_into_the_folder_appears_without_a_restart(
    install: Install, open_provider: Opener
) -> None:
    provider = await open_provider(LocalConfig())
    assert provider.models() == ()
    install("qwen")
    await provider.refresh()
    assert [m.id for m in provider.models()] == ["qwen"]
    assert await text_of(provider.chat(chat("qwen", "hi"))) == CHAT_TEXT


async def test_looking_at_the_models_notices_new_files_by_itself(install: Install, open_provider: Opener) -> None:
    provider = await open_provider(LocalConfig())
    install("qwen")
    await until(lambda: [m.id for m in provider.models()] == ["qwen"])


async def test_a_changed_file_is_loaded_anew(install: Install, model_file: ModelFile, open_provider: Opener) -> None:
    path = install("qwen")
    provider = await open_provider(LocalConfig())
    assert await text_of(provider.chat(chat("qwen", "hi"))) == CHAT_TEXT
    before = pid(provider)
    shutil.copy(model_file("random"), path)
    await provider.refresh()

    async def reloaded() -> bool:
        await text_of(provider.complete(completion("qwen", ("x",), max_tokens=1)))
        return provider.worker_pid("qwen") != before

    async with asyncio.timeout(TIMEOUT_S):
        while not await reloaded():
            await asyncio.sleep(0.05)


async def test_a_removed_models_worker_ends(install: Install, open_provider: Opener) -> None:
    path = install("qwen")
    provider = await open_provider(LocalConfig())
    await text_of(provider.chat(chat("qwen", "hi")))
    worker = pid(provider)
    path.unlink()
    await provider.refresh()
    assert provider.models() == ()
    await until(lambda: not psutil.pid_exists(worker))
    with pytest.raises(ModelNotFound):
        await text_of(provider.chat(chat("qwen", "hi")))


# --- lifetimes ----------------------------------------------------------------


async def test_nothing_is_loaded_before_the_first_request(install: Install, open_provider: Opener) -> None:
    install("qwen")
    provider = await open_provider(LocalConfig())
    assert (info(provider).state, provider.worker_pid("qwen")) == ("unloaded", None)
    await text_of(provider.chat(chat("qwen", "hi")))
    assert info(provider).state == "ready"
    assert "tokens/s" in info(provider).detail


async def test_preload_loads_in_the_background(install: Install, open_provider: Opener) -> None:
    path = install("qwen")
    models = {"early": LocalModelConfig(path=str(path), preload=True)}
    provider = await open_provider(LocalConfig(models=models))
    await until(lambda: info(provider, "early").state == "ready")


async def test_an_idle_model_is_unloaded_and_loads_again(install: Install, open_provider: Opener) -> None:
    install("qwen")
    provider = await open_provider(LocalConfig(idle_unload_s=0.05))
    await text_of(provider.chat(chat("qwen", "hi")))
    await until(lambda: info(provider).state == "unloaded")
    assert await text_of(provider.chat(chat("qwen", "hi"))) == CHAT_TEXT


async def test_callers_share_one_load(install: Install, open_provider: Opener) -> None:
    """The one who began it leaves; the load goes on for the other."""
    install("qwen")
    provider = await open_provider(LocalConfig())
    first = asyncio.create_task(text_of(provider.chat(chat("qwen", "hi"))))
    second = asyncio.create_task(text_of(provider.chat(chat("qwen", "hi"))))
    await until_passing(lambda: info(provider).state == "loading")
    first.cancel()
    assert await second == CHAT_TEXT


async def test_leaving_ends_every_worker_even_a_stopped_one(install: Install, models_dir: Path) -> None:
    install("qwen")
    install("starcoder")
    async with asyncio.timeout(TIMEOUT_S):
        async with local_provider(LocalConfig(), models_dir, models_dir) as provider:
            await text_of(provider.chat(chat("qwen", "hi")))
            await text_of(provider.complete(completion("starcoder", ("x",), max_tokens=1)))
            workers = [pid(provider, "qwen"), pid(provider, "starcoder")]
            os.kill(workers[0], signal.SIGSTOP)
    assert not any(psutil.pid_exists(worker) for worker in workers)


async def test_no_engine_names_the_commands_that_install_one(
    install: Install, open_provider: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "_IMPORT_NAMES", {"llama-cpp-python": "no_such_a", "xllamacpp": "no_such_b"})
    install("qwen")
    provider = await open_provider(LocalConfig())
    with pytest.raises(EngineMissing, match=r"ghostd\[local-prebuilt\].*GGML_NATIVE=OFF.*ghostd\[local\]"):
        await text_of(provider.chat(chat("qwen", "hi")))


async def test_a_worker_gets_no_secrets_from_the_environment(
    tiny: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    await text_of(tiny.chat(chat("qwen", "hi")))
    assert "OPENAI_API_KEY" not in psutil.Process(pid(tiny)).environ()


async def test_folders_of_a_killed_daemons_workers_are_removed_by_the_next(
    models_dir: Path, open_provider: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = subprocess.Popen(["true"])
    dead.wait()
    stale = tmp_path / f"ghostd-worker-{dead.pid}-abc"
    alive = tmp_path / f"ghostd-worker-{os.getpid()}-abc"
    for folder in (stale, alive):
        folder.mkdir()
    await open_provider(LocalConfig())
    assert (stale.exists(), alive.exists()) == (False, True)


async def test_a_workers_folder_ends_with_it(
    engine: EngineName, install: Install, models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Path(tempfile.mkdtemp())
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    install("qwen")
    async with local_provider(LocalConfig(engine=engine), models_dir, models_dir) as provider:
        assert await text_of(provider.chat(chat("qwen", "hi"))) == CHAT_TEXT
        assert len(list(short.iterdir())) == (engine == "xllamacpp")
    assert list(short.iterdir()) == []
    short.rmdir()


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's; elsewhere the closed socket does it")
async def test_kill_9_of_the_daemon_leaves_no_worker(engine: EngineName, install: Install, models_dir: Path) -> None:
    install("qwen")
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom ghostd.config.local import LocalConfig\n"
        "from ghostd.types import CompletionRequest\nfrom ghostd.workers.provider import local_provider\n"
        "async def main():\n"
        "  async with local_provider(LocalConfig(engine=sys.argv[2]), Path(sys.argv[1]), Path('/')) as provider:\n"
        "    async for delta in provider.complete(CompletionRequest('qwen', ('abc',))):\n"
        "      sys.stdout.write(f\"{provider.worker_pid('qwen')}\\n\"); sys.stdout.flush(); break\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(models_dir), engine, stdout=asyncio.subprocess.PIPE
    )
    assert daemon.stdout is not None
    async with asyncio.timeout(TIMEOUT_S):
        worker = int(await daemon.stdout.readline())
    assert psutil.pid_exists(worker)
    daemon.kill()
    await daemon.wait()
    await until(lambda: gone(worker))


def gone(process: int) -> bool:
    """Whether it has ended, reaped or not."""
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
