"""`ghostd lsp` as an editor runs it: a process between the editor's pipes and a front-end's socket."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from ghostd.local.paths import find_paths

pytestmark = pytest.mark.e2e

BRIDGE = """
import asyncio, sys
from ghostd.local.bridge import run_bridge
from ghostd.local.paths import find_paths
from ghostd.errors import InstanceError
async def start_daemon():
    command = {command!r}
    if not command:
        raise InstanceError("no daemon here")
    daemon = await asyncio.create_subprocess_exec(*command, stdout=-1, stdin=-3)
    await daemon.stdout.readline()
    open({pid_file!r}, "w").write(str(daemon.pid))
sys.exit(asyncio.run(run_bridge(find_paths(), start_daemon)))
"""


class Editor:
    """Speaks LSP with a bridge over pipes (unbuffered)."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.stdin: IO[bytes] = process.stdin or pytest.fail("no pipe")
        self.stdout: IO[bytes] = process.stdout or pytest.fail("no pipe")
        self._unread = b""

    def send(self, method: str, params: object = None, msg_id: int | None = None) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        body = json.dumps(message if msg_id is None else message | {"id": msg_id}).encode()
        data = b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        while data:
            data = data[self.stdin.write(data) :]

    def read(self) -> dict[str, Any]:
        while b"\r\n\r\n" not in self._unread:
            self._unread += self._more()
        header, _, self._unread = self._unread.partition(b"\r\n\r\n")
        length = int(header.partition(b":")[2])
        while len(self._unread) < length:
            self._unread += self._more()
        body, self._unread = self._unread[:length], self._unread[length:]
        message: dict[str, Any] = json.loads(body)
        return message

    def _more(self) -> bytes:
        assert select.select([self.stdout], [], [], 20)[0], "no answer"
        data = self.stdout.read(65536)
        assert data, "the bridge has ended"
        return data

    def initialize(self) -> dict[str, Any]:
        self.send("initialize", {"capabilities": {}}, 1)
        return self.read()

    def finish(self) -> tuple[int, bytes, str]:
        """Exit status, what stdout still held, stderr."""
        rest = self._unread
        while select.select([self.stdout], [], [], 20)[0] and (data := self.stdout.read(65536)):
            rest += data
        status = self.process.wait(30)
        return status, rest, (self.process.stderr or pytest.fail("no pipe")).read().decode()


StartStub = Callable[[], subprocess.Popen[bytes]]
StartEditor = Callable[..., Editor]


@pytest.fixture
def stub_command(ghostd_home: Path) -> list[str]:
    paths = find_paths()
    paths.create()
    return [sys.executable, str(Path(__file__).with_name("lsp_stub.py")), str(paths.lsp_socket), "filled"]


