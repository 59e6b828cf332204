"""Options that several commands share."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from ghostd.config.load import load_config
from ghostd.config.settings import Config
from ghostd.errors import RootError
from ghostd.local.paths import Paths, expand, is_text

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
    """The configuration with the command line's changes, and the file that it comes from, or would come from."""
    path = config_path or (paths.config_file if is_there(paths.config_file) else None)
    return with_port(load_config(path), port), (path or paths.config_file).absolute()


def with_port(config: Config, port: int | None) -> Config:
    """The configuration with --port over it."""
    if port is None:
        return config
    return msgspec.structs.replace(config, http=msgspec.structs.replace(config.http, port=port))


def is_there(file: Path) -> bool:
    """Whether a file exists, also one that may not be looked at: reading it tells why."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def real_path(path: Path) -> Path:
    """The path without links, `..` and `~`; it need not exist. Raises ConfigError for a `~user` that does not."""
    return Path(os.path.realpath(expand(path)))


def checked_root(root: Path) -> Path:
    """The root's real path; raises RootError when it is missing, not a folder or unreadable."""
    real = real_path(root)
    try:
        mode = real.stat().st_mode
    except FileNotFoundError:
        raise RootError(root, "no such folder") from None
    except OSError as error:
        raise RootError(root, f"{error.strerror}") from None
    if not stat.S_ISDIR(mode):
        raise RootError(root, "not a folder")
    if not is_text(real):
        raise RootError(root, "its path is not UTF-8")
    if not os.access(real, os.R_OK | os.X_OK):
        raise RootError(root, "permission denied")
    return real
