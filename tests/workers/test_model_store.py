"""Models of this machine as Ollama's Python client sees and handles them: loaded, kept, pulled, copied, removed."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from cli.hub_server import HubServer, hub_server
from gguf_fixtures import CHAT_TEXT, FILL_TEXT, ModelFile, model_file, models_dir
from ollama import AsyncClient, ResponseError
from workers.opening import Install
from workers.stores import OllamaStore

from ghostd.config.local import DiscoveryConfig, LocalConfig, LocalModelConfig
from ghostd.engine import Engine
from ghostd.gateway.dialects.ollama import routes as ollama
from ghostd.testing.gateway import Served, serving
from ghostd.workers.model_store import LocalModelStore
from ghostd.workers.provider import LocalProvider, local_provider

__all__ = ["model_file", "models_dir"]

pytestmark = pytest.mark.local_model

HI = [{"role": "user", "content": "hi"}]
GREEDY = {"temperature": 0, "num_predict": 32}
REPOSITORY = "org/coder-GGUF"
TIMEOUT_S = 30.0


@dataclass(slots=True)
class World:
    """A gateway over this machine's models, and a client."""

    client: AsyncClient
    provider: LocalProvider
    served: Served
    folder: Path

    def pid(self, model: str) -> int | None:
        return self.provider.worker_pid(model)

    async def names(self) -> list[str]:
        virtual = ("auto", "fast", "smart", "code", "local")
        return sorted(m.model or "" for m in (await self.client.list()).models if m.model not in virtual)


@asynccontextmanager
async def opened(folder: Path, config: LocalConfig | None = None, **more: Any) -> AsyncIterator[World]:
    wanted = config or LocalConfig()
    async with local_provider(wanted, folder, folder.parent, **more) as provider:
        await provider.refresh()
        engine = Engine([provider])
        store = await asyncio.to_thread(LocalModelStore, provider, folder, folder.parent / "pulled.json")
        async with serving(engine=engine, doors=ollama.routes(engine, store)) as served:
            client = AsyncClient(host=served.url)
            yield World(client, provider, served, folder)
            await client._client.aclose()
        await engine.router.close()


@pytest.fixture
async def world(install: Install, models_dir: Path) -> AsyncIterator[World]:
    install("qwen")
    async with opened(models_dir) as made:
        yield made


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a state that no event announces."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0.01)


# --- what a local model says --------------------------------------------------------------


async def test_a_local_model_chats_generates_and_fills(world: World) -> None:
    for name in ("qwen", "qwen:latest"):
        reply = await world.client.chat(model=name, messages=HI, options=GREEDY)
        assert (reply.message.content, reply.done_reason) == (CHAT_TEXT, "stop")
        assert reply.eval_count
    parts = [part async for part in await world.client.generate(model="qwen", prompt="hi", options=GREEDY, stream=True)]
    assert "".join(part.response or "" for part in parts) == CHAT_TEXT
    filled = await world.client.generate(model="qwen", prompt="def add(a, b):\n    ", suffix="\n", options=GREEDY)
    assert filled.response == FILL_TEXT


async def test_a_model_answers_the_first_request_after_its_file_has_come(world: World, install: Install) -> None:
    install("chat-only")
    reply = await world.client.chat(model="chat-only", messages=HI, options=GREEDY)
    assert reply.message.content == CHAT_TEXT
    with pytest.raises(ResponseError, match="not found"):
        await world.client.chat(model="another", messages=HI, options=GREEDY)


async def test_the_control_tokens_of_a_raw_prompt_are_read(world: World) -> None:
    prompt = "<|fim_prefix|>def add(a, b):\n    <|fim_suffix|>\n<|fim_middle|>"
    raw = await world.client.generate(model="qwen", prompt=prompt, raw=True, options=GREEDY)
    assert raw.response == FILL_TEXT
    said = await world.client.chat(model="qwen", messages=[{"role": "user", "content": prompt}], options=GREEDY)
    assert said.message.content == CHAT_TEXT  # in a conversation they are text


async def test_a_reply_stops_at_its_limit(world: World) -> None:
    reply = await world.client.generate(
        model="qwen", prompt="abc", raw=True, options={"temperature": 0, "num_predict": 3}
    )
    assert (reply.done_reason, reply.eval_count) == ("length", 3)


