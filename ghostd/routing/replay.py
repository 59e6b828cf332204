"""What would have been: routing policies over the ledger's past requests.

A policy chooses by what was known when a request came: rows that had ended by then, no later ones. What its choice
would have cost is what really happened where the choice is the real one, else the mean of what the chosen deployment
did with requests of the same kind (capability and complexity), and unknown where it never had one.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import msgspec

from ghostd import errors
from ghostd.config.providers import ModelConfig, PriceConfig
from ghostd.config.routing import Policy, RoutingConfig
from ghostd.errors import (
    KeyRefused,
    ModelUnavailable,
    NoUsableKey,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    RequestError,
    UpstreamFailed,
    UpstreamModelMissing,
)
from ghostd.models import ModelInfo
from ghostd.ports import Provider
from ghostd.records import LedgerRow
from ghostd.routing.call import Call
from ghostd.routing.deployment import NO_SETTINGS, Deployment
from ghostd.routing.features import Features
from ghostd.routing.health import Health
from ghostd.routing.plan import Choice, Plan
from ghostd.routing.replay_figures import Outcome, PolicyScore, Tallies, Tally, score_of
from ghostd.routing.selection import select
from ghostd.types import Capability, Feature

AS_IT_WENT = "as it went"
_FAILED = re.compile(r"(?:^|,| )after (\S+) \((\w+)\)")
"""How the router's reasons name a deployment that failed before another one answered."""
_LOCAL = frozenset(("local", "ghostd"))
"""Providers of models on this machine."""
_REPLAYED: frozenset[str] = frozenset(("chat", "complete"))
"""One model's embeddings are no substitute for another's, and fills go by tiers."""

_ROUTING = RoutingConfig()
_RESTS = frozenset(
    (RateLimited, KeyRefused, NoUsableKey, QuotaExhausted, UpstreamModelMissing, ModelUnavailable, Overloaded)
)
"""What makes a deployment rest, or asks for patience, and is no failure."""

_decode = msgspec.json.Decoder(Features).decode


@dataclass(frozen=True, slots=True)
class Known:
    """What the configuration says of a deployment."""

    info: ModelInfo
    price: PriceConfig | None = None
    settings: ModelConfig = NO_SETTINGS


@dataclass(frozen=True, slots=True)
class Replay:
    """Policies over past requests, "as it went" first."""

    requests: int
    answered: int
    """How many of them were answered in the end, failover included."""
    left_out: Mapping[str, int]
    """Reason → requests."""
    scores: tuple[PolicyScore, ...]


def replay(
    rows: Iterable[LedgerRow],
    policies: Sequence[Policy],
    known: Mapping[str, Known] | None = None,
    since_s: float = float("-inf"),
    route: str | None = None,
) -> Replay:
    """Score the policies over the rows, which must be in the order of their time.

    Rows from before `since_s` are experience only. With `route`, only its requests count, and only deployments that
    have answered for it may be chosen.
    """
    past = _Past(known or {})
    tallies: Tallies = {}
    outcomes: dict[str, list[Outcome]] = {AS_IT_WENT: [], **{policy: [] for policy in policies}}
    left_out: Counter[str] = Counter()
    answered = 0
    for row in rows:
        past.reach(row.time_s)
        request = _request(row)
        if isinstance(request, str):
            left_out[request] += row.time_s >= since_s and route in (None, row.route)
            continue
        past.meet(request)
        _count(tallies, request)
        past.await_end(request)
        if row.time_s < since_s or route not in (None, row.route):
            continue
        answered += row.status == "ok"
        outcomes[AS_IT_WENT].append(_outcome(request, request.tries[0][0]))
        for policy in policies:
            chosen = past.choose(policy, request, route)
            outcomes[policy].append(_outcome(request, chosen))
    scores = tuple(score_of(name, found, tallies) for name, found in outcomes.items())
    return Replay(len(outcomes[AS_IT_WENT]), answered, {reason: n for reason, n in left_out.items() if n}, scores)


@dataclass(frozen=True, slots=True)
class _Request:
    """A row that can be replayed."""

    row: LedgerRow
    features: Features
    tries: tuple[tuple[str, str], ...]
    """Each deployment that was tried, in order, with the error's class; "" for the one that answered."""

    @property
    def kind(self) -> tuple[str, str]:
        """What its outcome is compared with."""
        return self.features.capability, self.features.complexity

    @property
    def first_worked(self) -> bool:
        """Whether the deployment that was tried first answered to the end."""
        return self.tries[0][1] == ""


def _request(row: LedgerRow) -> _Request | str:
    """The request of a row, or why it is left out."""
    if row.status in ("refused", "cancelled"):
        return row.status
    try:
        features = _decode(row.features)
    except msgspec.DecodeError:
        return "without features"
    if features.capability not in _REPLAYED:
        return f"{features.capability} requests"
    tries = [(name, error) for name, error in _FAILED.findall(row.reason)]
    if row.deployment:
        tries.append((row.deployment, "" if row.status == "ok" else row.error or "UpstreamError"))
    return _Request(row, features, tuple(tries)) if tries else "that reached no deployment"


