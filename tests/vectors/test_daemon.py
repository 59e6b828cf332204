"""A daemon with embeddings, whose model is a scripted server."""

import asyncio
import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults.daemon import Daemon, running_daemon

from ghostd.testing.hashing_vectors import hashed
from ghostd.testing.scripted_upstream import Answer, ScriptedUpstream, Seen, json_answer, scripted_upstream

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

WAIT_S = 60.0
FILES = {f"m{n}.py": f"def function_{n}(value_{n}):\n    return value_{n}\n" for n in range(12)} | {
    "app.py": "def main():\n    # value_7 function_7\n    pass\n"
}


def serve(seen: Seen) -> Answer:
    """An embedding service that hashes words."""
    if seen.path.endswith("/models"):
        return json_answer({"object": "list", "data": [{"id": "embedder", "object": "model"}]})
    body = seen.json
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    data = [{"object": "embedding", "index": n, "embedding": hashed(text)} for n, text in enumerate(texts)]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return json_answer({"object": "list", "data": data, "model": body["model"], "usage": usage})


def texts_of(upstream: ScriptedUpstream) -> list[str]:
    """All that it was asked to embed."""
    asked = [seen.json["input"] for seen in upstream.requests if seen.path.endswith("/embeddings")]
    return [text for one in asked for text in ([one] if isinstance(one, str) else one)]


def config(url: str, root: Path, more: str = "") -> str:
    discovered = ("ollama_store", "lm_studio", "llama_cpp", "huggingface", "servers")
    return "\n".join(
        [
            "frontends = []",
            "[index]",
            f'roots = ["{root}"]',
            "[project_model]",
            "enabled = false",
            "[discovery]",
            *(f"{name} = false" for name in discovered),
            "[providers.acme]",
            'preset = "openai-compatible"',
            f'base_urls = ["{url}/v1"]',
            'models = ["embedder"]',
            "[embeddings]",
            'model = "acme/embedder"',
            more,
        ]
    )


def written(folder: Path) -> Path:
    root = folder / "project"
    root.mkdir()
    for name, text in FILES.items():
        (root / name).write_text(text, "utf-8")
    return root


async def until(daemon: Daemon, good: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The root's state of embeddings, once it is as wanted."""
    async with asyncio.timeout(WAIT_S):
        while True:
            (root,) = json.loads(await daemon.command("status", "--json"))["roots"]
            found: dict[str, Any] = root["embeddings"]
            if good(found):
                return found
            await asyncio.sleep(0.1)


async def test_chunks_are_embedded_and_a_context_takes_what_is_similar(tmp_path: Path) -> None:
    root = await asyncio.to_thread(written, tmp_path)
    async with (
        scripted_upstream(serve) as upstream,
        running_daemon(tmp_path / "home", config(upstream.url, root)) as daemon,
    ):
        state = await until(daemon, lambda found: found["state"] == "ready" and found["embedded"] > 0)
        assert (state["embedded"], state["chunks"], state["model"]) == (13, 13, "acme/embedder")
        assert sorted(text.split("\n")[0] for text in texts_of(upstream)) == sorted(FILES)
        assert "13 chunks embedded by acme/embedder" in await daemon.command("status")
        shown = json.loads(await daemon.command("context", f"{root / 'app.py'}:3", "--json"))
        assert "similar" not in shown["late"]
        close = {one["path"] for one in shown["chunks"] if "similar in meaning" in one["why"]}
        assert "m7.py" in close
        assert "app.py" not in close
        assert texts_of(upstream)[-1].startswith("app.py\n")


async def test_a_killed_daemon_goes_on_where_it_was(tmp_path: Path) -> None:
    root = await asyncio.to_thread(written, tmp_path)
    home = tmp_path / "home"
    async with scripted_upstream(serve) as upstream:
        asked = 0

        def three_only(seen: Seen) -> Answer:
            nonlocal asked
            asked += seen.path.endswith("/embeddings")
            return serve(seen) if asked <= 3 else Answer(silent=True, ending="hang")

        upstream.serve = three_only
        settings = config(upstream.url, root, "batch_chunks = 2")
        async with running_daemon(home, settings) as daemon:
            async with asyncio.timeout(WAIT_S):
                while len(texts_of(upstream)) < 8:
                    await upstream.requested(len(upstream.requests) + 1)
            daemon.process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(daemon.process.wait)
        upstream.serve = serve
        before = texts_of(upstream)
        async with running_daemon(home, settings) as daemon:
            await until(daemon, lambda found: found["state"] == "ready" and found["embedded"] == 13)
        again = texts_of(upstream)[len(before) :]
        assert len(again) == 13 - 6
        assert not {*before[:6]} & {*again}


async def test_a_model_elsewhere_is_refused_in_words(tmp_path: Path) -> None:
    root = await asyncio.to_thread(written, tmp_path)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        # An address of documentation (RFC 5737): were it asked, nobody would answer.
        settings = config(f"http://192.0.2.1:{unused.getsockname()[1]}", root)
        async with running_daemon(tmp_path / "home", settings) as daemon:
            state = await until(daemon, lambda found: found["state"] == "refused")
            assert "embeddings.allow_cloud = true" in state["detail"]
            assert state["embedded"] == 0
            assert "allow_cloud" in await daemon.command("status")
            assert await daemon.requests(10) == []


@pytest.mark.parametrize(
    ("model", "problem"), [("no/such", "does not exist"), ("auto", "single one"), ("acme/embedder-2", "embedder-2")]
)
async def test_a_model_that_cannot_be_used_is_told(tmp_path: Path, model: str, problem: str) -> None:
    root = await asyncio.to_thread(written, tmp_path)
    async with scripted_upstream(serve) as upstream:
        upstream.serve = lambda _: json_answer({"error": {"message": "no model embedder-2", "type": "x"}}, 404)
        settings = config(upstream.url, root).replace('model = "acme/embedder"', f'model = "{model}"')
        async with running_daemon(tmp_path / "home", settings) as daemon:
            state = await until(daemon, lambda found: found["state"] == "failed")
            assert problem in state["detail"]


async def test_without_a_model_nothing_is_said_or_kept(tmp_path: Path) -> None:
    root = await asyncio.to_thread(written, tmp_path)
    async with scripted_upstream(serve) as upstream:
        settings = config(upstream.url, root).replace('model = "acme/embedder"', "")
        async with running_daemon(tmp_path / "home", settings) as daemon:
            await daemon.command("status", "--wait", "30")
            (state,) = json.loads(await daemon.command("status", "--json"))["roots"]
            assert state["embeddings"] is None
            assert not (daemon.home / "data" / "vectors").exists()
            assert texts_of(upstream) == []
