"""`ghostd index`: one pass over a project, with its figures."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from pathlib import Path

import click

from ghostd.cli.options import checked_root, read_config
from ghostd.cli.tables import printable
from ghostd.local.client import Client
from ghostd.local.control_types import RootReport, SkipState
from ghostd.local.instance import running
from ghostd.local.paths import Paths, find_paths

_WAIT_S = 3600.0
_PATHS_SHOWN = 3


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--once", is_flag=True, help="Make one pass and end; needs no daemon.")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="Configuration file.")
@click.option("--all-skips", is_flag=True, help="Print every skipped path, not only a few for each reason.")
def index(folder: Path, once: bool, config_path: Path | None, all_skips: bool) -> None:
    """Index FOLDER and print files, symbols, seconds and what was skipped and why.

    Without --once the running daemon does it and goes on watching the folder.
    """
    paths = find_paths()
    root = checked_root(folder)
    if not once or _daemon_has(paths, root):
        client = Client(paths)
        client.add_root(root)
        report = client.wait_root(root, _WAIT_S)
    else:
        report = asyncio.run(_once(paths, root, config_path))
    _print(report, all_skips)


def _daemon_has(paths: Paths, root: Path) -> bool:
    return running(paths) is not None and any(Path(r.path) == root for r in Client(paths).status().roots)


async def _once(paths: Paths, root: Path, config_path: Path | None) -> RootReport:
    from ghostd.index.service import index_once

    config, _ = read_config(paths, config_path, None)
    paths.create()
    bar = click.progressbar(length=1, label="indexing", file=sys.stderr)

    def progress(done: int, total: int) -> None:
        bar.length = max(total, 1)
        bar.update(done - bar.pos)

    with bar if sys.stderr.isatty() else nullcontext():
        report = await index_once(paths.indexes, root, config.index, progress if sys.stderr.isatty() else None)
    return RootReport(
        path=str(root),
        files=report.files,
        parsed=report.parsed,
        symbols=report.symbols,
        references=report.references,
        imports=report.imports,
        size_bytes=report.size_bytes,
        seconds=report.seconds,
        skips=[SkipState(str(skip.path), skip.reason) for skip in report.skips],
    )


def _print(report: RootReport, all_skips: bool) -> None:
    click.echo(printable(report.path))
    click.echo(f"  files       {report.files} ({report.parsed} new or changed, {report.size_bytes / 1e6:.1f} MB)")
    click.echo(f"  symbols     {report.symbols}")
    click.echo(f"  references  {report.references}")
    click.echo(f"  imports     {report.imports}")
    click.echo(f"  seconds     {report.seconds:.2f}")
    click.echo(f"  skipped     {len(report.skips)}")
    if all_skips:
        for skip in report.skips:
            click.echo(f"    {printable(skip.path)}: {printable(skip.reason)}")
        return
    by_reason: dict[str, list[str]] = {}
    for skip in report.skips:
        by_reason.setdefault(skip.reason, []).append(skip.path)
    for reason, paths in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        more = f" and {len(paths) - _PATHS_SHOWN} more (--all-skips)" if len(paths) > _PATHS_SHOWN else ""
        shown = ", ".join(map(printable, paths[:_PATHS_SHOWN]))
        click.echo(f"    {len(paths)} × {printable(reason)}: {shown}{more}")
