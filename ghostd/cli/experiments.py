"""How an A/B report looks."""

from __future__ import annotations

from collections.abc import Callable

import click

from ghostd.cli.tables import UNKNOWN, print_table, printable
from ghostd.ledger.experiments import Arm, ExperimentReport, Metric
from ghostd.ledger.statistics import Estimate

_COLUMNS: tuple[tuple[str, Metric, Callable[[float], str]], ...] = (
    ("success", "success", lambda value: f"{100 * value:.1f} %"),
    ("median ms", "latency_p50_ms", lambda value: f"{value:.1f}"),
    ("p95 ms", "latency_p95_ms", lambda value: f"{value:.1f}"),
    ("mean cost USD", "cost_usd", lambda value: f"{value:.6f}"),
    ("accepted", "accepted", lambda value: f"{100 * value:.1f} %"),
    ("thumbs up", "thumbs_up", lambda value: f"{100 * value:.1f} %"),
)


def print_experiment(report: ExperimentReport) -> None:
    """Print the arms' figures with their intervals, and what they say of the differences."""
    click.echo(f"{printable(report.name)}, with {100 * report.level:.0f} % intervals")
    head = ("arm", "subjects", "requests", *(title for title, _, _ in _COLUMNS))
    print_table(head, [_arm(arm) for arm in report.arms], right=frozenset((1, 2)))
    for arm in report.arms:
        if arm.unpriced:
            click.echo(
                f"{printable(arm.name)}: the price of {arm.unpriced} requests is unknown; the cost is without them"
            )
    for comparison in report.comparisons:
        click.echo(printable(comparison.conclusion))
    if len(report.arms) < 2:
        click.echo("only one arm has requests: there is nothing to compare")


def _arm(arm: Arm) -> tuple[str, ...]:
    estimates = (_estimate(arm.estimates[metric], show) for _, metric, show in _COLUMNS)
    return (arm.name, str(arm.subjects), str(arm.requests), *estimates)


def _estimate(found: Estimate | None, show: Callable[[float], str]) -> str:
    if found is None:
        return "-"
    low, high = (UNKNOWN if bound is None else show(bound) for bound in (found.low, found.high))
    return f"{show(found.value)} ({low} … {high})"
