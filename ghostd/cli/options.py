"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from ghostd.config import Config, load_config
from ghostd.errors import RootError
from ghostd.local.paths import Paths

F = TypeVar("F", bound=Callable[..., Any])


def daemon_options(command: F) -> F:
    """`--root`, `--port` and `--config`."""
    for option in (
        click.option("--config", "config_path", type=click.Path(path_type=Path), help="Configuration file."),
        click.option("--port", type=click.IntRange(0, 65535), help="TCP port of the HTTP API; 0 takes a free one."),
        click.option(
            "--root", "roots", multiple=True, type=click.Path(path_type=Path), help="Project to index; repeatable."
        ),
    ):
        command = option(command)
    return command


def read_config(paths: Paths, config_path: Path | None, port: int | None) -> tuple[Config, Path]:
    """The configuration with the command line's changes, and the folder its relative paths start at."""
    path = config_path or (paths.config_file if paths.config_file.exists() else None)
    config = load_config(path)
    if port is not None:
        config = msgspec.structs.replace(config, http=msgspec.structs.replace(config.http, port=port))
    return config, (path.parent.absolute() if path else paths.config)


def checked_root(root: Path) -> Path:
    """The root's real path; raises RootError when it is missing, not a folder or unreadable."""
    real = root.expanduser().resolve()
    if not real.exists():
        raise RootError(root, "no such folder")
    if not real.is_dir():
        raise RootError(root, "not a folder")
    if not os.access(real, os.R_OK | os.X_OK):
        raise RootError(root, "permission denied")
    return real
