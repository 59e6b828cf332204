"""Garbage never ends anything but its own session, and every request gets exactly one answer."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from ghostd_lsp.framing import HEADER_LIMIT_BYTES, FramingError, read_message
from ghostd_lsp.frontend import serve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lsp_harness import TIMEOUT_S, dialled, make_host
from navigation_harness import parsed

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
methods = st.sampled_from(
    [
        "initialize",
        "initialized",
        "shutdown",
        "textDocument/didOpen",
        "textDocument/didChange",
        "textDocument/didClose",
        "textDocument/inlineCompletion",
        "textDocument/completion",
        "workspace/didChangeWorkspaceFolders",
        "workspace/didChangeConfiguration",
        "workspace/symbol",
        "workspaceSymbol/resolve",
        "textDocument/documentSymbol",
        "textDocument/definition",
        "textDocument/references",
        "textDocument/hover",
        "textDocument/prepareCallHierarchy",
        "callHierarchy/incomingCalls",
        "callHierarchy/outgoingCalls",
        "$/cancelRequest",
        "$/other",
    ]
)
uris = st.sampled_from(["file:///a.py", "untitled:1", "file:///%ff%00", "\ud800"])
positions = st.fixed_dictionaries({"line": st.integers(-1, 3), "character": st.integers(-1, 2**40)})
ranges = st.fixed_dictionaries({"start": positions, "end": positions})
documents = st.fixed_dictionaries(
    {"uri": uris}, optional={"version": st.integers(), "text": st.text(max_size=20), "languageId": st.text(max_size=3)}
)
edits = st.lists(
    st.fixed_dictionaries({"text": st.text(max_size=9)}, optional={"range": ranges | json_values}), max_size=3
)
items = json_values | st.fixed_dictionaries(
    {
        "root": st.sampled_from(["/", "", "/tmp", "\ud800", "\0"]),
        "path": st.sampled_from(["a.py", "/etc/passwd", "../a.py", "", "\ud800", "\0"]),
        "name": st.sampled_from(["used", "Kept", "", "\ud800"]),
        "start": st.integers(-1, 2**70),
    }
)
params = json_values | st.fixed_dictionaries(
    {"textDocument": documents},
    optional={
        "position": positions,
        "contentChanges": edits,
        "context": json_values,
        "capabilities": json_values,
        "id": json_values,
        "event": json_values,
        "query": st.text(max_size=8),
        "partialResultToken": json_values,
        "settings": json_values | st.fixed_dictionaries({"ghostd": json_values}),
        "data": items,
        "item": json_values | st.fixed_dictionaries({"data": items}),
        "name": st.text(max_size=3),
        "kind": st.integers(),
    },
)
messages = st.lists(
    st.fixed_dictionaries({"method": methods}, optional={"params": params, "id": st.integers(0, 10**9)})
    | st.dictionaries(st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error"]), json_values),
    max_size=12,
)
quickly = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


async def talk(data: bytes) -> list[dict[str, Any]]:
    """Send bytes beside a well-behaved editor, which must go on; what came back."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        index = await parsed(Path("/"), {"a.py": "class Kept:\n    def used(self): return used(self)\n"})
        async with serve(make_host(path, index=index)), dialled(path) as other:
            await other.initialize()
            reader, writer = await asyncio.open_unix_connection(path, limit=HEADER_LIMIT_BYTES)
            writer.write(data)
            writer.write_eof()
            replies = []
            async with asyncio.timeout(TIMEOUT_S):
                while (body := await read_message(reader, 2**30)) is not None:
                    replies.append(json.loads(body))
            writer.close()
            assert (await other.refused("nothing")).code == -32601
    return replies


@quickly
@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"Content-Length: 7", b"\r\n", b"\r\n\r\n", b"{}"])))
def test_any_bytes_end_at_most_their_own_session(pieces: list[bytes]) -> None:
    asyncio.run(talk(b"".join(pieces)))


@quickly
@given(st.lists(json_values, max_size=5))
def test_any_json_is_answered_or_ignored(values: list[Any]) -> None:
    bodies = [json.dumps(value).encode() for value in values]
    replies = asyncio.run(talk(b"".join(b"Content-Length: %d\r\n\r\n%b" % (len(body), body) for body in bodies)))
    assert all(reply["error"]["code"] in {-32600, -32700} for reply in replies)


@quickly
@given(messages, st.booleans())
def test_every_request_is_answered_exactly_once(calls: list[dict[str, Any]], initialize: bool) -> None:
    """Also malformed, repeated, out of order, with parameters of other methods."""
    if initialize:
        calls = [{"method": "initialize", "params": {"capabilities": {}}, "id": -1}, *calls]
    data, expected = bytearray(), []
    for call in calls:
        body = json.dumps({"jsonrpc": "2.0", **call}).encode()
        data += b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        call_id = call.get("id")
        if isinstance(call.get("method"), str) and type(call_id) in {int, str}:
            expected.append(call_id)
    replies = asyncio.run(talk(bytes(data)))
    answered = [reply["id"] for reply in replies if reply.get("id") is not None]
    assert sorted(answered, key=repr) == sorted(expected, key=repr)
    assert "Traceback" not in str(replies)
    assert [reply for reply in replies if reply.get("error", {}).get("code") == -32603] == []


@quickly
@given(st.binary(max_size=200), st.integers(0, 300))
def test_framing_reads_or_refuses_and_never_fails_otherwise(data: bytes, limit: int) -> None:
    async def read() -> None:
        reader = asyncio.StreamReader(limit=HEADER_LIMIT_BYTES)
        reader.feed_data(data)
        reader.feed_eof()
        try:
            while (body := await read_message(reader, limit)) is not None:
                assert len(body) <= limit
        except FramingError as error:
            assert error.code in {-32700, -32600}

    asyncio.run(read())
