"""`ghostctl index …`: what the index knows, and how good retrieval from it is."""

from __future__ import annotations

import click

from ghostd.cli.analyze import analyze, repo_map
from ghostd.cli.evaluate import evaluate
from ghostd.cli.symbols import outline, references, symbols


@click.group()
def index() -> None:
    """Ask the index of the running ghostd, or evaluate retrieval from it."""


for command in (symbols, references, outline, analyze, repo_map, evaluate):
    index.add_command(command)