async def test_texts_too_long_to_embed_are_cut_unless_that_is_forbidden(models_dir: Path, install: Install) -> None:
    install("qwen")
    async with opened(models_dir, LocalConfig(context_tokens=64)) as world:
        long = "word " * 500
        found = await world.client.embed(model="qwen", input=["short", long])
        assert len(found.embeddings) == 2
        with pytest.raises(ResponseError, match="maximum context length is 64") as caught:
            await world.client.embed(model="qwen", input=long, truncate=False)
        assert caught.value.status_code == 400


@pytest.mark.covers("ollama.models", "/api/tags", behind="local")
@pytest.mark.covers("ollama.models", "/api/show", behind="local")
async def test_a_local_model_is_described_by_its_file(world: World) -> None:
    (tag,) = [found for found in (await world.client.list()).models if found.model == "qwen"]
    assert tag.details is not None
    assert (tag.details.format, tag.details.family, tag.details.quantization_level) == ("gguf", "llama", "F16")
    assert (tag.details.parameter_size or "").endswith(("K", "M"))
    assert tag.size == (world.folder / "qwen.gguf").stat().st_size
    shown = await world.client.show("qwen")
    assert {"completion", "insert"} <= set(shown.capabilities or ())
    assert "embedding" not in (shown.capabilities or ())
    assert "<|im_start|>" in (shown.template or "")
    info = shown.modelinfo or {}
    assert (info["general.architecture"], info["llama.context_length"]) == ("llama", 2048)
    assert info["general.parameter_count"] > 0
    assert "tokenizer.chat_template" not in info


# --- how long it stays --------------------------------------------------------------------


@pytest.mark.covers("ollama.models", "/api/ps", behind="local")
async def test_a_model_is_loaded_shown_and_unloaded(world: World) -> None:
    assert (await world.client.ps()).models == []
    assert (await world.client.generate(model="qwen", prompt="")).done_reason == "load"
    assert world.pid("qwen") is not None
    (loaded,) = (await world.client.ps()).models
    assert (loaded.model, loaded.context_length) == ("qwen", 2048)
    assert loaded.size is not None
    assert loaded.size > 0
    assert loaded.expires_at is not None
    assert (await world.client.chat(model="qwen", messages=[], keep_alive=0)).done_reason == "unload"
    assert world.pid("qwen") is None
    assert (await world.client.ps()).models == []


@pytest.mark.parametrize("keep_alive", [0, "0s"])
async def test_a_model_can_be_let_go_after_its_reply(world: World, keep_alive: Any) -> None:
    reply = await world.client.chat(model="qwen", messages=HI, options=GREEDY, keep_alive=keep_alive)
    assert reply.message.content == CHAT_TEXT
    await until(lambda: world.pid("qwen") is None)


async def test_a_model_stays_for_as_long_as_was_asked_for(world: World) -> None:
    async def expires() -> float:
        (loaded,) = (await world.client.ps()).models
        assert loaded.expires_at is not None
        return loaded.expires_at.timestamp() - time.time()

    await world.client.chat(model="qwen", messages=HI, options=GREEDY, keep_alive="2h")
    assert 7100 < await expires() <= 7200
    await world.client.chat(model="qwen", messages=HI, options=GREEDY)
    assert 7100 < await expires() <= 7200
    await world.client.embed(model="qwen", input="x", keep_alive=-1)
    assert await expires() > 1e9
    await world.client.generate(model="qwen", prompt="x", options=GREEDY, keep_alive=30)
    assert 20 < await expires() <= 30
    await world.client.generate(model="qwen", keep_alive=0)
    await world.client.generate(model="qwen")
    assert 30 < await expires() <= LocalConfig().idle_unload_s  # the setting's again


# --- pulling ------------------------------------------------------------------------------


@pytest.fixture
async def hub(model_file: ModelFile, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HubServer]:
    pytest.importorskip("huggingface_hub")
    data = model_file("qwen").read_bytes()
    files = {"coder-q4_k_m.gguf": data, "coder-q8_0.gguf": data + b"8", "mmproj-coder.gguf": data}
    async with hub_server(REPOSITORY, files) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server


@pytest.fixture
async def empty(models_dir: Path) -> AsyncIterator[World]:
    async with opened(models_dir) as made:
        yield made


