"""`ghostctl roots`: the indexed projects."""

from __future__ import annotations

from pathlib import Path

import click

from ghostd.cli.options import checked_root, real_path
from ghostd.local.client import Client
from ghostd.local.paths import find_paths


@click.group(invoke_without_command=True)
@click.pass_context
def roots(ctx: click.Context) -> None:
    """List, add and remove indexed projects."""
    if ctx.invoked_subcommand is None:
        for root in Client(find_paths()).status().roots:
            click.echo(root.path)


@roots.command()
@click.argument("folder", type=click.Path(path_type=Path))
def add(folder: Path) -> None:
    """Index FOLDER and watch it, until the daemon ends."""
    Client(find_paths()).add_root(checked_root(folder))


@roots.command()
@click.argument("folder", type=click.Path(path_type=Path))
def remove(folder: Path) -> None:
    """Stop to watch FOLDER. What was indexed stays on disk, so that adding it again is fast."""
    Client(find_paths()).remove_root(real_path(folder))
