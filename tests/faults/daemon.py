"""A real `ghostd run` in front of scripted upstreams, driven from an event loop that must not block."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from faults.upstreams import Upstream

KEY = "sk-campaign-0123456789abcdef"
FAST = {
    "connect_s": 3.0,
    "first_byte_s": 2.5,
    "reply_s": 2.5,
    "idle_s": 2.5,
    "timeout_s": 15.0,
    "probe_after_s": 10.0,
}
"""Time limits for [routing] that let a fault show within seconds; wide enough for a busy machine.

A check of a deployment that merely works slowly on its fault would give it up as silent: it comes behind the others.
"""
NO_BREAKER = {
    "breaker_failures": 1_000_000,
    "breaker_rate": 1.0,
    "breaker_window": 1_000_000,
    "rest_s": 0.001,
    "max_rest_s": 0.001,
}
"""Settings for [routing] under which each request meets the fault again."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running daemon."""

    process: subprocess.Popen[bytes]
    home: Path
    port: int
    environment: Mapping[str, str]

    @property
    def memory_bytes(self) -> int:
        """Resident memory now."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    @property
    def log(self) -> str:
        """What it has printed."""
        return (self.home / "output").read_text(errors="replace")

    async def command(self, *arguments: str) -> str:
        """The output of `ghostctl …`."""
        program = Path(sys.executable).with_name("ghostctl")
        process = await asyncio.create_subprocess_exec(
            program, *arguments, env=dict(self.environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        output, errors = await process.communicate()
        assert process.returncode == 0, f"ghostctl {arguments}: {output.decode()}{errors.decode()}"
        return output.decode()

    async def requests(self, limit: int) -> list[dict[str, Any]]:
        """The ledger's rows, by ghostctl."""
        found: list[dict[str, Any]] = json.loads(await self.command("requests", "--json", "--limit", str(limit)))
        return found


@asynccontextmanager
async def running_daemon(home: Path, config: str, command: Sequence[str] = ()) -> AsyncIterator[Daemon]:
    """Run a daemon with this configuration while the block runs; it must end in order."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "campaign.toml").write_text(config)
    environment = {**os.environ, "GHOSTD_HOME": str(home), "FAULTS_KEY": KEY}
    reading, writing = os.pipe()
    options = ("run", "--port=0", f"--config={home / 'campaign.toml'}", f"--ready-fd={writing}")
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ghostd", *options],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(writing,),
        )
    os.close(writing)
    try:
        ready = await asyncio.to_thread(_read_all, reading)
        printed = (home / "output").read_text(errors="replace")
        match = re.search(r"ready on http://[^:]+:(\d+)", printed)
        assert ready and match, f"ghostd did not start:\n{printed}"
        yield Daemon(process, home, int(match[1]), environment)
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            await asyncio.to_thread(process.wait, 30)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait, 10)


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read()


def write_config(
    upstreams: Mapping[str, Upstream],
    routes: Mapping[str, Sequence[Sequence[str]]],
    routing: Mapping[str, float],
    more: str = "",
) -> str:
    """TOML with a provider for each upstream; a route's value lists the providers of each order."""
    lines = ["frontends = []", "", "[routing]", *(f"{name} = {value}" for name, value in routing.items()), ""]
    lines += ["[discovery]", *(f"{name} = false" for name in _DISCOVERED), "", "[project_model]", "enabled = false", ""]
    for name, upstream in upstreams.items():
        lines += [f'[providers."{name}"]', 'preset = "openai-compatible"', f'base_urls = ["{upstream.url}"]']
        lines += ['keys = ["env:FAULTS_KEY"]', 'models = ["scripted"]', ""]
    for name, orders in routes.items():
        lines += [f'[routes."{name}"]', "deployments = ["]
        for order, providers in enumerate(orders, 1):
            lines += [f'    {{ model = "{provider}/scripted", order = {order} }},' for provider in providers]
        lines += ["]", ""]
    return "\n".join(lines) + more


_DISCOVERED = ("ollama_store", "lm_studio", "llama_cpp", "huggingface", "servers")
