"""A session's life and its messages, through a socket pair."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from ghostd_lsp.framing import read_message
from ghostd_lsp.protocol import SessionServer
from ghostd_lsp.serving import serve_session
from lsp_harness import INLINE, LspError, at, connected, edit, make_host, until
from lsprotocol import types

from ghostd.config.lsp import LspConfig
from ghostd.config.settings import Config
from ghostd.suggestions.service import SuggestionService
from ghostd.suggestions.suggestion import Ask
from ghostd.testing.memory_index import MemoryIndex
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import FillRequest

URI = "file:///project/a.py"


def fills(provider: ScriptedProvider) -> list[FillRequest]:
    return [request for request in provider.requests if isinstance(request, FillRequest)]


async def test_initialize_names_encoding_sync_and_inline_completion() -> None:
    async with connected(make_host()) as client:
        result = await client.request("initialize", {"processId": None, "capabilities": INLINE})
        assert result["serverInfo"]["name"] == "ghostd"
        assert result["capabilities"] == {
            "positionEncoding": "utf-16",
            "textDocumentSync": {"openClose": True, "change": 2},
            "inlineCompletionProvider": {},
            "executeCommandProvider": {
                "commands": [
                    "ghostd.context",
                    "ghostd.completionFeedback",
                    "ghostd.nextEdit",
                    "ghostd.rejectNextEdit",
                ]
            },
            "codeActionProvider": {"codeActionKinds": ["quickfix.ghostd.nextEdit"]},
            "workspaceSymbolProvider": {"resolveProvider": True},
            "documentSymbolProvider": {"label": "ghostd"},
            "definitionProvider": True,
            "referencesProvider": True,
            "hoverProvider": True,
            "callHierarchyProvider": True,
            "workspace": {"workspaceFolders": {"supported": True, "changeNotifications": True}},
        }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_positions_follow_the_encoding_that_the_client_prefers(encoding: str) -> None:
    provider = ScriptedProvider(pieces=("()",))
    column = {"utf-8": 10, "utf-16": 8, "utf-32": 7}[encoding]
    async with connected(make_host(providers=[provider])) as client:
        found = await client.initialize(INLINE | {"general": {"positionEncodings": [encoding, "utf-16"]}})
        client.open(URI, "s = '😀'\n")
        client.change(URI, 2, edit(0, column, column, ".upper"))
        items = await client.inline(URI, 0, column + 6)
    assert found["positionEncoding"] == encoding
    assert fills(provider)[0].prefix == "s = '😀'.upper"
    assert items[0]["range"]["start"] == {"line": 0, "character": column + 6}


async def test_a_request_before_initialize_is_refused() -> None:
    """LSP 3.18, "initialize": the server answers with ServerNotInitialized (-32002)."""
    async with connected(make_host()) as client:
        assert (await client.refused("textDocument/inlineCompletion", at(URI, 0, 0))).code == -32002
        assert (await client.refused("shutdown")).code == -32002
        client.notify("textDocument/didOpen", {"nothing": 1})
        await client.initialize()


async def test_a_second_initialize_is_refused() -> None:
    async with connected(make_host()) as client:
        await client.initialize()
        assert (await client.refused("initialize", {"capabilities": {}})).code == -32600


async def test_after_shutdown_only_exit_is_served() -> None:
    async with connected(make_host()) as client:
        await client.initialize()
        assert await client.request("shutdown") is None
        assert (await client.refused("textDocument/inlineCompletion", at(URI, 0, 0))).code == -32600
        assert (await client.refused("initialize", {"capabilities": {}})).code == -32600
        assert (await client.refused("shutdown")).code == -32600


async def test_exit_without_shutdown_ends_the_session_and_its_requests() -> None:
    provider = ScriptedProvider(hold=asyncio.Event())
    async with connected(make_host(providers=[provider])) as client:
        await client.initialize()
        client.open(URI, "x")
        _, answer = client.ask("textDocument/inlineCompletion", at(URI, 0, 1))
        await until(lambda: provider.started == 1)
        client.notify("exit", None)
        await client.wait_closed()
        answer.cancel()
    assert provider.closed == 1


LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
"""The daemon runs on uvloop, whose transports tell the end of a connection in their own way."""


@LOOPS
def test_a_lost_connection_cancels_its_requests(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def scenario() -> None:
        provider = ScriptedProvider(hold=asyncio.Event())
        async with connected(make_host(providers=[provider])) as client:
            await client.initialize()
            client.open(URI, "x")
            _, answer = client.ask("textDocument/inlineCompletion", at(URI, 0, 1))
            await until(lambda: provider.started == 1)
            await client.vanish()
            await until(lambda: provider.closed == 1)
            answer.cancel()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())


@LOOPS
def test_a_client_that_vanishes_behind_an_unanswered_request_is_no_failure(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """The connection's descriptor is closed by the time that its end is read."""

    async def scenario() -> None:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=theirs)
        with ours:
            ours.sendall(b"Content-Length: 500\r\n\r\n{")
        writer.transport.abort()
        await until(lambda: writer.get_extra_info("socket").fileno() < 0)
        await serve_session(make_host(), reader, writer)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())


