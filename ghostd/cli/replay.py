"""`ghostctl route replay`: the ledger and the configuration brought together, and how the result looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click

from ghostd.cli.options import read_config
from ghostd.cli.tables import UNKNOWN, print_table, printable
from ghostd.config.routing import Policy
from ghostd.config.settings import Config
from ghostd.daemon.upstreams import Upstreams
from ghostd.errors import ConfigError, GhostdError, ModelNotFound
from ghostd.ledger.reader import open_reader
from ghostd.ledger.reports import last_requests
from ghostd.local.client import Client
from ghostd.local.paths import Paths
from ghostd.models import ModelInfo
from ghostd.providers.http.client import HttpClient
from ghostd.records import LedgerRow
from ghostd.routing.prices import FREE, load_prices
from ghostd.routing.registry import Registry
from ghostd.routing.replay import AS_IT_WENT, Known, Replay, replay
from ghostd.routing.replay_figures import Chosen, Figure, PolicyScore
from ghostd.secrets.store import Secrets

_MAX_ROWS = 20_000
"""Requests that are looked at, the last ones; every policy ranks every deployment for each of them."""
_HEAD = ("policy", "same choice", "first try", "mean cost USD", "mean ms", "estimated", "fewest samples")


def replay_ledger(paths: Paths, policies: Sequence[Policy], since_s: float | None, route: str | None) -> Replay:
    """The policies over the ledger's last requests; raises GhostdError when the ledger cannot be read."""
    with open_reader(paths.ledger) as db:
        rows = last_requests(db, _MAX_ROWS)
    rows.reverse()
    if len(rows) == _MAX_ROWS:
        began = time.strftime("%Y-%m-%d %H:%M", time.localtime(rows[0].time_s))
        click.echo(f"only the last {_MAX_ROWS} requests are looked at, since {began}", err=True)
    known = _known(paths, rows)
    return replay(rows, tuple(dict.fromkeys(policies)), known, float("-inf") if since_s is None else since_s, route)


def _known(paths: Paths, rows: Iterable[LedgerRow]) -> dict[str, Known]:
    """What the configuration, and the daemon if it runs, say of the deployments."""
    names = dict.fromkeys(row.deployment for row in rows if row.deployment)
    try:
        config, file = read_config(paths, None, None)
        known = _configured(config, file, names)
    except ConfigError as error:
        click.echo(f"what the ledger says must do, since the configuration cannot be used: {error}", err=True)
        known = {}
    return known | _local(paths, names)


def _configured(config: Config, file: Path, seen: Iterable[str]) -> dict[str, Known]:
    own = file.parent / Path(config.ledger.prices).expanduser() if config.ledger.prices else None
    upstreams = Upstreams(HttpClient(config.upstream), Secrets()).build(config)  # nothing is asked of any
    registry = Registry(config, (), upstreams, load_prices(own).price_of)
    known = {}
    for name in (*seen, *_named(config)):
        try:
            plan = registry.plan(name)
        except ModelNotFound:
            continue
        deployment = plan.tiers[0][0].deployment if plan.tiers and plan.tiers[0] else None
        if deployment is not None and deployment.name == name:
            known[name] = Known(deployment.info, deployment.price, deployment.settings)
    return known


def _named(config: Config) -> list[str]:
    """The deployments that the configuration names."""
    listed = [
        f"{name}/{model}"
        for name, provider in config.providers.items()
        if provider.enabled
        for model in provider.models or ()
    ]
    routed = [
        entry if isinstance(entry, str) else entry.model
        for route in config.routes.values()
        for entry in route.deployments
    ]
    return [*listed, *config.deployments, *routed]


def _local(paths: Paths, seen: Iterable[str]) -> dict[str, Known]:
    """The models of this machine that have answered; their size tells their quality."""
    try:
        models = Client(paths).status().models
    except GhostdError:
        return {}
    return {
        model.id: Known(
            ModelInfo(
                model.id,
                model.owned_by,
                frozenset(model.capabilities),  # type: ignore[arg-type]
                context_tokens=model.context_tokens,
                size_bytes=model.size_bytes,
            ),
            FREE,
        )
        for model in models
        if model.owned_by == "local" and model.id in seen
    }


def print_replay(found: Replay) -> None:
    """Print the scores, and where each policy would have gone."""
    for reason, number in found.left_out.items():
        click.echo(f"left out: {number} ({printable(reason)})")
    if not found.requests:
        click.echo("no requests are recorded that could be replayed")
        return
    click.echo(f"{found.requests} requests, {found.answered} of them answered in the end\n")
    print_table(_HEAD, [_score(score) for score in found.scores], frozenset(range(1, len(_HEAD))))
    click.echo("(in brackets: what really happened to the same requests)\n")
    choices = [_choice(score, choice) for score in found.scores for choice in score.choices]
    print_table(("policy", "deployment", "requests", "same choice", "samples"), choices, frozenset((2, 3, 4)))
    for score in found.scores:
        if score.unable:
            click.echo(f"{score.name}: no deployment was known to be able to do {score.unable} requests")
        if unknown := _unknown(score):
            click.echo(f"{score.name}: unknown, and not in the means: {unknown}")


def _unknown(score: PolicyScore) -> str:
    figures = (("first try", score.success), ("cost", score.cost_usd), ("latency", score.latency_ms))
    missing = [(title, score.requests - figure.requests) for title, figure in figures]
    return ", ".join(f"{title} of {number}" for title, number in missing if number)


def _score(score: PolicyScore) -> tuple[str, ...]:
    figures = (score.success, score.cost_usd, score.latency_ms)
    samples = min((figure.fewest for figure in figures if figure.fewest is not None), default=None)
    real = score.name == AS_IT_WENT
    return (
        score.name,
        "" if real else str(score.same),
        _figure(score.success, real, lambda value: f"{100 * value:.1f} %"),
        _figure(score.cost_usd, real, lambda value: f"{value:.6f}"),
        _figure(score.latency_ms, real, lambda value: f"{value:.0f}"),
        "" if real else str(score.success.estimated),
        "" if samples is None else str(samples),
    )


def _figure(figure: Figure, real: bool, show: Callable[[float], str]) -> str:
    if figure.mean is None or figure.went is None:
        return UNKNOWN
    return show(figure.mean) if real else f"{show(figure.mean)} ({show(figure.went)})"


def _choice(score: PolicyScore, choice: Chosen) -> tuple[str, ...]:
    same = "" if score.name == AS_IT_WENT else str(choice.same)
    return score.name, choice.deployment, str(choice.requests), same, str(choice.samples)
