"""Which languages other servers of the editor serve, by its child processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from ghostd_lsp.params import SymbolOptions
from ghostd_lsp.servers import families_of, families_served
from ghostd_lsp.serving_languages import ServingLanguages
from lsp_harness import connected, make_host
from navigation_harness import shop


@pytest.mark.parametrize(
    ("command", "families"),
    [
        (["node", "/usr/lib/node_modules/.bin/pyright-langserver", "--stdio"], {"python"}),
        (["/usr/bin/python3", "/home/me/.local/bin/pylsp"], {"python"}),
        (["/home/me/.cargo/bin/rust-analyzer"], {"rust"}),
        (["C:\\tools\\zls.exe"], {"zig"}),
        (["node", "/x/typescript/lib/tsserver.js", "--useInferredProjectPerProjectRoot"], {"typescript"}),
        (["node", "--max-old-space-size=3072", "/x/ms-python.vscode-pylance-1/dist/server.bundle.js"], {"python"}),
        (["java", *["-Dx=1"] * 12, "-jar", "/jdt/plugins/org.eclipse.jdt.ls.core.jar"], {"java"}),
        (["clangd", "--background-index"], {"c"}),
        (["dotnet", "/x/Microsoft.CodeAnalysis.LanguageServer.dll"], {"csharp"}),
        (["vim", "notes about gopls"], set()),
        (["git", "log", "gopls"], set()),
        (["ghostd", "lsp"], set()),
        (["ruff", "server"], set()),
        ([], set()),
    ],
)
def test_a_server_is_known_by_its_program(command: Sequence[str], families: set[str]) -> None:
    assert families_of(command[0] if command else "", command) == families


@pytest.fixture
def running_server(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child process of this one that is called as a language server is."""
    script = tmp_path / "pylsp"
    script.write_text("import sys\nprint('up', flush=True)\nsys.stdin.read()\n")
    process = subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    yield process
    process.kill()
    process.communicate()


def test_an_editors_child_processes_are_looked_at(running_server: subprocess.Popen[bytes]) -> None:
    assert "python" in families_served(os.getpid())
    assert families_served(running_server.pid) == frozenset()


@pytest.mark.parametrize("pid", [0, -1, 2**31 - 1, 2**80])
def test_a_process_that_is_not_there_serves_nothing(pid: int) -> None:
    assert families_served(pid) == frozenset()


async def test_a_session_leaves_out_what_a_child_process_of_its_editor_serves(
    running_server: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    async with connected(make_host(index=await shop(tmp_path))) as client:
        await client.request("initialize", {"processId": os.getpid(), "capabilities": {}, "rootUri": tmp_path.as_uri()})
        found = await client.request("workspace/symbol", {"query": "placeorder"})
        assert [each["name"] for each in found] == ["placeOrder"]


async def test_it_is_looked_at_rarely_and_not_where_the_client_tells() -> None:
    looks: list[int] = []

    def look(pid: int) -> frozenset[str]:
        looks.append(pid)
        return frozenset(["go"])

    languages = ServingLanguages("auto", look)
    assert await languages.off() == frozenset()
    languages.begin(7)
    assert [await languages.off() for _ in range(3)] == [frozenset(["go"])] * 3
    assert looks == [7]
    languages.change(SymbolOptions(served_languages=["cpp", "javascriptreact", "klingon"]))
    assert await languages.off() == {"c", "typescript"}
    languages.change(SymbolOptions(symbols=["rust", "sh"]))
    assert await languages.off() >= {"python", "c", "go"}
    assert await languages.off() & {"rust", "shellscript"} == set()
    languages.change(SymbolOptions(symbols="on"))
    assert await languages.off() == frozenset()
    assert looks == [7]


async def test_two_requests_at_once_look_once() -> None:
    looks: list[int] = []

    def look(pid: int) -> frozenset[str]:
        looks.append(pid)
        return frozenset(["go"])

    languages = ServingLanguages("auto", look)
    languages.begin(7)
    assert list(await asyncio.gather(languages.off(), languages.off())) == [frozenset(["go"])] * 2
    assert looks == [7]