@LOOPS
def test_a_client_that_only_stops_sending_still_gets_its_answer(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """`ghostd lsp` half-closes at the end of its stdin; the choice is ours."""

    async def scenario() -> None:
        provider = ScriptedProvider(pieces=("later",), hold=(hold := asyncio.Event()))
        async with connected(make_host(providers=[provider])) as client:
            await client.initialize()
            client.open(URI, "x")
            _, answer = client.ask("textDocument/inlineCompletion", at(URI, 0, 1))
            await until(lambda: provider.started == 1)
            client.writer.write_eof()
            hold.set()
            assert (await client.answer(answer))["items"][0]["insertText"] == "later"
            await client.wait_closed()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())


@pytest.mark.parametrize(
    ("params", "field"),
    [
        (None, "params"),
        ([], "params"),
        ({}, "textDocument"),
        ({"textDocument": {"uri": 5}, "position": {"line": 0, "character": 0}}, "textDocument.uri"),
        ({"textDocument": {"uri": URI}, "position": {"line": -1, "character": 0}}, "position.line"),
        ({"textDocument": {"uri": URI}, "position": {"line": 0, "character": "0"}}, "position.character"),
        ({"textDocument": {"uri": URI}, "position": {"line": 0}}, "character"),
        ({"textDocument": {"uri": URI}, "position": "\ud800"}, "half of a surrogate pair"),
        ({**at(URI, 0, 0), "context": {"triggerKind": 7}}, "context.triggerKind"),
        ({"textDocument": {"uri": "file:///closed.py"}, "position": {"line": 0, "character": 0}}, "textDocument.uri"),
    ],
)
async def test_malformed_params_are_answered_with_the_field_that_is_wrong(params: object, field: str) -> None:
    async with connected(make_host()) as client:
        await client.initialize()
        error = await client.refused("textDocument/inlineCompletion", params)
        assert error.code == -32602
        assert field in error.message
        assert "Traceback" not in error.message


async def test_malformed_initialize_params_are_answered_and_can_be_sent_again() -> None:
    async with connected(make_host()) as client:
        error = await client.refused("initialize", {"capabilities": 3})
        assert (error.code, "params.capabilities" in error.message) == (-32602, True)
        assert "inlineCompletionProvider" in await client.initialize()


async def test_an_unknown_method_is_answered_and_an_unknown_notification_ignored() -> None:
    async with connected(make_host()) as client:
        await client.initialize()
        assert (await client.refused("textDocument/hoover", {})).code == -32601
        assert (await client.refused("$/unknown", {})).code == -32601
        client.notify("$/setTrace", {"value": "verbose"})
        client.notify("workspace/didChangeConfiguration", {"settings": {}})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"", -32700),
        (b"\xff\xfe{}", -32700),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"shutdown"}', -32700),
        (b"[" * 200_000, -32700),
        (b'{"a":' * 200_000, -32700),
        (b"9" * 10_000, -32700),
        (b"[]", -32600),
        (b"null", -32600),
        (b"{}", -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"shutdown"}', -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"shutdown"}', -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"shutdown"}', -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"shutdown"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600),
    ],
)
async def test_a_body_that_is_no_message_is_reported_and_the_session_goes_on(body: bytes, code: int) -> None:
    """JSON-RPC 2.0, section 5.1; the id is null where it could not be read."""
    async with connected(make_host()) as client:
        await client.initialize()
        client.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        assert (await client.orphan())[0] == code
        assert (await client.refused("nothing")).code == -32601


