"""Next edits of a model in an editor: it is asked once the user has stopped to type, and while it is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ghostd_lsp.params import (
    ContentChange,
    DidChangeParams,
    DidOpenParams,
    TextDocumentItem,
    VersionedTextDocumentIdentifier,
)
from ghostd_lsp.protocol import SessionServer
from ghostd_lsp.session import Session
from lsp_harness import Client, LspError, at, connected, edit, make_host, until
from navigation_harness import parsed

from ghostd.config.next_edit import NextEditConfig
from ghostd.config.settings import Config
from ghostd.testing.scripted import ScriptedProvider

CANCELLED, MODIFIED = -32800, -32801
NOW = "total = 0\nfor row in rows:\n    sum_ = 1\n"
ANSWER = f"<|editable_region_start|>\n{NOW.replace('sum_', 'total')}\n<|editable_region_end|>"
LONG_MS = 60_000


@dataclass(slots=True)
class Editor:
    """One that has a.txt open, where a line has been edited."""

    client: Client
    uri: str
    quiet: ScriptedProvider
    """Fills, and has nothing to say."""
    model: ScriptedProvider
    """For next edits."""

    def ghost_text(self) -> tuple[int, asyncio.Future[Any]]:
        return self.client.ask("textDocument/inlineCompletion", at(self.uri, 2, 4))

    def command(self) -> tuple[int, asyncio.Future[Any]]:
        argument = {"textDocument": {"uri": self.uri}, "position": {"line": 0, "character": 5}}
        return self.client.ask("workspace/executeCommand", {"command": "ghostd.nextEdit", "arguments": [argument]})

    async def failure(self, reply: asyncio.Future[Any]) -> int:
        """The code of the error that a request ends with."""
        with pytest.raises(LspError) as caught:
            await self.client.answer(reply)
        return caught.value.code


@asynccontextmanager
async def editor(root: Path, *, idle_ms: int, hold: asyncio.Event | None = None) -> AsyncIterator[Editor]:
    quiet = ScriptedProvider((), "quiet", "quiet-model", frozenset(("fill",)))
    model = ScriptedProvider((ANSWER,), "editor", "editor-model", frozenset(("complete",)), hold=hold)
    config = Config(next_edit=NextEditConfig(model="editor-model", idle_ms=idle_ms))
    before = NOW.replace("total = 0", "sum_ = 0")
    host = make_host(providers=[quiet, model], index=await parsed(root, {"a.txt": before}), config=config)
    async with connected(host) as client:
        await client.initialize(workspaceFolders=[{"uri": root.as_uri(), "name": "shop"}])
        uri = (root / "a.txt").as_uri()
        client.open(uri, before, "plaintext")
        client.change(uri, 2, edit(0, 0, 4, "total"))
        yield Editor(client, uri, quiet, model)
    host.next_edits.close()


async def test_ghost_text_of_the_model_waits_until_the_user_has_stopped_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, over = asyncio.Event(), asyncio.Event()
    waits: list[float] = []

    async def idle(_: Session, for_s: float) -> None:
        waits.append(for_s)
        waiting.set()
        await over.wait()

    monkeypatch.setattr(Session, "idle", idle)
    async with editor(tmp_path, idle_ms=400) as it:
        _, reply = it.ghost_text()
        await asyncio.wait_for(waiting.wait(), 20)
        assert (waits, len(it.quiet.requests), it.model.requests) == ([0.4], 1, [])
        over.set()
        (item,) = (await it.client.answer(reply))["items"]
    line = {"start": {"line": 2, "character": 0}, "end": {"line": 2, "character": 12}}
    assert (item["insertText"], item["range"]) == ("    total = 1", line)
    assert len(it.model.requests) == 1


async def test_idle_is_counted_from_the_last_edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(delay_s: float) -> None:
        slept.append(delay_s)

    uri = (tmp_path / "a.txt").as_uri()
    async with asyncio.TaskGroup() as tasks:
        session = Session(make_host(), SessionServer("0").protocol, tasks)
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "sleep", sleep)
            await session.idle(1000)
            session.open_document(DidOpenParams(TextDocumentItem(uri, "a", version=1)))
            await session.idle(1000)
            session.change_document(DidChangeParams(VersionedTextDocumentIdentifier(uri, 2), [ContentChange("b")]))
            await session.idle(1000)
        session.end()
    never, opened, changed = slept
    assert (never, opened) == (0, 0)
    assert 0 < changed <= 1000


async def test_a_change_ends_the_wait_and_the_model_is_not_asked(tmp_path: Path) -> None:
    async with editor(tmp_path, idle_ms=LONG_MS) as it:
        _, reply = it.ghost_text()
        await until(lambda: it.quiet.requests != [])
        it.client.change(it.uri, 3, edit(0, 0, 0, "x"))
        assert await it.failure(reply) == MODIFIED
    assert it.model.requests == []


async def test_a_cancelled_request_ends_the_wait_and_the_model_is_not_asked(tmp_path: Path) -> None:
    async with editor(tmp_path, idle_ms=LONG_MS) as it:
        number, reply = it.ghost_text()
        await until(lambda: it.quiet.requests != [])
        it.client.notify("$/cancelRequest", {"id": number})
        assert await it.failure(reply) == CANCELLED
    assert it.model.requests == []


async def test_a_newer_request_takes_the_place_of_one_that_waits(tmp_path: Path) -> None:
    async with editor(tmp_path, idle_ms=LONG_MS) as it:
        _, first = it.ghost_text()
        await until(lambda: len(it.quiet.requests) == 1)
        number, second = it.ghost_text()
        assert await it.failure(first) == CANCELLED
        it.client.notify("$/cancelRequest", {"id": number})
        assert await it.failure(second) == CANCELLED
    assert it.model.requests == []


async def test_a_command_does_not_wait(tmp_path: Path) -> None:
    async with editor(tmp_path, idle_ms=LONG_MS) as it:
        found = await it.client.answer(it.command()[1])
    assert (found["kind"], found["newText"]) == ("model", "    total = 1")


async def test_what_follows_without_a_model_does_not_wait(tmp_path: Path) -> None:
    async with editor(tmp_path, idle_ms=LONG_MS) as it:
        uri = (tmp_path / "a.py").as_uri()
        it.client.open(uri, "def f(x): return x\n")
        it.client.change(uri, 2, edit(0, 6, 7, "value"))
        ((item,),) = [await it.client.inline(uri, 0, 11)]
    assert item["insertText"] == "): return value"
    assert it.model.requests == []


async def test_a_cancelled_command_ends_the_models_work(tmp_path: Path) -> None:
    async with editor(tmp_path, idle_ms=0, hold=asyncio.Event()) as it:
        number, reply = it.command()
        await until(lambda: it.model.started == 1)
        it.client.notify("$/cancelRequest", {"id": number})
        assert await it.failure(reply) == CANCELLED
        await until(lambda: it.model.closed == 1)


async def test_a_change_ends_the_models_work(tmp_path: Path) -> None:
    async with editor(tmp_path, idle_ms=0, hold=asyncio.Event()) as it:
        _, reply = it.command()
        await until(lambda: it.model.started == 1)
        it.client.change(it.uri, 3, edit(0, 0, 0, "x"))
        await until(lambda: it.model.closed == 1)
        assert await it.client.answer(reply) is None


@pytest.mark.parametrize("gone", ["closed", "editor"])
async def test_the_models_work_ends_with_the_document_and_with_the_editor(gone: str, tmp_path: Path) -> None:
    async with editor(tmp_path, idle_ms=0, hold=asyncio.Event()) as it:
        _, reply = it.command()
        await until(lambda: it.model.started == 1)
        if gone == "closed":
            it.client.notify("textDocument/didClose", {"textDocument": {"uri": it.uri}})
            assert await it.client.answer(reply) is None
        else:
            await it.client.vanish()
            reply.cancel()
        await until(lambda: it.model.closed == 1)