class _Past:
    """What was known of each deployment at a point in time."""

    def __init__(self, known: Mapping[str, Known]) -> None:
        self._known = known
        self._deployments: dict[str, Deployment] = {}
        self._of_route: dict[str, set[str]] = {}
        self._met: set[str] = set()
        self._rates: dict[str, tuple[float, int]] = {}
        self._ending: list[tuple[float, int, _Request]] = []
        self._number = 0
        for name in known:
            self._deployment(name, "")

    def reach(self, time_s: float) -> None:
        """Learn from the requests that had ended by then."""
        while self._ending and self._ending[0][0] <= time_s:
            self._learn(heapq.heappop(self._ending)[2])
        for deployment in self._deployments.values():
            health = deployment.health
            rested = health.rests_until is not None and health.rests_until <= time_s and not health.checked
            if rested or health.neglected(time_s, _ROUTING.health_interval_s):
                health.found_well(time_s)  # whether a check would have, nobody knows; the next request tells

    def meet(self, request: _Request) -> None:
        """The router has asked these deployments, so it knew that they could do the request."""
        row, features = request.row, request.features
        for name, _ in request.tries:
            deployment = self._deployment(name, row.provider if name == row.deployment else "")
            self._of_route.setdefault(row.route, set()).add(name)
            self._met.add(name)
            if name not in self._known:
                info = deployment.info
                capabilities = info.capabilities | {cast("Capability", features.capability)}
                can = (info.features or frozenset()) | cast("set[Feature]", set(features.needs))
                if (capabilities, can) != (info.capabilities, info.features):
                    deployment.seen(replace(info, capabilities=capabilities, features=can))

    def await_end(self, request: _Request) -> None:
        """Learn from the request once it has ended."""
        self._number += 1
        end_s = request.row.time_s + max(request.row.latency_ms, 0.0) / 1000
        heapq.heappush(self._ending, (end_s, self._number, request))

    def choose(self, policy: Policy, request: _Request, route: str | None) -> str:
        """The deployment that the policy prefers; "" where none is known to be able."""
        features = request.features
        names = sorted(self._deployments if route is None else self._of_route[route])
        names.sort(key=lambda name: name not in self._met)  # of equals, one that has been asked before
        tier = tuple(Choice(self._deployments[name]) for name in names)
        call = Call(
            request.row.operation,
            request.row.model,
            cast("Capability", features.capability),
            decode=tuple,
            features=cast("frozenset[Feature]", frozenset(features.needs)),
            prompt_tokens=features.prompt_tokens,
        )
        try:
            found = select(Plan(request.row.route, (tier,), policy), call, lambda: features)
        except RequestError:
            return ""
        return found.tiers[0][0].deployment.name

    def _deployment(self, name: str, provider: str) -> Deployment:
        found = self._deployments.get(name)
        if found is None:
            known = self._known.get(name) or Known(
                ModelInfo(name, provider, frozenset(), features=frozenset(), remote=provider not in _LOCAL)
            )
            nobody = cast("Provider", None)  # nothing is asked of it
            health = Health(_ROUTING)
            found = Deployment(name, nobody, known.info, health, settings=known.settings, price=known.price)
            self._deployments[name] = found
        return found

    def _learn(self, request: _Request) -> None:
        row = request.row
        for name, error in request.tries:
            deployment = self._deployments[name]
            health = deployment.health
            health.begin(0, row.time_s, stream=row.stream)
            health.end(0)
            if error:
                if _counts(error):
                    health.failed(UpstreamFailed("", 500), row.time_s)
                continue
            health.succeeded(row.time_s)
            self._learn_price(deployment, row)
            if not request.first_worked:
                continue  # its times include those of the failures before
            if not row.stream:
                health.plain.add(row.latency_ms)
            elif row.first_byte_ms is not None:
                health.first_byte.add(row.first_byte_ms)
                if (row.completion_tokens or 0) > 1:
                    health.token_ms.add((row.latency_ms - row.first_byte_ms) / cast("int", row.completion_tokens))

    def _learn_price(self, deployment: Deployment, row: LedgerRow) -> None:
        """A mean price per token from the ledger, for a deployment whose price is not known otherwise."""
        known = self._known.get(deployment.name)
        tokens = (row.prompt_tokens or 0) + (row.completion_tokens or 0)
        if (known is not None and known.price is not None) or row.cost_usd is None or not tokens:
            return
        spent, before = self._rates.get(deployment.name, (0.0, 0))
        spent, tokens = spent + row.cost_usd, before + tokens
        self._rates[deployment.name] = spent, tokens
        rate = spent * 1e6 / tokens
        deployment.price = PriceConfig(input=rate, output=rate)


def _counts(error: str) -> bool:
    """Whether an error of this class counts in the deployment's success rate, as it does in `Health.failed`."""
    kind = getattr(errors, error, None)
    return isinstance(kind, type) and issubclass(kind, ProviderError) and kind.retryable and kind not in _RESTS


def _outcome(request: _Request, chosen: str) -> Outcome:
    """A choice beside what really happened."""
    row = request.row
    answered = row.status == "ok"
    return Outcome(
        chosen,
        request.kind,
        same=chosen == request.tries[0][0],
        success=float(request.first_worked),
        cost_usd=row.cost_usd if answered else None,
        latency_ms=row.latency_ms if answered else None,
    )


def _count(tallies: Tallies, request: _Request) -> None:
    """Add what the request says of the deployments that it tried."""
    row = request.row
    for name, error in request.tries:
        tally = tallies.setdefault((name, *request.kind), Tally())
        tally.success.add(0.0 if error else 1.0)
        if not error and row.cost_usd is not None:
            tally.cost_usd.add(row.cost_usd)
        if not error and request.first_worked:
            tally.latency_ms.add(row.latency_ms)
