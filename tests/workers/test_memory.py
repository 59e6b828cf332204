"""What models take, and who makes room for whom."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from gguf_fixtures import CHAT_TEXT, QWEN, RECIPES, ModelFile, Recipe, write_gguf
from workers.opening import TIMEOUT_S, EngineName, Install, Opener, chat, completion, text_of, until, until_passing
from workers.test_lifetimes import ENDLESS, info, pid

from ghostd.config.local import LocalConfig, LocalModelConfig
from ghostd.errors import ModelNotFound, ModelTooLarge, ModelUnavailable
from ghostd.workers import budget, model_process
from ghostd.workers.gguf_header import read_header
from ghostd.workers.load_progress import LoadProgress
from ghostd.workers.memory import estimate
from ghostd.workers.provider import local_provider

pytestmark = pytest.mark.local_model

MB = 1024 * 1024
ROOM_FOR_TWO = LocalConfig(memory_budget_mb=110)
"""A tiny model is estimated at 50 MB."""


# --- the estimate ---------------------------------------------------------------------


def test_the_estimate_adds_up_what_the_header_says(model_file: ModelFile) -> None:
    found = estimate(read_header(model_file("qwen")), 1000, 128)
    # 2 layers × 2 KV heads × (32 + 32) values × 2 bytes, for 1000 tokens rounded up to 1024
    assert found.cache == 1024 * 512
    assert found.weights == model_file("qwen").stat().st_size
    assert found.total == found.weights + found.cache + found.compute + found.process


def test_heads_that_differ_by_layer_are_counted_one_by_one(tmp_path: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "hybrid.gguf", "jamba")
    writer.add_block_count(4)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv([0, 2, 0, 1])
    writer.add_ssm_inner_size(128)
    writer.add_ssm_state_size(16)
    writer.add_ssm_conv_kernel(4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    header = read_header(tmp_path / "hybrid.gguf")
    assert header.kv_bytes_per_token == (2 + 1) * (16 + 16) * 2
    assert header.state_bytes == 4 * (3 * 128 + 128 * 16) * 4


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(QWEN, id="tiny"),
        pytest.param(replace(RECIPES["random"], dim=256, extra_tokens=40_000), id="large vocabulary"),
        pytest.param(replace(RECIPES["random"], dim=1024, heads=8, layers=8, ffn=512, context=4096), id="large cache"),
    ],
)
async def test_the_estimate_is_near_what_a_worker_takes(
    engine: EngineName, recipe: Recipe, models_dir: Path, open_provider: Opener
) -> None:
    header = await asyncio.to_thread(read_header, write_gguf(models_dir / "m.gguf", recipe))
    provider = await open_provider(LocalConfig(engine=engine))
    prompt = tuple(300 for _ in range(300))
    await text_of(provider.complete(completion("m", prompt, max_tokens=2)))
    expected = estimate(header, 2 * min(4096, recipe.context), 128, 4)
    taken = psutil.Process(pid(provider, "m")).memory_info().rss
    # Unused positions of the cache are reserved, and resident only where the engine clears them.
    assert expected.total - expected.cache - 64 * MB < taken < expected.total + 16 * MB


# --- making room ----------------------------------------------------------------------


async def answer(provider: object, model: str) -> None:
    assert await text_of(provider.chat(chat(model, "hi"))) == CHAT_TEXT  # type: ignore[attr-defined]


@pytest.fixture
def three(model_file: ModelFile, models_dir: Path) -> tuple[str, ...]:
    """Three models, of which two fit into ROOM_FOR_TWO."""
    names = ("a", "b", "c")
    for name in names:
        shutil.copy(model_file("qwen"), models_dir / f"{name}.gguf")
    return names


@pytest.mark.usefixtures("three")
async def test_the_model_that_was_used_least_recently_makes_room(open_provider: Opener) -> None:
    provider = await open_provider(ROOM_FOR_TWO)
    for model in ("a", "b", "a", "c"):
        await answer(provider, model)
    assert [(m.id, m.state) for m in provider.models()] == [("a", "ready"), ("b", "unloaded"), ("c", "ready")]
    held, allowed = await provider.memory()
    assert 90 * MB < held <= allowed == 110 * MB


@pytest.mark.usefixtures("three")
async def test_a_pinned_model_stays_and_another_makes_room(open_provider: Opener) -> None:
    provider = await open_provider(replace_config(idle_unload_s=0.05))
    await provider.pin("a", True)
    for model in ("a", "b", "c"):
        await answer(provider, model)
    await until(lambda: info(provider, "c").state == "unloaded")
    assert (info(provider, "a").state, info(provider, "b").state) == ("ready", "unloaded")
    await provider.pin("a", False)
    await until(lambda: info(provider, "a").state == "unloaded")


def replace_config(**settings: float) -> LocalConfig:
    return LocalConfig(memory_budget_mb=110, **settings)  # type: ignore[arg-type]


@pytest.mark.usefixtures("three")
async def test_where_pinned_models_fill_the_budget_the_error_names_both_numbers(open_provider: Opener) -> None:
    provider = await open_provider(ROOM_FOR_TWO)
    for model in ("a", "b"):
        await provider.pin(model, True)
        await answer(provider, model)
    with pytest.raises(ModelTooLarge, match=r"needs about 5\d MB .*allows 110 MB.*Pinned models hold 10\d MB"):
        await answer(provider, "c")
    assert [m.state for m in provider.models()] == ["ready", "ready", "unloaded"]


@pytest.mark.usefixtures("three")
async def test_a_request_waits_until_a_busy_model_is_idle(open_provider: Opener) -> None:
    provider = await open_provider(LocalConfig(memory_budget_mb=60))
    async with aclosing(provider.complete(completion("a", ("abc",), max_tokens=None))) as running:
        await anext(running)
        waiting = asyncio.create_task(answer(provider, "b"))
        await until(lambda: "in use by busy models" in info(provider, "b").detail)
        assert (info(provider, "b").state, info(provider, "a").state) == ("loading", "ready")
        await anext(running)
    async with asyncio.timeout(TIMEOUT_S):
        await waiting
    assert (info(provider, "a").state, info(provider, "b").state) == ("unloaded", "ready")


@pytest.mark.usefixtures("three")
async def test_the_wait_for_busy_models_is_bounded(open_provider: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "_WAIT_S", 0.2)
    provider = await open_provider(LocalConfig(memory_budget_mb=60))
    async with aclosing(provider.complete(completion("a", ("abc",), max_tokens=None))) as running:
        await anext(running)
        with pytest.raises(ModelUnavailable, match=r"needs about 5\d MB, and the models that are busy now hold 5\d MB"):
            await answer(provider, "b")
        assert info(provider, "b").state == "unloaded"


@pytest.mark.usefixtures("three")
async def test_a_caller_that_leaves_the_line_has_nothing_loaded(open_provider: Opener) -> None:
    provider = await open_provider(LocalConfig(memory_budget_mb=60))
    async with aclosing(provider.complete(completion("a", ("abc",), max_tokens=None))) as running:
        await anext(running)
        waiting = asyncio.create_task(answer(provider, "b"))
        await until(lambda: "in use by busy models" in info(provider, "b").detail)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await answer(provider, "c")
    assert info(provider, "b").state == "unloaded"


async def test_a_crashed_worker_gives_its_memory_back(install: Install, open_provider: Opener) -> None:
    install("qwen")
    provider = await open_provider(LocalConfig())
    await answer(provider, "qwen")
    assert (await provider.memory())[0] > 0
    psutil.Process(pid(provider)).kill()
    await until(lambda: provider.worker_pid("qwen") is None)
    assert (await provider.memory())[0] == 0


async def test_a_file_that_cannot_be_loaded_gives_its_memory_back(
    models_dir: Path, model_file: ModelFile, open_provider: Opener
) -> None:
    (models_dir / "odd.gguf").write_bytes(model_file("qwen").read_bytes().replace(b"llama", b"lemma"))
    provider = await open_provider(LocalConfig())
    with pytest.raises(Exception, match="cannot load it"):
        await provider.load("odd")
    assert (await provider.memory())[0] == 0


# --- on request -----------------------------------------------------------------------


async def test_a_model_is_loaded_and_unloaded_on_request(install: Install, open_provider: Opener) -> None:
    install("qwen")
    provider = await open_provider(LocalConfig())
    await provider.load("qwen")
    assert info(provider).state == "ready"
    worker = pid(provider)
    await provider.load("qwen")
    assert pid(provider) == worker
    await provider.unload("qwen")
    await until(lambda: not psutil.pid_exists(worker))
    assert info(provider).state == "unloaded"
    for call in (provider.load, provider.unload):
        with pytest.raises(ModelNotFound):
            await call("none")


async def test_unloading_lets_the_running_request_finish(install: Install, open_provider: Opener) -> None:
    install("qwen")
    provider = await open_provider(LocalConfig())
    async with aclosing(provider.complete(ENDLESS)) as running:
        await anext(running)
        unloading = asyncio.create_task(provider.unload("qwen"))
        for _ in range(3):
            await anext(running)
        assert not unloading.done()
    await unloading
    assert info(provider).state == "unloaded"


async def test_a_load_that_nobody_waits_for_can_be_called_off(install: Install, open_provider: Opener) -> None:
    install("slow")
    provider = await open_provider(LocalConfig())
    others = set(psutil.Process().children())  # of the tests before
    loading = asyncio.create_task(provider.load("slow"))
    await until_passing(lambda: bool(set(psutil.Process().children()) - others))
    assert info(provider, "slow").state == "loading"
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    await provider.unload("slow")
    assert info(provider, "slow").state == "unloaded"
    assert (await provider.memory())[0] == 0
    await provider.load("slow")
    assert info(provider, "slow").state == "ready"


async def test_pins_outlive_a_restart_and_models_that_are_away(
    install: Install, models_dir: Path, tmp_path: Path
) -> None:
    path = install("qwen")
    async with local_provider(LocalConfig(), models_dir, models_dir, data=tmp_path) as provider:
        await provider.pin("qwen", True)
        with pytest.raises(ModelNotFound):
            await provider.pin("none", True)
    path.unlink()
    async with local_provider(LocalConfig(), models_dir, models_dir, data=tmp_path) as provider:
        assert provider.pinned == {"qwen"}
        install("qwen")
        await provider.refresh()
        await answer(provider, "qwen")
        await provider.pin("qwen", False)
    async with local_provider(LocalConfig(), models_dir, models_dir, data=tmp_path) as provider:
        assert provider.pinned == frozenset()


async def test_a_damaged_file_of_pins_pins_nothing(install: Install, models_dir: Path, tmp_path: Path) -> None:
    install("qwen")
    (tmp_path / "pinned-models.json").write_bytes(b'{"\xff')
    async with local_provider(LocalConfig(), models_dir, models_dir, data=tmp_path) as provider:
        assert provider.pinned == frozenset()
        await provider.pin("qwen", True)
    assert (tmp_path / "pinned-models.json").read_text() == '["qwen"]\n'


async def test_a_load_is_seen_while_it_lasts(
    engine: EngineName, install: Install, open_provider: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = install("slow")
    models = {"slow": LocalModelConfig(path=str(path), context_tokens=2048)}
    provider = await open_provider(LocalConfig(engine=engine, models=models))
    seen: set[str] = set()

    class Watched(LoadProgress):
        """Is looked at whenever it changes."""

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if (model := info(provider, "slow")).state == "loading":
                seen.add(model.detail)

    monkeypatch.setattr(model_process, "LoadProgress", Watched)
    await provider.load("slow")
    assert info(provider, "slow").state == "ready"
    told = ("tests itself", "%") if engine == "llama-cpp-python" else ("loading for",)
    assert any(word in detail for word in told for detail in seen)