@pytest.mark.parametrize(
    ("command", "argument", "told"),
    [
        (
            "ghostd.completionFeedback",
            {"uri": "a:b", "id": "req_x", "kind": "liked"},
            "params.arguments[0].kind: ",
        ),
        ("ghostd.completionFeedback", {"uri": "a:b", "id": "x", "kind": "accepted"}, "params.arguments[0].id: "),
        ("ghostd.context", {}, "params.arguments[0]: "),
        ("ghostd.nextEdit", {"textDocument": {"uri": 5}}, "params.arguments[0].textDocument.uri: "),
        ("ghostd.rejectNextEdit", {"id": 7}, "params.arguments[0].id: "),
    ],
)
async def test_a_commands_wrong_argument_is_named(command: str, argument: dict[str, Any], told: str) -> None:
    async with connected(make_host()) as client:
        await client.initialize()
        refused = await client.refused("workspace/executeCommand", {"command": command, "arguments": [argument]})
        assert refused.code == -32602
        assert refused.message.startswith(told)


async def test_a_request_without_jsonrpc_version_is_answered_by_its_id() -> None:
    async with connected(make_host()) as client:
        answer = client.expect("x")
        client.send({"id": "x", "method": "shutdown"})
        with pytest.raises(LspError, match="-32600"):
            await client.answer(answer)


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Length: many\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Type: text/plain\r\n\r\n",
        b"no colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"Content-Length: 2\r\nContent-Type: application/vscode-jsonrpc; charset=latin-1\r\n\r\n{}",
        b"x" * 100_000,
    ],
)
async def test_a_broken_header_ends_this_session_with_an_error(data: bytes) -> None:
    async with connected(make_host()) as client:
        await client.initialize()
        client.write(data)
        assert (await client.orphan())[0] == -32700
        await client.wait_closed()


async def test_a_message_over_the_limit_ends_this_session_with_an_error() -> None:
    config = Config(lsp=LspConfig(max_message_bytes=1000))
    async with connected(make_host(config=config)) as client:
        await client.initialize()
        client.write(b"Content-Length: 1001\r\n\r\n")
        code, message = await client.orphan()
        assert (code, "lsp.max_message_bytes" in message) == (-32600, True)
        await client.wait_closed()


async def test_headers_are_read_in_any_case_and_order_with_a_known_charset() -> None:
    """LSP 3.18, "Header Part"; `utf8` is accepted for `utf-8`."""
    async with connected(make_host()) as client:
        for charset in ("utf-8", "utf8"):
            body = json.dumps({"jsonrpc": "2.0", "id": charset, "method": "nothing"}).encode()
            answer = client.expect(charset)
            head = f"content-type: application/vscode-jsonrpc; charset={charset}\r\ncontent-length:{len(body)}"
            client.write(head.encode() + b"\r\n\r\n" + body)
            with pytest.raises(LspError, match="-32002"):
                await client.answer(answer)


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
async def test_messages_may_be_cut_anywhere_or_come_all_at_once(size: int) -> None:
    provider = ScriptedProvider(pieces=("done",))
    async with connected(make_host(providers=[provider])) as client:
        sent = bytearray()
        send, client.write = client.write, sent.extend  # type: ignore[method-assign, assignment]
        first = client.ask("initialize", {"capabilities": INLINE})[1]
        client.notify("initialized", {})
        client.open(URI, "a = é\n")
        client.change(URI, 2, edit(0, 5, 5, "()"))
        last = client.ask("textDocument/inlineCompletion", at(URI, 0, 7))[1]
        client.write = send  # type: ignore[method-assign]
        for start in range(0, len(sent), size):
            client.write(bytes(sent[start : start + size]))
            await asyncio.sleep(0)
        assert "capabilities" in await client.answer(first)
        assert (await client.answer(last))["items"][0]["insertText"] == "done"
    assert fills(provider)[0].prefix == "a = é()"