@pytest.mark.covers("ollama.models", "/api/pull", behind="local")
@pytest.mark.parametrize("tag", ["", ":latest", ":Q4_K_M", ":coder-q4_k_m.gguf"])
async def test_a_model_is_pulled_and_answers_to_the_name_of_its_pull(empty: World, hub: HubServer, tag: str) -> None:
    name = f"hf.co/{REPOSITORY}{tag}"
    steps = [step async for step in await empty.client.pull(name, stream=True)]
    assert (steps[0].status, steps[-1].status) == ("pulling manifest", "success")
    fetched = [step for step in steps if step.digest]
    assert {step.digest for step in fetched} == {fetched[0].digest}
    assert (fetched[0].digest or "").startswith("sha256:")
    size = len(hub.files["coder-q4_k_m.gguf"])
    assert (fetched[-1].completed, fetched[-1].total) == (size, size)
    assert await empty.names() == ["coder-q4_k_m"]
    for asked in (name, name.replace("hf.co", "huggingface.co"), "coder-q4_k_m"):
        reply = await empty.client.chat(model=asked, messages=HI, options=GREEDY)
        assert reply.message.content == CHAT_TEXT
    again = await empty.client.pull(name)
    assert again.status == "success"
    assert len(hub.gets) == 1


async def test_the_name_holds_after_a_restart(models_dir: Path, hub: HubServer) -> None:
    async with opened(models_dir) as world:
        assert (await world.client.pull(f"hf.co/{REPOSITORY}:q8_0")).status == "success"
    async with opened(models_dir) as world:
        shown = await world.client.show(f"hf.co/{REPOSITORY}:Q8_0")
        assert shown.modelinfo
        await world.client.delete(f"hf.co/{REPOSITORY}:q8_0")
        assert await world.names() == []
        with pytest.raises(ResponseError, match="not found"):
            await world.client.show(f"hf.co/{REPOSITORY}:Q8_0")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("llama3", "hf.co/USER/REPOSITORY"),
        ("hf.co/org", "hf.co/USER/REPOSITORY"),
        ("hf.co/../../etc/passwd", "hf.co/USER/REPOSITORY"),
        ("hf.co/org/coder-GGUF:--help", "hf.co/USER/REPOSITORY"),
        (f"hf.co/{REPOSITORY}:q2_k", "has no 'q2_k'"),
        ("hf.co/org/nothing", "no repository org/nothing"),
    ],
)
async def test_what_cannot_be_pulled_says_why(empty: World, hub: HubServer, name: str, said: str) -> None:
    with pytest.raises(ResponseError, match=said):
        await empty.client.pull(name)
    with pytest.raises(ResponseError, match=said):
        async for _ in await empty.client.pull(name, stream=True):
            pass
    assert hub.gets == []
    assert list(empty.folder.iterdir()) == []


async def test_what_is_offered_already_is_a_success_at_once(world: World) -> None:
    steps = [step.status async for step in await world.client.pull("qwen:latest", stream=True)]
    assert steps == ["success"]


async def test_a_file_that_is_not_what_was_promised_is_thrown_away(empty: World, hub: HubServer) -> None:
    hub.wrong = {"coder-q4_k_m.gguf"}
    with pytest.raises(ResponseError, match="checksum") as caught:
        await empty.client.pull(f"hf.co/{REPOSITORY}:q4_k_m")
    assert caught.value.status_code == 502
    assert await empty.names() == []


async def test_a_client_that_hangs_up_stops_the_download_which_goes_on_later(empty: World, hub: HubServer) -> None:
    chunk = 10 * 1024 * 1024
    data = hub.files["coder-q4_k_m.gguf"]
    hub.files = {"coder-q4_k_m.gguf": data + bytes(2 * chunk)}
    hub.hang_at = chunk + 100
    before = set(psutil.Process().children(recursive=True))
    async with aiohttp.ClientSession() as client:
        body = {"model": f"hf.co/{REPOSITORY}"}
        async with client.post(empty.served.url + "/api/pull", json=body) as reply:
            async for line in reply.content:
                if f'"completed":{chunk}'.encode() in line:
                    break
            (child,) = set(psutil.Process().children(recursive=True)) - before
    await until(lambda: not child.is_running())
    assert (await empty.client.pull(f"hf.co/{REPOSITORY}")).status == "success"
    assert [wanted for _, wanted in hub.gets] == ["", f"bytes={chunk}-"]
    assert (empty.folder / "coder-q4_k_m.gguf").read_bytes() == hub.files["coder-q4_k_m.gguf"]


