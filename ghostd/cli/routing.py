"""`ghostctl health`, `ghostctl reload` and `ghostctl route`: how requests find their models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import click
import msgspec

from ghostd.cli.moments import since
from ghostd.cli.tables import UNKNOWN, print_table, printable
from ghostd.config.routing import Policy
from ghostd.errors import GhostdError
from ghostd.local.client import Client
from ghostd.local.paths import find_paths
from ghostd.routing_reports import CandidateReport, DeploymentReport, Explanation

_MAX_BODY_BYTES = 32 * 1024 * 1024
_HEALTH = ("deployment", "state", "success", "under way", "first byte ms", "p95", "reply ms", "at")
_HEALTH_RIGHT = frozenset(range(2, 7))
_CANDIDATES = ("", "deployment", "USD", "ms", "quality", "success", "")
_CANDIDATES_RIGHT = frozenset((0, 2, 3, 4, 5))
POLICIES: tuple[Policy, ...] = tuple(policy for policy in get_args(Policy) if policy != "ordered")
"""Policies that rank deployments by themselves."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def health(as_json: bool) -> None:
    """Show how the deployments fare that were asked so far, and the API keys."""
    found = Client(find_paths()).health()
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    if found.deployments:
        print_table(_HEALTH, [_deployment(deployment) for deployment in found.deployments], _HEALTH_RIGHT)
    else:
        click.echo("no deployment has been asked yet")
    for deployment in found.deployments:
        if deployment.last_error:
            click.echo(f"last error of {printable(f'{deployment.name}: {deployment.last_error}')}")
        for kind in deployment.kinds:
            rest = f", rests for {kind.rests_for_s:.0f} s" if kind.rests_for_s is not None else ""
            after = f", last error: {kind.last_error}" if kind.last_error else ""
            click.echo(printable(f"{kind.kind} calls of {deployment.name}: {kind.state}{rest}{after}"))
    for key in found.keys:
        click.echo(f"key {key.reference} of {key.provider}: {key.state}{f' ({key.detail})' if key.detail else ''}")


@click.command()
def reload() -> None:
    """Put changes of the configuration into force; refused whole if anything in it is wrong."""
    click.echo(Client(find_paths()).reload())


@click.group()
def route() -> None:
    """Ask the router why, and what if."""


@route.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def explain(file: Path, as_json: bool) -> None:
    """Say where the request in FILE would go now, and why.

    FILE holds the JSON body of a request to /v1/chat/completions, /v1/completions or /v1/embeddings; "-" reads it
    from standard input. No model is asked.
    """
    try:
        body = sys.stdin.buffer.read(_MAX_BODY_BYTES + 1) if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise GhostdError(f"cannot read {file}: {error.strerror}") from None
    found = Client(find_paths()).explain(body)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    _print_explanation(found)


@route.command()
@click.option("--policy", "policies", multiple=True, type=click.Choice(POLICIES), help="Repeatable; without it, all.")
@click.option("--since", "since_s", callback=since, help="From here: 7d, 12h, 2026-11-01. Without it, all.")
@click.option("--route", "name", help="Only requests of this route, and only deployments that answered for it.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def replay(policies: tuple[Policy, ...], since_s: float | None, name: str | None, as_json: bool) -> None:
    """Score policies over past requests: what would each have chosen, and at which cost, latency and success?

    Works on the ledger, with the daemon running or not. A policy chooses by what was known when the request came; what
    its choice would have cost is estimated from what that deployment did with requests of the same kind.
    """
    from ghostd.cli.replay import print_replay, replay_ledger

    found = replay_ledger(find_paths(), policies or POLICIES, since_s, name)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        print_replay(found)


def _print_explanation(found: Explanation) -> None:
    name = found.model if found.model == found.route else f"{found.model} → {found.route}"
    needs = ", ".join(found.needs) or "text only"
    click.echo(f"{name}: policy {found.policy}")
    click.echo(f"request: {found.complexity}, about {found.prompt_tokens} prompt tokens, needs {needs}")
    if found.experiment:
        click.echo(f"experiment: {found.experiment}")
    if found.candidates:
        print_table(_CANDIDATES, [_candidate(candidate) for candidate in found.candidates], _CANDIDATES_RIGHT)
    if found.fallbacks:
        click.echo(f"then: {', '.join(found.fallbacks)}")
    if found.problem:
        click.echo(f"refused: {printable(found.problem)}")


def _candidate(candidate: CandidateReport) -> tuple[str, ...]:
    tried = candidate.rank is not None and not candidate.problem
    return (
        f"{candidate.rank}." if tried else "-",
        candidate.name,
        UNKNOWN if candidate.cost_usd is None else f"{candidate.cost_usd:.6f}",
        _ms(candidate.latency_ms) or UNKNOWN,
        f"{candidate.quality:.2f}",
        f"{candidate.success_rate:.0%}",
        candidate.problem or candidate.endpoint,
    )


def _deployment(found: DeploymentReport) -> tuple[str, ...]:
    state = {"closed": "well", "open": "rests", "half-open": "on trial"}.get(found.state, found.state)
    if found.state == "open" and found.rests_for_s is not None:
        state += f" {found.rests_for_s:.0f} s"
    return (
        found.name,
        state,
        f"{found.success_rate:.0%}",
        str(found.in_flight),
        _ms(found.first_byte_p50_ms),
        _ms(found.first_byte_p95_ms),
        _ms(found.reply_p50_ms),
        found.endpoint,
    )


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.{0 if value >= 10 else 1}f}"
