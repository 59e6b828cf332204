"""Which code has syntax errors: asked of the worker, and seen through completions."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

import pytest
from lsp_harness import connected

from ghostd.completion.fill import collect
from ghostd.config.completion import CompletionConfig
from ghostd.config.projects import IndexConfig
from ghostd.config.settings import Config
from ghostd.engine import Engine
from ghostd.index.service import SqliteIndex, open_index
from ghostd.models import FimVocabulary, ModelInfo
from ghostd.routing.registry import Registry
from ghostd.testing.host import frontend_host
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import FillRequest

pytestmark = pytest.mark.e2e

PREFIX, SUFFIX = "def area(width, height):\n    ", "\n    return width * height\n"
GOOD, BAD = f"{PREFIX}total = width{SUFFIX}", f"{PREFIX}total width{SUFFIX}"
PATIENT = CompletionConfig(model="gguf", syntax_ms=60_000, inline_budget_ms=60_000, warm_up=False, speculate="never")


@dataclass(slots=True)
class GgufLike(ScriptedProvider):
    """A scripted model with FIM tokens."""

    def models(self) -> tuple[ModelInfo, ...]:
        fim = FimVocabulary({"<|fim_prefix|>": 1, "<|fim_suffix|>": 2, "<|fim_middle|>": 3})
        return (ModelInfo("gguf", self.name, frozenset(("complete", "fill")), context_tokens=4096, fim=fim),)


@asynccontextmanager
async def writing(
    store: Path, text: str, config: CompletionConfig = PATIENT
) -> AsyncIterator[tuple[Engine, SqliteIndex]]:
    async with open_index(store, IndexConfig()) as index:
        engine = Engine(registry=Registry(Config(completion=config), [GgufLike([text], model="gguf")]))
        engine.syntax = index.soundness
        yield engine, index


async def test_the_first_text_without_an_error_is_told_by_language_or_name(store: Path) -> None:
    async with open_index(store, IndexConfig()) as index:
        ask = index.soundness.first_sound
        assert await ask("python", None, [BAD, GOOD, GOOD]) == 1
        assert await ask(None, PurePath("a.py"), [BAD, BAD]) == 2
        assert await ask("rust", PurePath("a.py"), ["fn f() {}"]) == 0
        assert await ask("typescriptreact", None, ["const a = <p>hello</p>;"]) == 0
        assert await ask("python", None, []) == 0
        assert await ask("python", None, ["x = '\ud800'\n"]) == 0
        for language, name in (("markdown", "a.md"), ("ruby", "a.rb"), (None, "README"), (None, None)):
            assert await ask(language, PurePath(name) if name else None, [GOOD]) is None


async def test_many_may_ask_at_once_and_stop_waiting(store: Path) -> None:
    async with open_index(store, IndexConfig()) as index:
        asked = [asyncio.ensure_future(index.soundness.first_sound("python", None, [BAD, GOOD])) for _ in range(50)]
        await asyncio.sleep(0)
        for one in asked[::2]:
            one.cancel()
        assert await asyncio.gather(*asked[1::2]) == [1] * 25


async def test_a_worker_that_is_killed_is_replaced_and_a_language_that_kills_it_is_left_alone(store: Path) -> None:
    async with open_index(store, IndexConfig()) as index:
        assert await index.soundness.first_sound("python", None, [GOOD]) == 0
        assert index.worker_pid is not None
        os.kill(index.worker_pid, signal.SIGKILL)
        assert await index.soundness.first_sound("python", None, [BAD, GOOD]) == 1
    async with open_index(store, IndexConfig(parse_timeout_ms=1)) as index:
        long = "x = [" + "a[b(c)], " * 1_000_000
        assert [await index.soundness.first_sound("python", None, [long]) for _ in range(3)] == [None] * 3
        pid = index.worker_pid
        assert await index.soundness.first_sound("python", None, [GOOD]) is None
        assert index.worker_pid == pid
        assert await index.soundness.first_sound("go", None, ["package p\n"]) == 0


@pytest.mark.parametrize(("text", "shown"), [("total = width", "total = width"), ("total width", "")])
async def test_a_fill_over_http_leaves_a_sound_file_sound(store: Path, text: str, shown: str) -> None:
    async with writing(store, text) as (engine, _):
        request = FillRequest("gguf", PREFIX, SUFFIX, path=Path("area.py"), tidy=True)
        assert (await collect(engine.fill(request))).text == shown


@pytest.mark.parametrize(("text", "shown"), [("total = width", ["total = width"]), ("total width", [])])
async def test_an_editor_is_shown_what_leaves_a_sound_file_sound(store: Path, text: str, shown: list[str]) -> None:
    async with writing(store, text) as (engine, index):
        host = frontend_host(engine, index, Path("unused"), Config(completion=PATIENT))
        async with connected(host) as client:
            await client.initialize()
            client.open("file:///area.py", PREFIX + SUFFIX)
            assert [item["insertText"] for item in await client.inline("file:///area.py", 1, 4)] == shown


async def test_it_can_be_turned_off(store: Path) -> None:
    off = CompletionConfig(model="gguf", syntax_ms=0)
    async with writing(store, "total width", off) as (engine, index):
        request = FillRequest("gguf", PREFIX, SUFFIX, path=Path("area.py"), tidy=True)
        assert (await collect(engine.fill(request))).text == "total width"
        assert index.worker_pid is None
