"""A process with the LSP front-end alone: a scripted model, no index. Arguments: socket path, text of each fill."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from ghostd_lsp.frontend import serve

from ghostd.engine import Engine
from ghostd.testing.host import frontend_host
from ghostd.testing.memory_index import MemoryIndex
from ghostd.testing.scripted import ScriptedProvider


async def main(socket_path: Path, text: str) -> None:
    index = MemoryIndex()
    engine = Engine([ScriptedProvider(pieces=(text,))])
    host = frontend_host(engine, index, socket_path)
    async with serve(host):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