async def test_a_request_that_a_newer_change_overtakes_is_never_begun() -> None:
    """The change is read before the request's work begins."""
    provider = ScriptedProvider(pieces=("x",))
    async with connected(make_host(providers=[provider])) as client:
        await client.initialize()
        client.open(URI, "first")
        _, answer = client.ask("textDocument/inlineCompletion", at(URI, 0, 5))
        client.change(URI, 2, {"text": "second"})
        with pytest.raises(LspError, match="-32801"):
            await client.answer(answer)
        assert fills(provider) == []


async def test_a_cancelled_request_is_answered_at_once_and_exactly_once() -> None:
    """LSP 3.18, "Cancellation Support": the answer is RequestCancelled (-32800)."""
    provider = ScriptedProvider(hold=asyncio.Event())
    async with connected(make_host(providers=[provider])) as client:
        await client.initialize()
        client.open(URI, "x")
        msg_id, answer = client.ask("textDocument/inlineCompletion", at(URI, 0, 1))
        await until(lambda: provider.started == 1)
        client.notify("$/cancelRequest", {"id": msg_id})
        client.notify("$/cancelRequest", {"id": msg_id})
        client.notify("$/cancelRequest", {"id": 4711})
        with pytest.raises(LspError, match="-32800"):
            await client.answer(answer)
        await until(lambda: provider.closed == 1)
        await client.refused("nothing")


async def test_a_request_that_is_cancelled_in_the_queue_is_never_started() -> None:
    provider = ScriptedProvider()
    async with connected(make_host(providers=[provider])) as client:
        await client.initialize()
        client.open(URI, "x")
        msg_id, answer = client.ask("textDocument/inlineCompletion", at(URI, 0, 1))
        client.notify("$/cancelRequest", {"id": msg_id})
        with pytest.raises(LspError, match="-32800"):
            await client.answer(answer)
    assert provider.requests == []


async def test_a_malformed_cancellation_is_told_to_the_clients_log() -> None:
    async with connected(make_host()) as client:
        await client.initialize()
        client.notify("$/cancelRequest", {"id": []})
        assert "params.id" in (await client.notice("window/logMessage"))["message"]


async def test_an_id_that_is_still_running_cannot_be_used_again() -> None:
    provider = ScriptedProvider(pieces=("x",), hold=(hold := asyncio.Event()))
    async with connected(make_host(providers=[provider])) as client:
        await client.initialize()
        client.open(URI, "x")
        msg_id, answer = client.ask("textDocument/inlineCompletion", at(URI, 0, 1))
        await until(lambda: provider.started == 1)
        client.send({"jsonrpc": "2.0", "id": msg_id, "method": "shutdown"})
        with pytest.raises(LspError, match="-32600"):
            await client.answer(answer)
        second = client.expect(msg_id)
        hold.set()
        assert (await client.answer(second))["items"]


async def test_forty_keys_thirty_milliseconds_apart_answer_the_last_and_cancel_the_others() -> None:
    """The storm that typing makes: each key's request replaces the one before it."""
    provider = ScriptedProvider(pieces=("done",), hold=(hold := asyncio.Event()))
    async with connected(make_host(providers=[provider])) as client:
        await client.initialize()
        client.open(URI, "")
        answers = []
        for key in range(40):
            client.change(URI, key + 2, edit(0, key, key, "x"))
            msg_id, answer = client.ask("textDocument/inlineCompletion", at(URI, 0, key + 1))
            answers.append(answer)
            if key % 2:  # some editors cancel, others leave it to the server
                client.notify("$/cancelRequest", {"id": msg_id - 1})
            await asyncio.sleep(0.03)
        await until(lambda: bool(fills(provider)) and fills(provider)[-1].prefix == "x" * 40)
        hold.set()
        outcomes = await asyncio.gather(*map(client.answer, answers), return_exceptions=True)
        await until(lambda: provider.closed == provider.started - 1)
    codes = [outcome.code for outcome in outcomes[:-1] if isinstance(outcome, LspError)]
    assert len(codes) == 39
    assert set(codes) <= {-32800, -32801}  # cancelled, or its text had changed before it was read
    assert outcomes[-1]["items"][0]["insertText"] == "done"  # type: ignore[index]


