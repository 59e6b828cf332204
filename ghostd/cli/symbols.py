"""`ghostctl index symbols`, `references` and `outline`: names in the indexed projects.

Each line begins with FILE:LINE:COLUMN, which editors and other tools understand; paths below the current folder are
relative to it. As with grep, the exit status is 1 where nothing is found.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from ghostd.cli.options import checked_root, real_path
from ghostd.cli.tables import printable
from ghostd.errors import GhostdError
from ghostd.local.client import Client
from ghostd.local.paths import find_paths
from ghostd.symbol_reports import ListedReference, ListedSymbol

F = TypeVar("F", bound=Callable[..., Any])

_MAX_LISTED = 1000


def _options(command: F) -> F:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--limit", type=click.IntRange(1, _MAX_LISTED), default=100, show_default=True),
        click.option(
            "--root",
            type=click.Path(path_type=Path),
            help="Indexed project to look in; by default that of the current folder, or else all.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("query")
@_options
@click.option("--kind", help="Only these kinds, separated by commas: class,function,method, …")
def symbols(query: str, root: Path | None, limit: int, as_json: bool, kind: str | None) -> None:
    """Print the definitions whose name fits QUERY, the best first.

    Names fit as a whole, by their beginning, by their subwords' beginnings ("hreq" is HttpRequest), or by any part.
    """
    client = Client(find_paths())
    found = client.symbols(query=query, limit=str(limit), **_root(client, root), **_given(kind=kind))
    _print(found.data, found.has_more, as_json, lambda each: f"{_described(each)}  [{each.kind}]")


@click.command()
@click.argument("name")
@_options
@click.option("--definitions", is_flag=True, help="Print its definitions, too.")
def references(name: str, root: Path | None, limit: int, as_json: bool, definitions: bool) -> None:
    """Print the uses of NAME."""
    client = Client(find_paths())
    wanted = {"definitions": "true"} if definitions else {}
    found = client.references(name=name, limit=str(limit), **_root(client, root), **wanted)
    _print(found.data, found.has_more, as_json, lambda each: each.text)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def outline(file: Path, as_json: bool) -> None:
    """Print the definitions in FILE, in their order."""
    found = Client(find_paths()).symbols(path=str(real_path(file)), limit=str(_MAX_LISTED))
    if not found.data:
        told = f"no definitions are known in {file}; `ghostd index` lists the files that are left out"
        click.echo(f"ghostctl: {printable(told)}", err=True)
    _print(found.data, found.has_more, as_json, lambda each: "  " * _depth(each) + (each.signature or each.name))


def _given(**options: str | None) -> dict[str, str]:
    return {name: value for name, value in options.items() if value is not None}


def _root(client: Client, root: Path | None) -> dict[str, str]:
    if root is not None:
        return {"root": str(checked_root(root))}
    here = Path(os.path.realpath(Path.cwd()))
    roots = [Path(each.path) for each in client.status().roots]
    if not roots:
        raise GhostdError("No project is indexed. Add one with `ghostctl roots add DIR`.")
    around = [each for each in roots if here.is_relative_to(each)]
    return {"root": str(max(around, key=lambda each: len(each.parts)))} if around else {}


def _print(
    found: Sequence[ListedSymbol] | Sequence[ListedReference], has_more: bool, as_json: bool, told: Callable[[Any], str]
) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        here = Path(os.path.realpath(Path.cwd()))
        for each in found:
            file = Path(each.root) / each.path
            shown = file.relative_to(here) if file.is_relative_to(here) else file
            click.echo(printable(f"{shown}:{each.line}:{each.column}: {told(each)}"))
        if has_more:
            click.echo(f"… and more (--limit, now {len(found)})", err=True)
    if not found:
        raise SystemExit(1)


def _described(symbol: ListedSymbol) -> str:
    head = symbol.signature or symbol.name
    return f"{head}  in {symbol.container}" if symbol.container else head


def _depth(symbol: ListedSymbol) -> int:
    return len(symbol.container.split(".")) if symbol.container else 0
