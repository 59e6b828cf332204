"""The listening front-end: many editors on one daemon."""

from __future__ import annotations

import asyncio
import socket
import stat
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from ghostd_lsp import frontend
from ghostd_lsp.frontend import serve
from lsp_harness import Client, LspError, at, dialled, make_host, until

from ghostd.config.lsp import LspConfig
from ghostd.config.settings import Config
from ghostd.local import peers
from ghostd.testing.scripted import ScriptedProvider

URI = "file:///project/a.py"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lsp.sock"


async def test_only_its_user_can_reach_the_socket_and_it_is_removed_at_the_end(path: Path) -> None:
    async with serve(make_host(path)):
        mode = await asyncio.to_thread(path.stat)
        assert stat.S_ISSOCK(mode.st_mode)
        assert stat.S_IMODE(mode.st_mode) == 0o600
    assert not await asyncio.to_thread(path.exists)


async def test_the_socket_of_a_killed_daemon_is_replaced(path: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    async with serve(make_host(path)), dialled(path) as client:
        await client.initialize()


async def test_another_users_connection_is_closed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_user(sock: peers.Connection) -> int:
        return peers.peer_uid(sock) + 1

    monkeypatch.setattr(frontend, "peer_uid", other_user)
    async with serve(make_host(path)), dialled(path) as client:
        await client.wait_closed()


async def test_editors_over_the_limit_are_told_in_the_answer_to_their_first_request(path: Path) -> None:
    host = make_host(path, config=Config(lsp=LspConfig(max_sessions=2)))
    async with serve(host), dialled(path) as first, dialled(path) as second:
        await first.initialize()
        await second.initialize()
        async with dialled(path) as third:
            with pytest.raises(LspError, match=r"at most 2 editors at once \(setting lsp.max_sessions\)"):
                await third.initialize()
            await third.wait_closed()
        await first.close()
        async with dialled(path) as fourth:
            await until_served(fourth)


async def until_served(client: Client) -> None:
    assert "inlineCompletionProvider" in await client.initialize()


async def test_several_editors_work_at_once_and_a_killed_one_takes_only_its_own_requests_along(path: Path) -> None:
    provider = ScriptedProvider(pieces=("x",), hold=(hold := asyncio.Event()))
    async with serve(make_host(path, [provider])), AsyncExitStack() as stack:
        editors = [await stack.enter_async_context(dialled(path)) for _ in range(5)]
        answers = []
        for number, editor in enumerate(editors):
            await editor.initialize()
            editor.open(URI, f"text of {number}")
            answers.append(editor.ask("textDocument/inlineCompletion", at(URI, 0, 9))[1])
        await until(lambda: provider.started == 5)
        await editors[2].vanish()
        answers.pop(2).cancel()
        await until(lambda: provider.closed == 1)
        hold.set()
        assert [len((await Client.answer(answer))["items"]) for answer in answers] == [1] * 4
    prefixes = {getattr(request, "prefix", "") for request in provider.requests}
    assert prefixes == {f"text of {number}" for number in range(5)}


async def test_leaving_the_front_end_ends_sessions_and_their_requests(path: Path) -> None:
    provider = ScriptedProvider(hold=asyncio.Event())
    async with AsyncExitStack() as stack:
        async with serve(make_host(path, [provider])):
            client = await stack.enter_async_context(dialled(path))
            await client.initialize()
            client.open(URI, "x")
            _, answer = client.ask("textDocument/inlineCompletion", at(URI, 0, 1))
            await until(lambda: provider.started == 1)
        assert provider.closed == 1
        await client.wait_closed()
        answer.cancel()
    with pytest.raises(FileNotFoundError):
        await asyncio.open_unix_connection(path)


async def test_a_session_that_fails_leaves_the_others_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from ghostd_lsp.protocol import SessionProtocol

    async with serve(make_host(path)), dialled(path) as good:
        await good.initialize()
        await good.refused("nothing")
        monkeypatch.setattr(SessionProtocol, "handle_message", broken)
        async with dialled(path) as bad:
            bad.notify("anything", None)
            await bad.wait_closed()
        monkeypatch.undo()
        assert (await good.refused("nothing")).code == -32601
    assert "an LSP session failed" in caplog.text


def broken(self: object, message: object) -> None:
    raise ZeroDivisionError("a fault of ours")


async def test_editors_may_connect_while_the_first_ones_session_is_still_being_loaded(path: Path) -> None:
    async with serve(make_host(path)), AsyncExitStack() as stack:
        editors = [await stack.enter_async_context(dialled(path)) for _ in range(10)]
        found = await asyncio.gather(*(editor.initialize() for editor in editors))
    assert len(found) == 10


def test_the_lsp_library_is_imported_by_the_first_editor_and_not_before(path: Path) -> None:
    """A daemon without editors stays small."""
    code = f"""
import asyncio, sys
from pathlib import Path
from ghostd.engine import Engine
from ghostd.testing.host import frontend_host
from ghostd.testing.memory_index import MemoryIndex
from ghostd_lsp.frontend import serve

def loaded():
    return [name for name in ("pygls", "lsprotocol", "cattrs") if name in sys.modules]

async def main():
    path = Path({str(path)!r})
    index = MemoryIndex()
    async with serve(frontend_host(Engine([]), index, path)):
        before = loaded()
        reader, writer = await asyncio.open_unix_connection(path)
        body = b'{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"capabilities":{{}}}}}}'
        writer.write(b"Content-Length: %d\\r\\n\\r\\n%b" % (len(body), body))
        await reader.readline()
        print(before, loaded())
        writer.close()

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[] ['pygls', 'lsprotocol', 'cattrs']\n"