async def test_no_more_than_two_models_are_pulled_at_once(empty: World, hub: HubServer) -> None:
    data = bytes(1000)
    hub.files = {f"m{number}.gguf": data + bytes([number]) for number in range(3)}
    async with aiohttp.ClientSession() as client, AsyncExitStack() as stack:
        for number in range(2):
            hub.hang_at = 10
            body = {"model": f"hf.co/{REPOSITORY}:m{number}"}
            reply = await stack.enter_async_context(client.post(empty.served.url + "/api/pull", json=body))
            await reply.content.readline()
            await until(lambda: hub.hang_at is None)
        with pytest.raises(ResponseError, match="2 models are being pulled") as caught:
            await empty.client.pull(f"hf.co/{REPOSITORY}:m2")
        assert caught.value.status_code == 503


# --- copying and removing -----------------------------------------------------------------


@pytest.mark.covers("ollama.models", "/api/copy", behind="local")
@pytest.mark.covers("ollama.models", "/api/delete", behind="local")
@pytest.mark.parametrize("name", ["mine", "mine:latest", "mine:q4"])
async def test_a_copy_answers_like_its_model_and_outlives_it(world: World, name: str) -> None:
    assert (await world.client.copy("qwen:latest", name)).status == "success"
    plain = name.removesuffix(":latest")
    assert await world.names() == sorted(["qwen", plain])
    assert (world.folder / f"{plain}.gguf").samefile(world.folder / "qwen.gguf")
    assert (await world.client.delete("qwen")).status == "success"
    assert await world.names() == [plain]
    reply = await world.client.chat(model=name, messages=HI, options=GREEDY)
    assert reply.message.content == CHAT_TEXT


@pytest.mark.parametrize(
    ("source", "destination", "status"),
    [
        ("nobody", "x", 404),
        ("qwen", "", 400),
        ("qwen", "../x", 400),
        ("qwen", "a/b", 400),
        ("qwen", ".hidden", 400),
        ("qwen", "x" * 300, 400),
        ("qwen", "qwen", 400),
        ("qwen", "auto", 400),
        ("auto", "x", 400),
    ],
)
async def test_a_copy_that_cannot_be_is_refused(world: World, source: str, destination: str, status: int) -> None:
    before = sorted(world.folder.parent.rglob("*"))
    with pytest.raises(ResponseError) as caught:
        await world.client.copy(source, destination)
    assert caught.value.status_code == status
    assert sorted(world.folder.parent.rglob("*")) == before


async def test_a_loaded_model_is_unloaded_before_it_is_removed(world: World) -> None:
    await world.client.generate(model="qwen")
    pid = world.pid("qwen")
    assert pid is not None
    await world.client.delete("qwen")
    assert list(world.folder.glob("*.gguf")) == []
    await until(lambda: not psutil.pid_exists(pid))
    with pytest.raises(ResponseError) as caught:
        await world.client.delete("qwen")
    assert caught.value.status_code == 404


async def test_nothing_is_removed_that_is_not_ghostds(
    models_dir: Path, model_file: ModelFile, tmp_path: Path, install: Install
) -> None:
    """Other programs' stores, configured paths, and what links in the folder lead to."""
    store = OllamaStore(tmp_path / "ollama")
    store.pull("registry.ollama.ai/library/theirs/7b", model_file("chat-only"))
    configured = Path(shutil.copy(model_file("random"), tmp_path / "configured.gguf"))
    inside = install("starcoder")
    linked = Path(shutil.copy(model_file("unicode"), tmp_path / "linked.gguf"))
    (models_dir / "link.gguf").symlink_to(linked)
    config = LocalConfig(
        models={"mine": LocalModelConfig(path=str(configured)), "named": LocalModelConfig(path=str(inside))}
    )
    environ = {"OLLAMA_MODELS": str(store.folder)}
    async with opened(models_dir, config, discovery=DiscoveryConfig(), environ=environ) as world:
        await world.provider.refresh()
        assert await world.names() == ["link", "mine", "named", "theirs:7b"]
        for model, reason in (("theirs:7b", "Ollama store"), ("mine", "configuration"), ("named", "configuration")):
            for call in (world.client.delete(model), world.client.copy(model, "x")):
                with pytest.raises(ResponseError, match=reason) as caught:
                    await call
                assert caught.value.status_code == 400
        await world.client.delete("link")
        assert await world.names() == ["mine", "named", "theirs:7b"]
    assert linked.exists()
    assert configured.exists()
    assert inside.exists()
    assert len(list((store.folder / "blobs").iterdir())) == 2
