"""`ghostd lsp`: what an editor starts."""

from __future__ import annotations

import asyncio
import sys

import click

from ghostd.local.paths import find_paths


@click.command()
def lsp() -> None:
    """Speak LSP on standard input and output for one editor.

    Starts the daemon if none runs. The editor's end, or the daemon's, ends this command; the daemon goes on.
    """
    from ghostd.local.bridge import run_bridge

    paths = find_paths()

    async def start_daemon() -> None:
        from ghostd.cli.background import start_daemon as start

        await asyncio.to_thread(start, paths, [])

    sys.exit(asyncio.run(run_bridge(paths, start_daemon)))