async def test_requests_about_other_documents_go_on() -> None:
    provider = ScriptedProvider(pieces=("x",), hold=(hold := asyncio.Event()))
    async with connected(make_host(providers=[provider])) as client:
        await client.initialize()
        answers = []
        for name in ("a", "b"):
            client.open(f"file:///{name}.py", name)
            answers.append(client.ask("textDocument/inlineCompletion", at(f"file:///{name}.py", 0, 1))[1])
        await until(lambda: provider.started == 2)
        hold.set()
        assert [len((await client.answer(answer))["items"]) for answer in answers] == [1, 1]


async def test_a_change_of_a_closed_document_or_to_an_older_version_is_told_and_ignored() -> None:
    provider = ScriptedProvider(pieces=("x",))
    async with connected(make_host(providers=[provider])) as client:
        await client.initialize()
        client.change(URI, 1, {"text": "lost"})
        assert "is not open" in (await client.notice("window/logMessage"))["message"]
        client.open(URI, "kept", version=7)
        client.change(URI, 6, {"text": "stale"})
        assert "is older than 7" in (await client.notice("window/logMessage"))["message"]
        client.change(URI, None, edit(0, 4, 4, "!"))
        await client.inline(URI, 0, 99)
        client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
        assert (await client.refused("textDocument/inlineCompletion", at(URI, 0, 0))).code == -32602
    assert fills(provider)[0].prefix == "kept!"


async def test_a_document_over_the_limit_is_told_once_and_gets_no_completion() -> None:
    provider = ScriptedProvider()
    config = Config(lsp=LspConfig(max_document_bytes=10))
    async with connected(make_host(providers=[provider], config=config)) as client:
        await client.initialize()
        client.open(URI, "x" * 11)
        assert "lsp.max_document_bytes" in (await client.notice("window/logMessage"))["message"]
        client.change(URI, 2, edit(0, 0, 0, "y"))
        assert await client.inline(URI, 0, 0) == []
    assert provider.requests == []


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"workspaceFolders": [{"uri": "{a}", "name": "a"}, {"uri": "{b}", "name": "b"}], "rootUri": "{c}"}, "ab"),
        ({"workspaceFolders": None, "rootUri": "{a}", "rootPath": "{/b}"}, "a"),
        ({"rootUri": None, "rootPath": "{/b}"}, "b"),
        ({"rootUri": "untitled:x"}, ""),
        ({"rootPath": "relative"}, ""),
        ({}, ""),
    ],
)
async def test_the_clients_folders_are_indexed(fields: dict[str, Any], names: str, tmp_path: Path) -> None:
    """LSP 3.18, "initialize": workspaceFolders over rootUri over rootPath."""
    folders = {name: tmp_path / f"{name} ö" for name in "abc"}
    text = json.dumps(fields)
    for name, folder in folders.items():
        folder.mkdir()
        text = text.replace(f"{{{name}}}", folder.as_uri()).replace(f"{{/{name}}}", str(folder))
    index = MemoryIndex()
    async with connected(make_host(index=index)) as client:
        await client.initialize(**json.loads(text))
        await until(lambda: len(index.roots()) >= len(names))
    assert [status.root for status in index.roots()] == [folders[name] for name in names]


async def test_added_folders_are_indexed_and_a_missing_one_is_shown_to_the_user(tmp_path: Path) -> None:
    index = MemoryIndex()
    event = {"added": [{"uri": (tmp_path / "no").as_uri(), "name": "no"}, {"uri": tmp_path.as_uri(), "name": "x"}]}
    async with connected(make_host(index=index)) as client:
        await client.initialize()
        client.notify("workspace/didChangeWorkspaceFolders", {"event": {**event, "removed": []}})
        assert "no such folder" in (await client.notice("window/showMessage"))["message"]
        await until(lambda: len(index.roots()) == 1)
        client.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": event["added"]}})
    assert [status.root for status in index.roots()] == [tmp_path]


async def test_many_missing_folders_are_one_message_to_the_user_and_the_others_in_the_log(tmp_path: Path) -> None:
    folders = [{"uri": (tmp_path / name).as_uri(), "name": name} for name in ("first", "second", "third")]
    async with connected(make_host()) as client:
        await client.initialize(workspaceFolders=folders)
        shown = (await client.notice("window/showMessage"))["message"]
        logged = [(await client.notice("window/logMessage"))["message"] for _ in range(2)]
    assert str(tmp_path / "first") in shown
    assert "2 more in the editor's log" in shown
    assert [str(tmp_path / name) in text for name, text in zip(("second", "third"), logged, strict=True)] == [
        True,
        True,
    ]


