"""`ghostctl config`: check the configuration."""

from __future__ import annotations

from pathlib import Path

import click

from ghostd.cli.options import is_there, read_config
from ghostd.config.checks import unlisted
from ghostd.local.paths import find_paths


@click.group()
def config() -> None:
    """Check and locate the configuration."""


@config.command()
def path() -> None:
    """Print where the configuration is read from; the file need not exist."""
    click.echo(find_paths().config_file)


@config.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
def check(file: Path | None) -> None:
    """Check FILE, or the configuration in use, and name the first mistake with its line."""
    paths = find_paths()
    read, _ = read_config(paths, file, None)
    found = file is not None or is_there(paths.config_file)
    for doubt in unlisted(read):
        click.echo(f"`{'.'.join(doubt.keys)}`: {doubt.reason}", err=True)
    click.echo(f"{file or paths.config_file}: {'no mistakes' if found else 'not there; the defaults hold'}")
