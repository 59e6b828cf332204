"""A process with the LSP front-end alone: a scripted model, no index. Arguments: socket path, text of each fill."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from ghostd_lsp.frontend import serve

from ghostd.config import Config
from ghostd.engine import Engine, FrontendHost
from ghostd.navigation.navigator import navigator
from ghostd.resolve.resolver import Resolver
from ghostd.testing.memory_index import MemoryIndex
from ghostd.testing.scripted import ScriptedProvider


async def main(socket_path: Path, text: str) -> None:
    index = MemoryIndex()
    engine = Engine([ScriptedProvider(pieces=(text,))])
    host = FrontendHost(engine, index, Config(), socket_path, navigator(index, Resolver(index)))
    async with serve(host):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