async def test_the_home_folder_and_the_root_of_the_disk_are_no_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The choice is ours: editors name them by accident, and indexing them takes for ever."""
    home, link = tmp_path / "home", tmp_path / "link"
    home.mkdir()
    link.symlink_to(home)
    monkeypatch.setenv("HOME", str(link))
    index = MemoryIndex()
    uris = (home.as_uri(), link.as_uri(), f"{home.as_uri()}/../home", "file:///")
    async with connected(make_host(index=index)) as client:
        await client.initialize(workspaceFolders=[{"uri": uri, "name": ""} for uri in uris])
        for _ in uris:
            assert "is not indexed" in (await client.notice("window/logMessage"))["message"]
    assert index.roots() == ()


async def test_an_error_of_ghostds_own_is_one_sentence_to_the_client_and_the_rest_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: SuggestionService, ask: Ask) -> None:
        raise ZeroDivisionError("inner detail")

    monkeypatch.setattr(SuggestionService, "suggest", broken)
    async with connected(make_host()) as client:
        await client.initialize()
        client.open(URI, "x")
        error = await client.refused("textDocument/inlineCompletion", at(URI, 0, 1))
    assert error.code == -32603
    assert "inner detail" not in error.message
    assert "ZeroDivisionError" in caplog.text


async def test_what_a_document_holds_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    provider = ScriptedProvider(pieces=("secret-reply",))
    async with connected(make_host(providers=[provider])) as client:
        await client.initialize()
        client.open(URI, "secret-text")
        await client.inline(URI, 0, 11)
        client.write(b'Content-Length: 12\r\n\r\n"secret-body')
        await client.orphan()
    assert "secret" not in caplog.text


async def test_a_client_that_does_not_read_is_not_read_from() -> None:
    """Answers to a client that is stuck do not pile up in the daemon."""
    async with connected(make_host()) as client:
        await client.initialize()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        answers = []
        for _ in range(20_000):
            answers.append(client.ask("textDocument/hoover", {"x": "y" * 200})[1])
            if client.writer.transport.get_write_buffer_size():
                await asyncio.sleep(0)
        assert client.writer.transport.get_write_buffer_size() > 0
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        outcomes = await asyncio.gather(*map(client.answer, answers), return_exceptions=True)
    assert {outcome.code for outcome in outcomes if isinstance(outcome, LspError)} == {-32601}


async def test_many_sessions_do_not_stay_in_memory() -> None:
    import gc

    from ghostd_lsp.protocol import SessionProtocol

    for _ in range(5):
        async with connected(make_host()) as client:
            await client.initialize()
            client.open(URI, "x")
            await client.inline(URI, 0, 1)
            for number in range(100):
                client.change(URI, number + 2, {"text": "y"})
            await client.refused("nothing")
    gc.collect()
    assert [each for each in gc.get_objects() if type(each) is SessionProtocol] == []


async def test_a_request_of_ghostds_own_gets_the_clients_answer() -> None:
    """The way that later features ask the editor; answers to nothing are dropped."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    _, server_writer = await asyncio.open_connection(sock=theirs)
    protocol = SessionServer("1").protocol
    async with asyncio.TaskGroup() as tasks:
        protocol.begin(server_writer, tasks, lambda params: pytest.fail("not asked"), {}, {})
        for reply in ({"result": [1]}, {"error": {"code": -1, "message": "no"}}):
            future = protocol.send_request_async("workspace/configuration", types.ConfigurationParams([]))
            sent = json.loads(await read_message(reader, 1000) or b"")
            assert (sent["method"], sent["params"]) == ("workspace/configuration", {"items": []})
            for msg_id in ("other", sent["id"], sent["id"]):
                protocol.handle_message(json.dumps({"jsonrpc": "2.0", "id": msg_id, **reply}).encode())
            outcome = (await asyncio.gather(future, return_exceptions=True))[0]
            assert outcome == [1] or "refused" in str(outcome)
        lost = protocol.send_request_async("workspace/configuration", types.ConfigurationParams([]))
        protocol.end()
        with pytest.raises(asyncio.CancelledError):
            await lost
    for each in (writer, server_writer):
        each.close()
