"""`ghostctl usage`, `ghostctl requests` and `ghostctl ab`: what the ledger says, with the daemon or without it."""

from __future__ import annotations

import csv
import io
from datetime import datetime

import click
import msgspec

from ghostd.cli.moments import since, until
from ghostd.cli.tables import UNKNOWN, count, dollars, print_table, printable
from ghostd.errors import GhostdError
from ghostd.ledger.reader import open_reader
from ghostd.ledger.reports import FIGURES, GROUPINGS, Grouping, Usage, UsageReport, last_requests
from ghostd.ledger.reports import usage as report_usage
from ghostd.local.paths import find_paths
from ghostd.records import LedgerRow

_HEADS = ("requests", "failed", "prompt", "completion", "cached", "cost USD")
_NO_REQUESTS = "no requests are recorded"


@click.command()
@click.option(
    "--by", multiple=True, type=click.Choice(GROUPINGS), help="Group by this; repeatable. Without it, by day."
)
@click.option("--since", "since_s", callback=since, help="From here: 7d, 12h, 2026-11-01. Without it, all.")
@click.option("--until", "until_s", callback=until, help="Up to here, a date's own day included.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
def usage(by: tuple[Grouping, ...], since_s: float | None, until_s: float | None, as_json: bool, as_csv: bool) -> None:
    """Show requests, tokens and cost by day, model, project, client …"""
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    by = tuple(dict.fromkeys(by)) or ("day",)
    with open_reader(find_paths().ledger) as db:
        report = report_usage(db, by, since_s, until_s)
    if as_json:
        click.echo(_usage_json(report))
    elif as_csv:
        click.echo(_usage_csv(report), nl=False)
    else:
        _print_usage(report)


@click.command()
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@click.option("--failed", is_flag=True, help="Only those that did not go well.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def requests(limit: int, failed: bool, as_json: bool) -> None:
    """Show the last requests: where each went and why, and what became of it. The newest comes first."""
    with open_reader(find_paths().ledger) as db:
        rows = last_requests(db, limit, failed=failed)
    if as_json:
        click.echo(msgspec.json.encode(rows).decode())
    elif not rows:
        click.echo(_NO_REQUESTS)
    else:
        head = ("time", "client", "model", "route", "deployment", "tries", "status", "ms", "tokens", "cost USD", "why")
        print_table(head, [_request(row) for row in rows], right=frozenset((5, 7, 8, 9)))


@click.group()
def ab() -> None:
    """Compare the arms of A/B splits."""


@ab.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def report(name: str | None, as_json: bool) -> None:
    """Show what experiment NAME, or each one, has shown so far: figures with 95 % intervals, and differences."""
    from ghostd.cli.experiments import print_experiment
    from ghostd.ledger.experiments import experiments

    with open_reader(find_paths().ledger) as db:
        found = experiments(db, name)
    if name is not None and not found:
        raise GhostdError(f"no request of an experiment {name!r} is recorded; see [experiments] in the configuration")
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    if not found:
        click.echo("no request of an experiment is recorded")
    for number, experiment in enumerate(found):
        if number:
            click.echo()
        print_experiment(experiment)


def _usage_json(report: UsageReport) -> str:
    groups = [
        {**dict(zip(report.by, key, strict=True)), **msgspec.to_builtins(figures)} for key, figures in report.groups
    ]
    return msgspec.json.encode({"by": report.by, "groups": groups, "total": report.total}).decode()


def _usage_csv(report: UsageReport) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*report.by, *FIGURES))
    for key, figures in report.groups:
        writer.writerow((*key, *(getattr(figures, name) for name in FIGURES)))
    return text.getvalue()


def _print_usage(report: UsageReport) -> None:
    if not report.total.requests:
        click.echo(_NO_REQUESTS)
        return
    rows = [(*(part or "-" for part in key), *_figures(figures)) for key, figures in report.groups]
    total = ("total", *("" for _ in report.by[1:]), *_figures(report.total))
    keys = len(report.by)
    print_table((*report.by, *_HEADS), [*rows, total], right=frozenset(range(keys, keys + len(_HEADS))))
    if report.total.unpriced:
        click.echo(f"The cost of {report.total.unpriced} requests is unknown ({UNKNOWN}): the sums are without them.")
    if report.total.uncounted:
        click.echo(f"The tokens of {report.total.uncounted} requests are unknown: the sums are without them.")


def _figures(figures: Usage) -> tuple[str, ...]:
    tokens = (figures.prompt_tokens, figures.completion_tokens, figures.cached_tokens)
    return (
        str(figures.requests),
        str(figures.failed),
        *(count(number) for number in tokens),
        dollars(figures.cost_usd, figures.unpriced),
    )


def _request(row: LedgerRow) -> tuple[str, ...]:
    tokens = f"{count(row.prompt_tokens)}+{count(row.completion_tokens)}"
    why = "; ".join(part for part in (row.error, row.reason) if part)
    return (
        _time(row.time_s),
        row.client or "-",
        row.model or "-",
        row.route or "-",
        row.deployment or "-",
        str(row.attempts),
        f"{row.status} {row.http_status}",
        f"{row.latency_ms:.0f}",
        tokens,
        UNKNOWN if row.cost_usd is None else f"{row.cost_usd:.6f}",
        printable(why),
    )


def _time(time_s: float) -> str:
    try:
        return datetime.fromtimestamp(time_s).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return UNKNOWN
