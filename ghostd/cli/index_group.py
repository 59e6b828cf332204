"""`ghostctl index …`: what the running daemon's index knows."""

from __future__ import annotations

import click

from ghostd.cli.symbols import outline, references, symbols


@click.group()
def index() -> None:
    """Ask the index of the running ghostd."""


for command in (symbols, references, outline):
    index.add_command(command)
