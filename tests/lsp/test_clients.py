"""ghostd as well-known editors see it: pytest-lsp's client checks each message against the editor's capabilities."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath

import pytest
from ghostd_lsp.frontend import serve
from lsp_harness import TIMEOUT_S, make_host, until
from lsprotocol import types
from pygls.io_ import run_async
from pytest_lsp import LanguageClient, client_capabilities, make_test_lsp_client

from ghostd.indexed import Span, Symbol
from ghostd.testing.memory_index import MemoryIndex
from ghostd.testing.scripted import ScriptedProvider

PROFILES = ["neovim@v0.11.0", "neovim@v0.9.1", "emacs@latest", "visual_studio_code@latest"]
TEXT = "s = '😀'.load\n"


@asynccontextmanager
async def editor(path: Path, capabilities: types.ClientCapabilities) -> AsyncIterator[LanguageClient]:
    """A pytest-lsp client in a session of its own, shut down politely at the end."""
    symbols = [Symbol("loaded", "function", PurePosixPath("b.py"), Span(0, 1), Span(0, 1), 1)]
    index = MemoryIndex(symbols)
    host = make_host(path / "lsp.sock", [ScriptedProvider(pieces=("(1)", "\nsecond"))], index)
    async with serve(host), asyncio.timeout(TIMEOUT_S):
        reader, writer = await asyncio.open_unix_connection(host.socket_path)
        client = make_test_lsp_client()
        client.protocol.set_writer(writer)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run_async(threading.Event(), reader, client.protocol))
            folder = types.WorkspaceFolder(path.as_uri(), "project")
            await client.initialize_session(types.InitializeParams(capabilities, workspace_folders=[folder]))
            await until(lambda: len(index.roots()) == 1)
            yield client
            await client.shutdown_async(None)
            client.exit(None)
        writer.close()


def open_document(client: LanguageClient, path: Path) -> types.TextDocumentIdentifier:
    uri = (path / "a.py").as_uri()
    item = types.TextDocumentItem(uri, types.LanguageKind.Python, 1, TEXT)
    client.text_document_did_open(types.DidOpenTextDocumentParams(item))
    return types.TextDocumentIdentifier(uri)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32", None])
async def test_an_editor_without_inline_completion_gets_a_completion_list(
    profile: str, encoding: str | None, tmp_path: Path
) -> None:
    capabilities = client_capabilities(profile)
    capabilities.general = types.GeneralClientCapabilities(position_encodings=[encoding] if encoding else None)
    column = {"utf-8": 15, "utf-16": 13, "utf-32": 12}[encoding or "utf-16"]
    async with editor(tmp_path, capabilities) as client:
        document = open_document(client, tmp_path)
        found = await client.text_document_completion_async(types.CompletionParams(document, types.Position(0, column)))
    assert isinstance(found, types.CompletionList)
    where = types.Range(types.Position(0, column - 4), types.Position(0, column))
    assert [(item.label, item.text_edit) for item in found.items] == [
        ("load(1)", types.TextEdit(where, "load(1)\nsecond")),
        ("loaded", types.TextEdit(where, "loaded")),
    ]


async def test_an_editor_with_inline_completion_gets_ghost_text(tmp_path: Path) -> None:
    capabilities = client_capabilities("neovim@v0.11.0")
    assert capabilities.text_document is not None
    capabilities.text_document.inline_completion = types.InlineCompletionClientCapabilities()
    async with editor(tmp_path, capabilities) as client:
        document = open_document(client, tmp_path)
        context = types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic)
        found = await client.text_document_inline_completion_async(
            types.InlineCompletionParams(context, document, types.Position(0, 15))
        )
    where = types.Range(types.Position(0, 15), types.Position(0, 15))
    assert isinstance(found, types.InlineCompletionList)
    (item,) = found.items
    assert (item.insert_text, item.range) == ("(1)\nsecond", where)
    assert item.command is not None and item.command.command == "ghostd.completionFeedback"
