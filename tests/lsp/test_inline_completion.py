"""textDocument/inlineCompletion: what is asked of the engine, and what the editor gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from lsp_harness import Client, connected, edit, make_host, until

from ghostd.config.completion import CompletionConfig
from ghostd.config.settings import Config
from ghostd.errors import WorkerCrashed
from ghostd.testing.memory_index import MemoryIndex
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import FillRequest, OpenDocument

URI = "file:///project/a.py"


def fills(provider: ScriptedProvider) -> list[FillRequest]:
    return [request for request in provider.requests if isinstance(request, FillRequest)]


@asynccontextmanager
async def editor(
    provider: ScriptedProvider, config: Config | None = None, index: MemoryIndex | None = None
) -> AsyncIterator[Client]:
    async with connected(make_host(providers=[provider], config=config, index=index)) as client:
        await client.initialize()
        yield client


def selected(start: int, end: int, text: str, line: int = 0) -> dict[str, object]:
    edges = {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}
    return {"selectedCompletionInfo": {"range": edges, "text": text}}


async def test_the_engine_is_asked_for_the_hole_at_the_cursor(tmp_path: Path) -> None:
    provider = ScriptedProvider(pieces=("x + ", "1"))
    settings = CompletionConfig(model="scripted-model", max_tokens=7, max_lines=3)
    index = MemoryIndex()
    file = tmp_path / "sub dir" / "ä.py"
    async with editor(provider, Config(completion=settings), index) as client:
        await index.add_root(tmp_path)
        client.open(file.as_uri(), "a = 1\nb = \nc = 3\n")
        items = await client.inline(file.as_uri(), 1, 4)
    where = {"line": 1, "character": 4}
    command = items[0].pop("command")
    assert command["command"] == "ghostd.completionFeedback"
    assert items == [{"insertText": "x + 1", "range": {"start": where, "end": where}}]
    assert fills(provider) == [
        FillRequest(
            model="scripted-model",
            prefix="a = 1\nb = ",
            suffix="\nc = 3\n",
            path=file,
            root=tmp_path,
            language="python",
            max_tokens=7,
            max_lines=3,
            trigger="automatic",
            session=fills(provider)[0].session,
        )
    ]


async def test_a_request_by_the_user_is_manual() -> None:
    provider = ScriptedProvider()
    async with editor(provider) as client:
        client.open("untitled:Untitled-1", "x")
        await client.inline("untitled:Untitled-1", 0, 1, triggerKind=1)
    assert [(request.trigger, request.path, request.root) for request in fills(provider)] == [("manual", None, None)]


async def test_other_open_files_go_along_most_recently_used_first() -> None:
    provider = ScriptedProvider()
    async with editor(provider) as client:
        for name in ("old", "new", "changed"):
            client.open(f"file:///{name}.py", f"{name}\r\n")
        client.open("untitled:1", "no file")
        client.change("file:///old.py", 2, edit(0, 0, 0, "very "))
        client.open("file:///closed.py", "gone")
        client.notify("textDocument/didClose", {"textDocument": {"uri": "file:///closed.py"}})
        client.open("file:///huge.py", "x\n" * 300_000)
        client.open(URI, "")
        await client.inline(URI, 0, 0)
    assert fills(provider)[0].open_documents == (
        OpenDocument(Path("/old.py"), "very old\n"),
        OpenDocument(Path("/changed.py"), "changed\n"),
        OpenDocument(Path("/new.py"), "new\n"),
    )


async def test_a_document_with_other_line_ends_reaches_the_model_with_newlines() -> None:
    provider = ScriptedProvider(pieces=("x",))
    async with editor(provider) as client:
        client.open(URI, "a\r\nb\rc\r\nd")
        items = await client.inline(URI, 2, 1)
    assert (fills(provider)[0].prefix, fills(provider)[0].suffix) == ("a\nb\nc", "\nd")
    assert items[0]["range"]["start"] == {"line": 2, "character": 1}


async def test_what_the_rest_of_the_line_repeats_is_cut() -> None:
    async with editor(ScriptedProvider(pieces=("value)",))) as client:
        client.open(URI, "print()\n")
        assert [item["insertText"] for item in await client.inline(URI, 0, 6)] == ["value"]


@pytest.mark.parametrize("text", ["", "  \n ", ")"])
async def test_a_model_with_nothing_to_show_gives_no_item(text: str) -> None:
    async with editor(ScriptedProvider(pieces=(text,))) as client:
        client.open(URI, "print()\n")
        assert await client.inline(URI, 0, 6) == []


@pytest.mark.parametrize(("line", "character", "where"), [(0, 999, (0, 3)), (99, 0, (1, 0)), (2**40, 2**40, (1, 0))])
async def test_a_position_beyond_the_text_is_its_end(line: int, character: int, where: tuple[int, int]) -> None:
    """LSP 3.18, "Position": a character beyond the line means its length."""
    async with editor(ScriptedProvider(pieces=("x",))) as client:
        client.open(URI, "abc\n")
        start = (await client.inline(URI, line, character))[0]["range"]["start"]
    assert (start["line"], start["character"]) == where


async def test_ghost_text_goes_on_from_the_entry_selected_in_the_completion_list() -> None:
    """LSP 3.18, `selectedCompletionInfo`: the item replaces the entry's range and begins with its text."""
    provider = ScriptedProvider(pieces=("(1)",))
    async with editor(provider) as client:
        client.open(URI, "x.ap  # end\n")
        items = await client.inline(URI, 0, 4, **selected(2, 4, "append"))
    assert (fills(provider)[0].prefix, fills(provider)[0].suffix) == ("x.append", "  # end\n")
    del items[0]["command"]
    assert items == [
        {
            "insertText": "append(1)",
            "range": {"start": {"line": 0, "character": 2}, "end": {"line": 0, "character": 4}},
        }
    ]


