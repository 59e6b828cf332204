"""`ghostctl health`, `ghostctl reload` and `ghostctl route`: how requests find their models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import click
import msgspec

from ghostd.cli.moments import since
from ghostd.config_routing import Policy
from ghostd.errors import GhostdError
from ghostd.local.client import Client
from ghostd.local.paths import find_paths
from ghostd.routing_reports import CandidateReport, DeploymentReport, Explanation

_MAX_BODY_BYTES = 32 * 1024 * 1024
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
    for deployment in found.deployments:
        click.echo(_deployment(deployment))
    if not found.deployments:
        click.echo("no deployment has been asked yet")
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
    for line in _explanation(found):
        click.echo(line)


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


def _explanation(found: Explanation) -> list[str]:
    needs = ", ".join(found.needs) or "text only"
    lines = [
        f"{found.model} → {found.route} (policy {found.policy})",
        f"request: {found.complexity}, about {found.prompt_tokens} prompt tokens, needs {needs}",
    ]
    if found.experiment:
        lines.append(f"experiment: {found.experiment}")
    lines.extend(_candidate(candidate) for candidate in found.candidates)
    if found.fallbacks:
        lines.append(f"then: {', '.join(found.fallbacks)}")
    if found.problem:
        lines.append(f"refused: {found.problem}")
    return lines


def _candidate(candidate: CandidateReport) -> str:
    place = f"{candidate.rank}." if candidate.rank is not None and not candidate.problem else "-"
    where = f" at {candidate.endpoint}" if candidate.endpoint else ""
    cost = "price unknown" if candidate.cost_usd is None else f"about ${candidate.cost_usd:.6f}"
    latency = "not measured" if candidate.latency_ms is None else f"about {candidate.latency_ms:.0f} ms"
    facts = f"{cost}, {latency}, quality {candidate.quality:.2f}, success {candidate.success_rate:.0%}"
    return f"{place:>3} {candidate.name}{where}: {candidate.problem or facts}"


def _deployment(found: DeploymentReport) -> str:
    parts = [found.state, f"{found.success_rate:.0%} of the last requests succeeded"]
    if found.rests_for_s is not None:
        parts.append(f"rests for {found.rests_for_s:.0f} s")
    if found.first_byte_p50_ms is not None and found.first_byte_p95_ms is not None:
        parts.append(f"first byte p50 {found.first_byte_p50_ms:.0f} ms, p95 {found.first_byte_p95_ms:.0f} ms")
    if found.reply_p50_ms is not None:
        parts.append(f"replies p50 {found.reply_p50_ms:.0f} ms")
    if found.in_flight:
        parts.append(f"{found.in_flight} under way")
    if found.last_error:
        parts.append(f"last error: {found.last_error}")
    where = f" at {found.endpoint}" if found.endpoint else ""
    return f"{found.name}{where}: {'; '.join(parts)}"