@pytest.fixture
def start_stub(stub_command: list[str]) -> Iterator[StartStub]:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(stub_command, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def start_editor(tmp_path: Path) -> Iterator[StartEditor]:
    started: list[subprocess.Popen[bytes]] = []

    def start(daemon: tuple[str, ...] = (), pid_file: Path = tmp_path / "pid") -> Editor:
        code = BRIDGE.format(command=list(daemon), pid_file=str(pid_file))
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        started.append(process)
        return Editor(process)

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait(10)
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def test_an_editor_talks_to_the_daemon_through_pipes(start_stub: StartStub, start_editor: StartEditor) -> None:
    start_stub()
    editor = start_editor()
    assert editor.initialize()["result"]["serverInfo"]["name"] == "ghostd"
    document = {"uri": "untitled:1", "languageId": "python", "version": 1, "text": "x" * 3_000_000 + "\n\n"}
    editor.send("textDocument/didOpen", {"textDocument": document})
    assert "no completions" in editor.read()["params"]["message"]
    editor.send("shutdown", None, 2)
    assert editor.read() == {"jsonrpc": "2.0", "id": 2, "result": None}
    editor.send("exit")
    assert editor.finish() == (0, b"", "")


def test_an_exit_without_a_shutdown_is_an_error(start_stub: StartStub, start_editor: StartEditor) -> None:
    """LSP 3.17, Exit Notification."""
    start_stub()
    editor = start_editor()
    editor.initialize()
    editor.send("exit")
    assert editor.finish() == (1, b"", "")


def test_the_daemon_is_started_if_nobody_listens(
    stub_command: list[str], start_editor: StartEditor, tmp_path: Path
) -> None:
    editor = start_editor(tuple(stub_command))
    assert "result" in editor.initialize()
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
    status, _, stderr = editor.finish()
    assert status == 1
    assert stderr.count("\n") == 1


def test_a_daemon_that_cannot_start_is_one_line_on_stderr(start_editor: StartEditor) -> None:
    assert start_editor().finish() == (1, b"", "ghostd lsp: no daemon here\n")


def test_a_daemon_that_does_not_listen_is_one_line_on_stderr(start_editor: StartEditor) -> None:
    status, out, stderr = start_editor((sys.executable, "-c", "print()")).finish()
    assert (status, out, stderr.count("\n")) == (1, b"", 1)
    assert "cannot connect to the daemon" in stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_daemons_death_ends_the_bridge_with_one_line(
    number: signal.Signals, start_stub: StartStub, start_editor: StartEditor
) -> None:
    daemon = start_stub()
    editor = start_editor()
    editor.initialize()
    daemon.send_signal(number)
    status, out, stderr = editor.finish()
    assert (status, out, stderr.count("\n")) == (1, b"", 1)
    assert "the daemon ended the connection" in stderr


def test_what_was_asked_before_stdin_closed_is_still_answered(start_stub: StartStub, start_editor: StartEditor) -> None:
    start_stub()
    editor = start_editor()
    document = {"uri": "untitled:1", "languageId": "python", "version": 1, "text": "x"}
    editor.send("initialize", {"capabilities": {}}, 1)
    editor.send("textDocument/didOpen", {"textDocument": document})
    position = {"line": 0, "character": 1}
    editor.send("textDocument/inlineCompletion", {"textDocument": {"uri": "untitled:1"}, "position": position}, 2)
    editor.stdin.close()
    assert editor.read()["id"] == 1
    assert editor.read()["result"]["items"][0]["insertText"] == "filled"
    assert editor.finish() == (0, b"", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_bridge_and_not_the_daemon(
    number: signal.Signals, start_stub: StartStub, start_editor: StartEditor
) -> None:
    daemon = start_stub()
    editor = start_editor()
    editor.initialize()
    editor.process.send_signal(number)
    assert editor.finish() == (0, b"", "")
    assert "result" in start_editor().initialize()
    assert daemon.poll() is None


def test_an_editor_that_is_gone_ends_the_bridge(start_stub: StartStub, start_editor: StartEditor) -> None:
    start_stub()
    editor = start_editor()
    editor.initialize()
    editor.stdout.close()
    editor.stdin.close()
    assert editor.process.wait(10) == 0


def test_a_killed_editor_leaves_the_others_alone(start_stub: StartStub, start_editor: StartEditor) -> None:
    start_stub()
    first, second = start_editor(), start_editor()
    first.initialize()
    second.initialize()
    first.process.kill()
    second.send("textDocument/hoover", {}, 2)
    assert second.read()["error"]["code"] == -32601


def test_a_file_as_stdin_is_refused(ghostd_home: Path, start_stub: StartStub) -> None:
    start_stub()
    code = BRIDGE.format(command=[], pid_file="")
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"stdin must be a pipe" in done.stderr


def test_the_bridge_imports_only_the_standard_library_and_paths() -> None:
    """An editor waits for it: no HTTP, no LSP library."""
    libraries = ("httptools", "pygls", "msgspec", "click")
    code = f"import sys, ghostd.local.bridge; print([name for name in {libraries} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"


def test_a_large_answer_passes_whole(start_stub: StartStub, start_editor: StartEditor) -> None:
    """More than a pipe holds, while the editor is slow to read."""
    start_stub()
    editor = start_editor()
    editor.initialize()
    for number in range(700):
        editor.send("textDocument/hoover", {}, number + 2)
    assert [editor.read()["id"] for _ in range(700)] == list(range(2, 702))
