"""What `ghostd run` tells the person who started it: what was found, what to do next, one completion."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from ghostd.completion.fill import collect
from ghostd.daemon.control import Daemon
from ghostd.errors import GhostdError
from ghostd.indexed import IndexedFile
from ghostd.local.paths import Paths
from ghostd.types import FillRequest

_MOST_NAMES = 16
_TRIES = 150
_GOOD = 0.75
"""Confidence at which the search for a completion to show ends early."""
_SHORTEST = 14
"""Characters; a shorter completion shows little."""
_TEXT_ONLY = frozenset(("markdown", "toml", "json", "yaml", "plaintext", "html", "css", "xml"))


@dataclass(frozen=True, slots=True)
class _Shown:
    """A completion and where it was asked for; `line` and `column` count from 0."""

    file: IndexedFile
    lines: Sequence[str]
    line: int
    column: int
    text: str
    confidence: float


def describe(daemon: Daemon, paths: Paths) -> None:
    """Print what the daemon serves, and how to connect to it."""
    status = daemon.status()
    models = [model.id for model in status.models]
    local = [model for model in status.models if model.owned_by != "ghostd"]
    rows = [
        ("OpenAI API", f"{daemon.url}/v1"),
        ("editors", "ghostd lsp   (Neovim, Helix, Emacs: docs/editors.md)"),
        ("models", _some(models)),
        ("projects", ", ".join(root.path for root in status.roots) or "none yet: --root DIR, or open one in an editor"),
    ]
    if not local:
        rows.insert(3, ("", f"put a GGUF file into {paths.models} to add a local model"))
    for title, text in rows:
        click.echo(f"  {title:<12}{text}")


def _some(names: Sequence[str]) -> str:
    """The first of the names, and how many there are beyond them."""
    shown = ", ".join(names[:_MOST_NAMES]) or "none"
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more (`ghostctl models`)"


async def show_completion(daemon: Daemon, roots: Sequence[Path]) -> None:
    """Wait until the first root is indexed, then print one completion of its code."""
    root = roots[0]
    try:
        report = await daemon.wait_root(root)
    except GhostdError as error:
        click.echo(f"ghostd: {error}", err=True)
        return
    click.echo(f"\nIndexed {root}: {report.files} files, {report.symbols} symbols in {report.seconds:.1f} s.")
    files = [file for file in await daemon.index.files(root) if file.language not in _TEXT_ONLY]
    if not files:
        click.echo("There is no source code in it to complete.")
        return
    try:
        found = await _find(daemon, root, files)
    except GhostdError as error:
        click.echo(f"ghostd: {error}", err=True)
        return
    if found is None:
        click.echo("The built-in model is not sure of any completion here; it learns as the project grows.")
    else:
        _print(found)
    click.echo("\nThe daemon goes on running; end it with Ctrl-C.")


async def _find(daemon: Daemon, root: Path, files: Sequence[IndexedFile]) -> _Shown | None:
    """The most confident completion at some places of the commonest language, the same at each start."""
    language = Counter(file.language for file in files).most_common(1)[0][0]
    best: _Shown | None = None
    tries = 0
    for file in _shuffled([file for file in files if file.language == language]):
        try:
            text = await asyncio.to_thread((root / file.path).read_text, "utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        lines = text.split("\n")
        for number, column in _places(lines):
            before = "\n".join([*lines[:number], lines[number][:column]])
            after = "\n".join(["", *lines[number + 1 :]])
            reply = await collect(
                daemon.engine.fill(
                    FillRequest("ghostd/project", before, after, path=root / file.path, language=file.language)
                )
            )
            confidence = reply.confidence or 0.0
            if len(reply.text.strip()) >= _SHORTEST and (best is None or confidence > best.confidence):
                best = _Shown(file, lines, number, column, reply.text, confidence)
            tries += 1
            if tries >= _TRIES or (best is not None and best.confidence >= _GOOD):
                return best
    return best


def _shuffled(files: Sequence[IndexedFile]) -> list[IndexedFile]:
    return random.Random(0).sample(files, len(files))  # noqa: S311 - a fixed choice of places, not a secret


def _places(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """A few places in one file: in the middle of its longer lines."""
    long = [number for number, line in enumerate(lines) if number >= 5 and len(line.strip()) >= 30]
    for number in random.Random(len(lines)).sample(long, min(4, len(long))):  # noqa: S311
        line = lines[number]
        indent = len(line) - len(line.lstrip())
        middle = indent + (len(line) - indent) // 2
        yield (
            number,
            next((at for at in range(middle, len(line)) if line[at - 1] in " (.[=" and line[at] != " "), middle),
        )


def _print(shown: _Shown) -> None:
    place = f"{shown.file.path}:{shown.line + 1}:{shown.column + 1}"
    click.echo(f"\nA completion by ghostd/project at {place}, its text in [ ]:\n")
    for before in range(max(0, shown.line - 3), shown.line):
        click.echo(f"  {before + 1:>5} │ {shown.lines[before]}")
    text = f"[{shown.text}]"
    ghost = click.style(text, dim=True) if sys.stdout.isatty() else text
    line = shown.lines[shown.line]
    click.echo(f"  {shown.line + 1:>5} │ {line[: shown.column]}{ghost}")
    click.echo(f"\n  confidence {shown.confidence:.2f}; the line in the file ends: {line[shown.column :]}")
