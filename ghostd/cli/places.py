"""FILE:LINE[:COLUMN] on the command line."""

from __future__ import annotations

import re
from pathlib import Path

import click

from ghostd.cli.options import real_path


def parse_place(place: str) -> tuple[Path, int, int | None]:
    """The file's real path, line and column, from 1; raises UsageError."""
    match = re.fullmatch(r"(.+?):(\d{1,9})(?::(\d{1,9}))?", place)
    if match is None or int(match[2]) < 1 or (match[3] and int(match[3]) < 1):
        raise click.UsageError(f"{place!r} is no FILE:LINE[:COLUMN] with numbers from 1, e.g. src/main.py:12:5")
    return real_path(Path(match[1])), int(match[2]), int(match[3]) if match[3] else None
