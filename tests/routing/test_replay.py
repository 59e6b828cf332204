"""Policies over past requests: what they may know, what they choose, and what is said of choices that never were."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from ledger_harness import row

from ghostd.config.providers import ModelConfig, PriceConfig
from ghostd.config.routing import RouteConfig, RouteEntry
from ghostd.config.settings import Config
from ghostd.engine import Engine
from ghostd.errors import RouteExhausted, WorkerCrashed
from ghostd.models import ModelInfo
from ghostd.records import LedgerRow
from ghostd.routing.call import Call, Job
from ghostd.routing.registry import Registry
from ghostd.routing.replay import AS_IT_WENT, Known, Replay, replay
from ghostd.routing.replay_figures import Figure, PolicyScore
from ghostd.testing.memory_ledger import MemoryLedger
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import ChatRequest

CHEAP, DEAR = "acme/cheap", "acme/dear"


def request(number: int, deployment: str, **changes: Any) -> LedgerRow:
    """The `number`-th request, one second after another; each has ended when the next one begins."""
    features = {
        "capability": "chat",
        "complexity": "simple",
        "prompt_tokens": 100,
        "reply_tokens": 50,
        "needs": [],
        "stream": False,
        "urgent": False,
        "thrifty": False,
    }
    dear = deployment == DEAR
    return row(
        f"req_{number}",
        **{
            "time_s": 1_000.0 + number,
            "deployment": deployment,
            "provider": "acme",
            "latency_ms": 100.0 if dear else 900.0,
            "cost_usd": 0.02 if dear else 0.001,
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "reason": "balanced of auto",
            "features": json.dumps(features | changes.pop("features", {})),
            **changes,
        },
    )


def score(found: Replay, name: str) -> PolicyScore:
    return next(score for score in found.scores if score.name == name)


def chosen(found: Replay, name: str) -> dict[str, int]:
    return {choice.deployment: choice.requests for choice in score(found, name).choices}


def rounded(figure: Figure) -> Figure:
    assert figure.mean is not None and figure.went is not None
    return replace(figure, mean=round(figure.mean, 9), went=round(figure.went, 9))


def test_each_policy_chooses_by_what_the_ledger_shows() -> None:
    rows = [request(0, CHEAP), request(1, DEAR), *(request(n, (CHEAP, DEAR)[n % 2]) for n in range(2, 10))]
    found = replay(rows, ("cheapest", "fastest", "quality"))
    assert (found.requests, found.answered, found.left_out) == (10, 10, {})
    assert chosen(found, AS_IT_WENT) == {CHEAP: 5, DEAR: 5}
    assert chosen(found, "cheapest") == {CHEAP: 10}
    assert chosen(found, "fastest") == {DEAR: 8, CHEAP: 2}  # the first two knew of nothing better
    assert chosen(found, "quality") == {DEAR: 8, CHEAP: 2}  # guessed from the price


def test_costs_of_other_choices_are_means_of_what_was_observed_beside_what_really_was() -> None:
    rows = [request(n, (CHEAP, DEAR)[n % 2]) for n in range(10)]
    found = score(replay(rows, ("cheapest",)), "cheapest")
    assert (found.requests, found.same, found.unable) == (10, 5, 0)
    assert rounded(found.cost_usd) == Figure(0.001, 0.0105, 10, 5, 5)
    assert rounded(found.latency_ms) == Figure(900.0, 500.0, 10, 5, 5)
    assert found.success == Figure(1.0, 1.0, 10, 5, 5)


def test_nothing_is_known_before_it_happened() -> None:
    """The slow reply of the first request ends after the second has begun."""
    slow = request(0, CHEAP, latency_ms=60_000.0)
    rows = [slow, request(1, DEAR), request(2, DEAR), request(3, DEAR)]
    early = replay(rows, ("fastest",))
    assert chosen(early, "fastest") == {CHEAP: 2, DEAR: 2}
    never_ended = replay([slow, *(request(n, DEAR, latency_ms=30_000.0) for n in (1, 2, 3))], ("fastest",))
    assert chosen(never_ended, "fastest") == {CHEAP: 4}, "both unknown: the first by name"


def test_a_deployment_is_not_chosen_before_it_was_first_seen() -> None:
    rows = [request(0, DEAR), request(1, DEAR), request(2, CHEAP), request(3, DEAR)]
    assert chosen(replay(rows, ("cheapest",)), "cheapest") == {DEAR: 3, CHEAP: 1}, "its price is known by its first row"


def test_what_a_deployment_was_never_seen_to_do_it_is_not_chosen_for() -> None:
    tools = {"needs": ["tools"]}
    rows = [request(0, CHEAP), request(1, DEAR, features=tools), request(2, CHEAP), request(3, DEAR, features=tools)]
    assert chosen(replay(rows, ("cheapest",)), "cheapest") == {CHEAP: 2, DEAR: 2}


def test_the_configuration_says_what_a_deployment_can_do_and_costs() -> None:
    able = ModelInfo(CHEAP, "acme", frozenset(("chat",)), remote=True, features=frozenset(("tools",)))
    short = ModelInfo("acme/short", "acme", frozenset(("chat",)), remote=True, context_tokens=50)
    known = {
        CHEAP: Known(able, PriceConfig(input=9, output=9)),
        "acme/short": Known(short, PriceConfig(input=0, output=0)),
        "acme/new": Known(
            ModelInfo("acme/new", "acme", frozenset(("chat",)), remote=True),
            PriceConfig(input=1, output=1),
            ModelConfig(quality=0.9),
        ),
    }
    rows = [request(0, CHEAP), request(1, CHEAP, features={"needs": ["vision"]})]
    found = replay(rows, ("cheapest", "quality"), known)
    assert chosen(found, "cheapest") == {"acme/new": 2}
    assert chosen(found, "quality") == {"acme/new": 2}
    assert score(found, "cheapest").cost_usd == Figure(None, None, 0, 0, None), "nobody knows: it never answered"


def test_what_happened_before_a_date_is_experience_only() -> None:
    rows = [request(0, CHEAP), request(1, DEAR), request(2, DEAR)]
    found = replay(rows, ("cheapest",), since_s=1_002.0)
    assert (found.requests, chosen(found, "cheapest")) == (1, {CHEAP: 1})


def test_a_route_is_scored_among_its_own_deployments() -> None:
    rows = [
        request(0, CHEAP),
        request(1, "acme/mid", route="work", cost_usd=0.01),
        request(2, DEAR, route="work"),
        request(3, DEAR, route="work"),
    ]
    found = replay(rows, ("cheapest",), route="work")
    assert (found.requests, chosen(found, "cheapest")) == (3, {"acme/mid": 3})


def test_failures_count_against_a_deployment_and_are_no_success_of_the_first_try() -> None:
    failing = [
        request(n, DEAR, reason=f"balanced of auto, after {CHEAP} (UpstreamFailed)", attempts=2) for n in range(6)
    ]
    reason = f"nobody answered, after {CHEAP} (UpstreamTimeout), after {DEAR} (UpstreamFailed)"
    gone = request(6, "", status="error", error="RouteExhausted", http_status=502, cost_usd=None, reason=reason)
    found = replay([*failing, gone, request(7, DEAR), request(8, DEAR)], ("cheapest",))
    assert (found.requests, found.answered) == (9, 8)
    real = score(found, AS_IT_WENT)
    assert real.success.mean == pytest.approx(2 / 9)
    cheapest = score(found, "cheapest")
    assert chosen(found, "cheapest")[DEAR] >= 6, "six failures outweigh the price"
    assert cheapest.cost_usd.requests <= 8


def test_what_cannot_be_replayed_is_left_out_and_told() -> None:
    rows = [
        request(0, CHEAP),
        request(1, CHEAP, status="refused"),
        request(2, CHEAP, status="cancelled"),
        request(3, CHEAP, features={"capability": "embed"}),
        request(4, "", status="error"),
        row("old", time_s=1_005.0, features=""),
    ]
    found = replay(rows, ("balanced",))
    assert found.requests == 1
    assert found.left_out == {
        "refused": 1,
        "cancelled": 1,
        "embed requests": 1,
        "that reached no deployment": 1,
        "without features": 1,
    }
    assert replay([], ("balanced",)).requests == 0


def test_a_rate_limit_is_no_failure_of_the_deployment() -> None:
    limited = [request(n, DEAR, reason=f"balanced of auto, after {CHEAP} (RateLimited)") for n in range(6)]
    failing = [request(n, DEAR, reason=f"balanced of auto, after {CHEAP} (UpstreamFailed)") for n in range(6)]
    known = {CHEAP: Known(ModelInfo(CHEAP, "acme", frozenset(("chat",)), remote=True), PriceConfig(input=0, output=0))}
    assert chosen(replay([*limited, request(7, DEAR)], ("cheapest",), known), "cheapest") == {CHEAP: 7}
    assert chosen(replay([*failing, request(7, DEAR)], ("cheapest",), known), "cheapest") != {CHEAP: 7}


async def test_the_routers_own_rows_tell_who_failed() -> None:
    """Reasons are read back as the router writes them, also where nobody answered."""
    first, second = ScriptedProvider(model="one"), ScriptedProvider(model="two")
    first.error = WorkerCrashed("it died")
    ledger = MemoryLedger()
    route = RouteConfig(deployments=("one", RouteEntry(model="two", order=2)))
    engine = Engine(registry=Registry(Config(routes={"r": route}), (first, second)), ledger=ledger)

    async def ask() -> None:
        asked = ChatRequest("r", ())
        async for _ in engine.serve(Call("openai.chat", "r", "chat", lambda: (Job(asked),))):
            pass

    await ask()
    second.error = WorkerCrashed("it died, too")
    with pytest.raises(RouteExhausted):
        await ask()
    found = replay(_timed(ledger.rows), ("balanced",))
    assert (found.requests, found.answered) == (2, 1)
    assert score(found, AS_IT_WENT).success.mean == 0.0
    assert chosen(found, AS_IT_WENT) == {"one": 2}


def _timed(rows: Sequence[LedgerRow]) -> list[LedgerRow]:
    return sorted(rows, key=lambda found: found.time_s)
