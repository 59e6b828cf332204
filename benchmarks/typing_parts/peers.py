"""The language servers that are compared, each before the scripted model."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from platformdirs import user_cache_path

from typing_parts.editor import Editor

TABBY_AGENT = "tabby-agent@1.5.0"
_CACHE = user_cache_path("ghostd-bench")
_READY_S = 60

_GHOSTD = """
[discovery]
servers = false
[completion]
model = "scripted/code"
project_first = {first}
[providers.scripted]
preset = "mistral"
base_urls = ["http://127.0.0.1:{port}/v1"]
keys = []
models = ["code"]
"""
_TABBY = """
[server]
endpoint = "http://127.0.0.1:{port}"
token = "unused"
[anonymousUsageTracking]
disable = true
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A language server; `start` takes the model's port, a folder of its own and the project's."""

    name: str
    start: Callable[[int, Path, Path], AbstractAsyncContextManager[Editor]]
    scripted: bool = True
    """Whether the scripted model alone answers: only then can be told what is stale."""
    keeps: bool = True
    """Whether a generation goes on while the typed text agrees with it."""


@asynccontextmanager
async def _ghostd(port: int, home: Path, root: Path, *, project_first: bool) -> AsyncIterator[Editor]:
    """A daemon of its own, and `ghostd lsp` before it."""
    config = home / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(_GHOSTD.format(port=port, first=str(project_first).lower()))
    environment = {**os.environ, "GHOSTD_HOME": str(home)}
    program = str(Path(sys.executable).with_name("ghostd"))
    daemon = await asyncio.create_subprocess_exec(
        program, "run", "--port", "0", "--root", str(root), env=environment, stdout=subprocess.PIPE
    )
    try:
        assert daemon.stdout is not None
        async with asyncio.timeout(_READY_S):
            while b"ready on" not in (line := await daemon.stdout.readline()):
                if not line:
                    raise RuntimeError(f"the daemon ended with {await daemon.wait()}")
        async with _server([program, "lsp"], environment, root) as editor:
            yield editor
    finally:
        with suppress(ProcessLookupError):
            daemon.terminate()
        await daemon.wait()


@asynccontextmanager
async def _tabby(port: int, home: Path, root: Path) -> AsyncIterator[Editor]:
    """npm's tabby-agent. It answers textDocument/completion only, and speaks the API of Tabby's server."""
    folder = _CACHE / TABBY_AGENT
    program = folder / "node_modules" / "tabby-agent" / "dist" / "cli.js"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        options = ("--no-audit", "--no-fund", "--silent", "--ignore-scripts", "--no-package-lock")
        install = ["npm", "install", *options, "--prefix", str(folder), TABBY_AGENT]
        done = await asyncio.create_subprocess_exec(*install, cwd=folder)
        if await done.wait():
            raise RuntimeError(f"npm could not install {TABBY_AGENT}")
    config = home / ".tabby-client" / "agent" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(_TABBY.format(port=port))
    command = ["node", str(program), "--lsp", "--stdio"]
    async with _server(command, {**os.environ, "HOME": str(home)}, root, ghost_text=False) as editor:
        yield editor


@asynccontextmanager
async def _server(
    command: list[str], environment: dict[str, str], root: Path, *, ghost_text: bool = True
) -> AsyncIterator[Editor]:
    """A language server over its pipes."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        limit=1 << 24,
    )
    assert process.stdin is not None and process.stdout is not None
    editor = Editor(process.stdout, process.stdin, ghost_text=ghost_text)
    try:
        async with asyncio.timeout(_READY_S):
            await editor.initialize(root, {})
        yield editor
    finally:
        editor.task.cancel()
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


PEERS = {
    "ghostd": Peer("ghostd, the model alone", partial(_ghostd, project_first=False)),
    "project": Peer("ghostd, its own model first", partial(_ghostd, project_first=True), scripted=False),
    "tabby": Peer(TABBY_AGENT, _tabby, keeps=False),
}
