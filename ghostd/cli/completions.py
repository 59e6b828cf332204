"""`ghostctl completions`: how soon completions come, and from where."""

from __future__ import annotations

import click
import msgspec

from ghostd.cli.tables import print_table
from ghostd.local.client import Client
from ghostd.local.paths import find_paths
from ghostd.suggestion_reports import CompletionsReport, SourceReport

_BAR = 40
_STAGES = ("queue", "retrieval", "prompt", "prefill", "decode", "post")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def completions(as_json: bool) -> None:
    """Show how many completions came within 100 ms, by where they came from, and where the time of others went.

    Counted since the daemon's start; nothing of it leaves this machine.
    """
    report = Client(find_paths()).completions()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
        return
    if not report.requests:
        click.echo("No editor has asked for a completion since the daemon's start.")
    else:
        _print(report)
    for model, why in report.off.items():
        click.echo(f"{model} {why}.")


def _print(report: CompletionsReport) -> None:
    click.echo(
        f"{report.requests} requests; {report.shown} completions shown, "
        f"{_share(report.soon, report.shown)} of them within 100 ms; "
        f"{report.empty} requests without one; {report.unanswered} cancelled or failed; {report.accepted} accepted."
    )
    if not report.sources:
        return
    click.echo()
    print_table(
        ("model", "source", "shown", "<= 100 ms", "p50 ms", "p95 ms", *_STAGES),
        [_row(source) for source in report.sources],
        right=frozenset(range(2, 12)),
    )
    click.echo()
    totals = [sum(counts) for counts in zip(*(source.counts for source in report.sources), strict=True)]
    names = [f"<= {bound}" for bound in report.bounds_ms] + [f"> {report.bounds_ms[-1]}"]
    print_table(
        ("ms", "shown", ""),
        [(name, str(n), "#" * round(_BAR * n / max(totals))) for name, n in zip(names, totals, strict=True)],
        right=frozenset((0, 1)),
    )


def _row(source: SourceReport) -> tuple[str, ...]:
    stages = [f"{source.stages_ms[name]:.1f}" if name in source.stages_ms else "" for name in _STAGES]
    return (
        source.model,
        source.origin,
        str(source.shown),
        _share(source.within_100_ms, source.shown),
        f"<= {source.p50_ms:g}",
        f"<= {source.p95_ms:g}",
        *stages,
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "0 %"