@pytest.mark.parametrize("info", [selected(0, 1, "x"), selected(4, 6, "x"), selected(0, 4, "x", line=1)])
async def test_a_selected_entry_away_from_the_cursor_gets_no_ghost_text(info: dict[str, object]) -> None:
    provider = ScriptedProvider()
    async with editor(provider) as client:
        client.open(URI, "abcdefgh\nabcdefgh\n")
        assert await client.inline(URI, 0, 3, **info) == []
    assert provider.requests == []


async def test_a_model_that_fails_is_told_once_and_gives_no_item() -> None:
    provider = ScriptedProvider(error=WorkerCrashed("the worker of m.gguf ended (signal 9)"))
    async with editor(provider) as client:
        client.open(URI, "x")
        for _ in range(2):
            assert await client.inline(URI, 0, 1) == []
        assert "m.gguf" in (await client.notice("window/logMessage"))["message"]
        provider.error = None
        assert await client.inline(URI, 0, 1)
        provider.error = WorkerCrashed("the worker of m.gguf ended (signal 9)")
        client.open(URI, "other")
        assert await client.inline(URI, 0, 5) == []
        assert "m.gguf" in (await client.notice("window/logMessage"))["message"]


async def test_a_model_that_is_not_there_is_told_once() -> None:
    async with editor(ScriptedProvider(), Config(completion=CompletionConfig(model="gone"))) as client:
        client.open(URI, "x")
        assert await client.inline(URI, 0, 1) == []
        assert await client.inline(URI, 0, 1) == []
        assert "'gone' does not exist" in (await client.notice("window/logMessage"))["message"]


async def test_a_model_that_takes_too_long_is_given_up() -> None:
    provider = ScriptedProvider(hold=asyncio.Event())
    async with editor(provider, Config(completion=CompletionConfig(timeout_ms=1))) as client:
        client.open(URI, "x")
        assert await client.inline(URI, 0, 1) == []
        assert "completion.timeout_ms" in (await client.notice("window/logMessage"))["message"]
        await until(lambda: provider.closed == 1)
