"""`ghostctl index eval`: how good retrieval is on the user's own project."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack, aclosing, closing
from pathlib import Path

import click
import msgspec

from ghostd.cli.options import checked_root, read_config
from ghostd.cli.tables import print_table
from ghostd.config.settings import Config
from ghostd.context_reports import EvaluationOrder, RetrievalReport
from ghostd.errors import GhostdError
from ghostd.local.client import Client
from ghostd.local.instance import running
from ghostd.local.paths import Paths, find_paths

_ENOUGH = 30
"""Fewer lines say little."""
_MAX_LINES = 5_000


@click.command(name="eval")
@click.option(
    "--root", type=click.Path(path_type=Path), help="Project; by default the one that the current folder is in."
)
@click.option("--lines", type=click.IntRange(1, _MAX_LINES), default=100, show_default=True, help="Lines to hide.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses other lines.")
@click.option("--language", "languages", multiple=True, help="Only files of this language; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="Configuration file, without a daemon.")
def evaluate(
    root: Path | None, lines: int, seed: int, languages: tuple[str, ...], as_json: bool, config_path: Path | None
) -> None:
    """Hide lines of a project, and print how much of what they need is found.

    Lines are hidden whose names are defined in other files and stand nowhere else in their own. Recall is the share of
    these names that stands in what would be quoted within so many tokens. The running daemon does it where it has the
    project; else it is done here.
    """
    paths = find_paths()
    known = [Path(each.path) for each in Client(paths).status().roots] if running(paths) is not None else []
    folder = _root(root, known)
    order = EvaluationOrder(str(folder), lines, seed, languages)
    if folder in known:
        report = _by_daemon(Client(paths), order)
    else:
        config, _ = read_config(paths, config_path, None)
        paths.create()
        report = asyncio.run(_here(paths, order, config))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
    else:
        _print(report)
    if not report.found:
        raise SystemExit(1)


def _root(wanted: Path | None, known: list[Path]) -> Path:
    if wanted is not None:
        return checked_root(wanted)
    here = Path(os.path.realpath(Path.cwd()))
    around = [each for each in known if here.is_relative_to(each)]
    return max(around, key=lambda each: len(each.parts)) if around else checked_root(here)


class _Progress:
    """A bar on a terminal; nothing else where."""

    def __init__(self) -> None:
        self._bar = click.progressbar(length=1, label="evaluating", file=sys.stderr) if sys.stderr.isatty() else None

    def __enter__(self) -> _Progress:
        if self._bar is not None:
            self._bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.render_finish()

    def show(self, report: RetrievalReport) -> None:
        """Go on to where it is."""
        if self._bar is not None:
            self._bar.length = max(report.found, 1)
            self._bar.update(report.done - self._bar.pos)


def _by_daemon(client: Client, order: EvaluationOrder) -> RetrievalReport:
    last = None
    with closing(client.evaluate(order)) as reports, _Progress() as progress:
        for last in reports:
            progress.show(last)
    if last is None or not last.finished:
        raise GhostdError("ghostd ended before the evaluation had; `ghostd logs` may say why.")
    return last


async def _here(paths: Paths, order: EvaluationOrder, config: Config) -> RetrievalReport:
    """In this process, over the project's stored index, which is brought up to date first."""
    from ghostd.context.retriever import Retriever
    from ghostd.context.scored import check, score_project
    from ghostd.history.service import open_history
    from ghostd.index.service import open_index
    from ghostd.index.watch import NoWatch
    from ghostd.resolve.resolver import Resolver

    check(order)
    root = Path(order.root)
    async with AsyncExitStack() as parts:
        index = await parts.enter_async_context(open_index(paths.indexes, config.index, NoWatch()))
        history = await parts.enter_async_context(open_history(paths.cache / "history", config.history, index))
        await index.add_root(root)
        await index.wait_ready(root)
        resolver = Resolver(index)
        parts.callback(resolver.close)
        retriever = Retriever(index, resolver, history)
        parts.callback(retriever.close)
        progress = parts.enter_context(_Progress())
        steps = await parts.enter_async_context(aclosing(score_project(retriever, history, order)))
        async for report in steps:
            progress.show(report)
            if report.finished:
                return report
    raise AssertionError("the last report is a finished one")


def _print(report: RetrievalReport) -> None:
    click.echo(f"{report.root}: {report.found} lines hidden (seed {report.seed})")
    if report.found < min(report.wanted, _ENOUGH):
        told = "no line was" if not report.found else f"only {report.found} of {report.wanted} lines were"
        click.echo(
            f"{told} found whose names only other files tell: the project is small, or of languages "
            f"that cannot be judged.{' Such figures say little.' if report.found else ''}",
            err=True,
        )
    if report.methods:
        click.echo()
        budgets = list(next(iter(report.methods.values())))
        head = ["recall", *(f"@{int(budget) // 1000}k" for budget in budgets)]
        rows = [
            [method, *(f"{100 * shares[budget]:.1f} %" for budget in budgets)]
            for method, shares in report.methods.items()
        ]
        print_table(head, rows, frozenset(range(1, len(head))))
        click.echo(
            f"\nlatency    p50 {report.later_p50_ms:.1f} ms, p95 {report.later_p95_ms:.1f} ms "
            f"(the first in a file: {report.p50_ms:.1f} and {report.p95_ms:.1f} ms)"
        )
    co_change = report.co_change
    if co_change is None:
        click.echo("co-change  no git history to judge it by")
        return
    click.echo(
        f"co-change  hit@5 {100 * co_change.hit_at_5:.0f} % of {co_change.tried} files "
        f"({100 * co_change.folder_at_5:.0f} % for the last changed files of the same folders)"
    )
