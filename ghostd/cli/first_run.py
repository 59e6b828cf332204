"""What `ghostd run` tells the person who started it: what was found, what to do next, one completion."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from ghostd.completion.fill import collect
from ghostd.daemon import Daemon
from ghostd.errors import GhostdError
from ghostd.local.paths import Paths
from ghostd.types import Delta, FillRequest, IndexedFile

_TRIES = 400
_TEXT_ONLY = frozenset(("markdown", "toml", "json", "yaml", "plaintext", "html", "css", "xml"))


def describe(daemon: Daemon, paths: Paths) -> None:
    """Print what the daemon serves, and how to connect to it."""
    status = daemon.status()
    models = [model.id for model in status.models]
    local = [model for model in status.models if model.owned_by != "ghostd"]
    rows = [
        ("OpenAI API", f"{daemon.url}/v1"),
        ("editors", "ghostd lsp   (Neovim, Helix, Emacs: docs/editors.md)"),
        ("models", ", ".join(models) or "none"),
        ("projects", ", ".join(root.path for root in status.roots) or "none yet: --root DIR, or open one in an editor"),
    ]
    if not local:
        rows.insert(3, ("", f"put a GGUF file into {paths.models} to add a local model"))
    for title, text in rows:
        click.echo(f"  {title:<12}{text}")


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
    found = await _find(daemon, root, files)
    if found is None:
        click.echo("The built-in model is not sure of any completion here; it learns as the project grows.")
    else:
        _print(*found)
    click.echo("\nThe daemon goes on running; end it with Ctrl-C.")


async def _find(
    daemon: Daemon, root: Path, files: Sequence[IndexedFile]
) -> tuple[IndexedFile, Sequence[str], int, int, Delta] | None:
    """The first confident completion at one of many places, the same at each start."""
    language = Counter(file.language for file in files).most_common(1)[0][0]
    chosen = [file for file in files if file.language == language]
    tries = 0
    for file in _shuffled(chosen):
        try:
            text = await asyncio.to_thread((root / file.path).read_text, "utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        lines = text.split("\n")
        for number, column in _places(lines):
            tries += 1
            before = "\n".join([*lines[:number], lines[number][:column]])
            after = "\n".join(["", *lines[number + 1 :]])
            request = FillRequest(
                model="ghostd/project", prefix=before, suffix=after, path=root / file.path, language=file.language
            )
            try:
                reply = await collect(daemon.engine.fill(request))
            except GhostdError as error:
                click.echo(f"ghostd: {error}", err=True)
                return None
            if len(reply.text.strip()) >= 8:
                return file, lines, number, column, reply
            if tries >= _TRIES:
                return None
    return None


def _shuffled(files: Sequence[IndexedFile]) -> list[IndexedFile]:
    return random.Random(0).sample(files, len(files))  # noqa: S311 - a fixed choice of places, not a secret


def _places(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """A few places in one file: in the middle of its longer lines."""
    long = [number for number, line in enumerate(lines) if number >= 5 and len(line.strip()) >= 30]
    for number in random.Random(len(lines)).sample(long, min(4, len(long))):  # noqa: S311
        line = lines[number]
        indent = len(line) - len(line.lstrip())
        yield number, indent + (len(line) - indent) // 2


def _print(file: IndexedFile, lines: Sequence[str], number: int, column: int, reply: Delta) -> None:
    click.echo(f"\nA completion by {reply.model} at {file.path}:{number + 1}:{column + 1}, its text in [ ]:\n")
    for before in range(max(0, number - 3), number):
        click.echo(f"  {before + 1:>5} │ {lines[before]}")
    ghost = click.style(f"[{reply.text}]", dim=True) if sys.stdout.isatty() else f"[{reply.text}]"
    click.echo(f"  {number + 1:>5} │ {lines[number][:column]}{ghost}")
    if reply.confidence is not None:
        click.echo(f"\n  confidence {reply.confidence:.2f}; the line in the file ends: {lines[number][column:]}")
