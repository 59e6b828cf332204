"""llama.cpp's real server over a tiny model, and ghostd's way to it as an upstream."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ghostd.config.providers import ProviderConfig, UpstreamConfig
from ghostd.ports import UpstreamProvider
from ghostd.providers import presets
from ghostd.providers.http.client import http_client
from ghostd.providers.keys import KeyPool
from ghostd.providers.upstream import Endpoint
from ghostd.testing.memory_secrets import MemorySecrets

SCRIPT = Path(__file__).parent / "providers" / "llama_server_process.py"


@asynccontextmanager
async def llama_server(model: Path) -> AsyncIterator[str]:
    """The address of a server that ends with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        str(model),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        async with asyncio.timeout(30):
            yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def provider_of(url: str) -> AsyncIterator[UpstreamProvider]:
    """The provider "llama" of a server, once it has told its models."""
    limits = UpstreamConfig(proxy="")
    keys = KeyPool("llama", ("env:NONE",), MemorySecrets(), asyncio.get_running_loop().time, optional=True)
    async with http_client(limits) as http:
        provider = presets.llama_server(Endpoint("llama", url, ProviderConfig(), limits, keys, http))
        await provider.check(20.0)
        yield provider
