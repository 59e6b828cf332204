"""Next edits in an editor: code actions, the command, and the ghost text on the cursor's line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from ghostd_lsp.next_edit import next_edit_at
from ghostd_lsp.params import (
    ContentChange,
    DidChangeParams,
    DidOpenParams,
    Position,
    Range,
    TextDocumentIdentifier,
    TextDocumentItem,
    VersionedTextDocumentIdentifier,
)
from ghostd_lsp.protocol import SessionServer
from ghostd_lsp.session import Session
from lsp_harness import Client, connected, edit, make_host
from navigation_harness import parsed

from ghostd.config.next_edit import NextEditConfig
from ghostd.config.settings import Config

FILES = {
    "store.py": "'😀'; print(load)\n\n\ndef load(key):\n    return key\n\n\nload(1)\n'ä😀'; load(2)\n",
    "a.py": "from store import load\n\n'😀'; load(3)\n",
}
CAPABILITIES: dict[str, Any] = {
    "workspace": {"workspaceEdit": {"documentChanges": True}},
    "window": {"showDocument": {"support": True}},
    "textDocument": {"inlineCompletion": {}},
}


@asynccontextmanager
async def editor(
    root: Path, capabilities: object = CAPABILITIES, settings: NextEditConfig | None = None
) -> AsyncIterator[tuple[Client, str]]:
    """An editor with store.py open, where `load` has been renamed."""
    host = make_host(index=await parsed(root, FILES), config=Config(next_edit=settings or NextEditConfig()))
    async with connected(host) as client:
        await client.initialize(capabilities, workspaceFolders=[{"uri": root.as_uri(), "name": "shop"}])
        uri = (root / "store.py").as_uri()
        client.open(uri, FILES["store.py"], version=7)
        client.change(uri, 8, edit(3, 4, 8, "read"))
        yield client, uri


async def actions(client: Client, uri: str, line: int = 3, character: int = 8, **context: object) -> list[Any]:
    place = {"line": line, "character": character}
    found: list[Any] = await client.request(
        "textDocument/codeAction",
        {
            "textDocument": {"uri": uri},
            "range": {"start": place, "end": place},
            "context": {"diagnostics": [], **context},
        },
    )
    return found


async def test_the_next_edit_all_of_them_and_the_rejection_are_code_actions(tmp_path: Path) -> None:
    async with editor(tmp_path) as (client, uri):
        one, every, reject = await actions(client, uri)
    assert [one["title"], every["title"], reject["title"]] == [
        "Next edit: `load` to `read` (line 8)",
        "Next edits: all 5. `load` has been renamed to `read`.",
        "Not this next edit",
    ]
    assert {each["kind"] for each in (one, every, reject)} == {"quickfix.ghostd.nextEdit"}
    changed = {"start": {"line": 7, "character": 0}, "end": {"line": 7, "character": 4}}
    document = {"uri": uri, "version": 8}
    assert one["edit"]["documentChanges"] == [
        {"textDocument": document, "edits": [{"range": changed, "newText": "read"}]}
    ]
    here, there = every["edit"]["documentChanges"]
    assert here["textDocument"] == document
    places = [(each["range"]["start"]["line"], each["range"]["start"]["character"]) for each in here["edits"]]
    assert places == [(7, 0), (8, 7), (0, 12)]  # in UTF-16
    assert there["textDocument"] == {"uri": (tmp_path / "a.py").as_uri(), "version": None}
    assert [each["range"]["start"] for each in there["edits"]] == [
        {"line": 0, "character": 18},
        {"line": 2, "character": 6},
    ]


async def test_a_client_without_versioned_edits_gets_plain_ones(tmp_path: Path) -> None:
    async with editor(tmp_path, {}) as (client, uri):
        one, *_ = await actions(client, uri)
    assert list(one["edit"]) == ["changes"]
    assert list(one["edit"]["changes"]) == [uri]


async def test_other_kinds_of_actions_are_not_answered(tmp_path: Path) -> None:
    async with editor(tmp_path) as (client, uri):
        assert await actions(client, uri, only=["refactor"]) == []
        assert await actions(client, uri, only=["quick"]) == []
        assert len(await actions(client, uri, only=["quickfix"])) == 3
        assert len(await actions(client, uri, only=["quickfix.ghostd.nextEdit"])) == 3


async def test_the_first_one_is_the_nearest_behind_the_cursor(tmp_path: Path) -> None:
    async with editor(tmp_path) as (client, uri):
        assert (await actions(client, uri, 8, 0))[0]["title"] == "Next edit: `load` to `read` (line 9)"


async def test_the_command_says_it_and_has_the_editor_go_there(tmp_path: Path) -> None:
    async with editor(tmp_path) as (client, uri):
        place = {"textDocument": {"uri": uri}, "position": {"line": 3, "character": 8}}
        command = {"command": "ghostd.nextEdit", "arguments": [{**place, "show": True}]}
        found = await client.request("workspace/executeCommand", command)
        shown = await client.notice("window/showDocument")
    assert shown == {"uri": uri, "takeFocus": True, "selection": found["range"]}
    told = {name: found[name] for name in ("uri", "version", "newText", "kind", "reason", "placeholder", "more")}
    assert told == {
        "uri": uri,
        "version": 8,
        "newText": "read",
        "kind": "rename",
        "reason": "`load` has been renamed to `read`.",
        "placeholder": False,
        "more": 4,
    }


async def test_what_was_rejected_is_not_proposed_again(tmp_path: Path) -> None:
    async with editor(tmp_path) as (client, uri):
        *_, reject = await actions(client, uri)
        assert await client.request("workspace/executeCommand", reject["command"]) is None
        assert (await actions(client, uri))[0]["title"] == "Next edit: `load` to `read` (line 9)"


async def test_what_was_rejected_is_not_proposed_by_another_rule(tmp_path: Path) -> None:
    """Two calls that were edited alike are a repeated change, beside the rename."""
    async with editor(tmp_path) as (client, uri):
        client.change(uri, 9, edit(7, 0, 4, "read"))
        *_, reject = await actions(client, uri, 7)
        assert await client.request("workspace/executeCommand", reject["command"]) is None
        assert (await actions(client, uri, 7))[0]["title"] == "Next edit: `load` to `read` (line 1)"


async def test_nothing_follows_an_edit_that_was_taken_back(tmp_path: Path) -> None:
    async with editor(tmp_path) as (client, uri):
        client.change(uri, 9, edit(3, 4, 8, "load"))
        assert await actions(client, uri) == []


async def test_nothing_follows_in_a_file_outside_of_the_indexed_folders(tmp_path: Path) -> None:
    async with editor(tmp_path) as (client, _):
        uri = "file:///elsewhere/a.py"
        client.open(uri, "def load(): ...\nload()\n")
        client.change(uri, 2, edit(0, 4, 8, "read"))
        assert await actions(client, uri) == []
        command = {
            "command": "ghostd.nextEdit",
            "arguments": [{"textDocument": {"uri": uri}, "position": {"line": 0, "character": 8}}],
        }
        assert await client.request("workspace/executeCommand", command) is None


async def test_a_document_that_is_sent_as_a_whole_is_compared(tmp_path: Path) -> None:
    async with editor(tmp_path) as (client, uri):
        client.change(uri, 9, {"text": FILES["store.py"].replace("(key)", "(key, other)")})
        found = await actions(client, uri)
    assert "`load` has a new parameter `other`." in found[1]["title"]


async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    host = make_host(index=await parsed(tmp_path, FILES), config=Config(next_edit=NextEditConfig(enabled=False)))
    async with connected(host) as client:
        found = await client.initialize(CAPABILITIES, workspaceFolders=[{"uri": tmp_path.as_uri(), "name": "shop"}])
    assert not found.get("codeActionProvider")


@pytest.mark.parametrize(
    ("command", "argument", "told"),
    [
        ("ghostd.nextEdit", {}, "textDocument"),
        ("ghostd.nextEdit", {"textDocument": {"uri": 1}, "position": {"line": 0, "character": 0}}, "uri"),
        ("ghostd.rejectNextEdit", {"id": 1}, "id"),
        ("ghostd.rejectNextEdit", None, "object"),
    ],
)
async def test_a_wrong_argument_is_refused(command: str, argument: object, told: str, tmp_path: Path) -> None:
    async with editor(tmp_path) as (client, _):
        error = await client.refused("workspace/executeCommand", {"command": command, "arguments": [argument]})
    assert error.code == -32602
    assert told in error.message


async def ghost(root: Path, text: str, line: int, change: tuple[int, int, str], **settings: Any) -> Any:
    """The ghost text behind a change in `line`, with the cursor there."""
    config = Config(next_edit=NextEditConfig(**settings))
    host = make_host(index=await parsed(root, {"a.py": text}), config=config)
    uri = (root / "a.py").as_uri()
    start, end, new = change
    async with asyncio.TaskGroup() as tasks:
        session = Session(host, SessionServer("0").protocol, tasks)
        session.open_document(DidOpenParams(TextDocumentItem(uri, text, version=1)))
        where = Range(Position(line, start), Position(line, end))
        document = VersionedTextDocumentIdentifier(uri, 2)
        session.change_document(DidChangeParams(document, [ContentChange(new, where)]))
        snapshot = session.snapshot(TextDocumentIdentifier(uri))
        assert snapshot is not None
        item = await next_edit_at(session, snapshot, line, start + len(new))
        session.end()
    if item is None:
        return None
    assert item.range is not None
    edges = [(edge.line, edge.character) for edge in (item.range.start, item.range.end)]
    return item.insert_text, *edges


async def test_ghost_text_on_the_cursors_line_reaches_from_the_cursor(tmp_path: Path) -> None:
    text = "def f():\n    x = 1; return x\n"
    assert await ghost(tmp_path, text, 1, (4, 5, "value")) == (" = 1; return value", (1, 9), (1, 23))


async def test_ghost_text_on_other_lines_is_for_those_who_ask_for_it(tmp_path: Path) -> None:
    text = "def f(x):\n    return x\n"
    assert await ghost(tmp_path, text, 0, (6, 7, "value")) is None
    found = await ghost(tmp_path, text, 0, (6, 7, "value"), near_lines=3)
    assert found == ("value", (1, 11), (1, 12))
