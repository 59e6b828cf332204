"""The router explains itself, and asks nobody for it."""

from __future__ import annotations

import asyncio

import pytest
from routing_harness import chat, failing, upstream, whole, world

from ghostd.errors import ModelNotFound, UpstreamFailed
from ghostd.models import ModelInfo
from ghostd.routing.explain import deployment_report, explain

SETTINGS = """
[routes.r]
deployments = ["a/m", "b/m", "c/m"]
policy = "cheapest"
fallbacks = ["a/m"]
[providers.a.model.m.price]
input = 5
output = 5
[providers.b.model.m.price]
input = 1
output = 1
[routing]
retry_budget = 0
breaker_failures = 1
"""


async def test_it_says_who_would_be_tried_in_which_order_and_why_not() -> None:
    blind = ModelInfo("", "c", frozenset(("chat",)), features=frozenset(), remote=True)
    a, b, c = upstream("a", whole()), upstream("b", *failing()), upstream("c", info=blind)
    async with world(SETTINGS, a, b, c) as w:
        call = chat(features=frozenset(("tools",)), prompt_tokens=1000)
        found = explain(w.engine.registry, call, asyncio.get_running_loop().time())
        assert (found.model, found.route, found.policy, found.needs) == ("r", "r", "cheapest", ("tools",))
        assert [(c.name, c.rank, c.problem) for c in found.candidates] == [
            ("b/m", 1, ""),
            ("a/m", 2, ""),
            ("c/m", None, "it has no tools"),
        ]
        assert [c.cost_usd for c in found.candidates] == [pytest.approx(0.0015), pytest.approx(0.0075), None]
        assert (found.fallbacks, found.problem, found.prompt_tokens) == (("a/m",), "", 1000)
        assert not a.asked + b.asked + c.asked
        await w.ask()  # b fails and rests
        found = explain(w.engine.registry, call, asyncio.get_running_loop().time())
        (resting,) = [candidate for candidate in found.candidates if candidate.name == "b/m"]
        assert resting.problem.startswith("rests for ")
        assert "out of order" in resting.problem


async def test_it_says_why_a_request_would_be_refused() -> None:
    blind = ModelInfo("", "a", frozenset(("embed",)), remote=True)
    async with world('routes.r.deployments = ["a/m"]', upstream("a", info=blind)) as w:
        found = explain(w.engine.registry, chat(), 0)
        assert found.problem == (
            "The model 'r' cannot do this: a/m: it cannot chat. "
            "To chat, put a GGUF file into the models folder, or configure a provider."
        )
        assert found.candidates[0].rank is None
        with pytest.raises(ModelNotFound):
            explain(w.engine.registry, chat("nothing"), 0)


async def test_it_names_the_experiment() -> None:
    settings = 'routes.r.deployments = ["a/m"]\nexperiments.x = {model = "r", arms = {new = {model = "b/m"}}}'
    async with world(settings, upstream("a"), upstream("b")) as w:
        found = explain(w.engine.registry, chat(user="ann"), 0)
        assert (found.experiment, found.route) == ("x/new", "b/m")


async def test_it_agrees_with_what_the_router_then_does() -> None:
    async with world(SETTINGS, upstream("a", whole("a")), upstream("b", whole("b")), upstream("c", whole("c"))) as w:
        found = explain(w.engine.registry, chat(), asyncio.get_running_loop().time())
        await w.ask()
        assert w.row.deployment == found.candidates[0].name


async def test_a_report_tells_how_a_deployment_fares() -> None:
    async with world(
        'routes.r.deployments = ["a/m"]\nrouting.retry_budget = 0', upstream("a", whole(), *failing())
    ) as w:
        await w.ask()
        with pytest.raises(UpstreamFailed):
            await w.ask()
        found = deployment_report(w.deployment("a/m"), asyncio.get_running_loop().time())
        assert (found.name, found.endpoint, found.state, found.in_flight) == ("a/m", "http://a.test", "closed", 0)
        assert (found.success_rate, found.last_error, found.rests_for_s) == (0.6667, "out of order", None)
        assert found.reply_p50_ms == 0 and found.first_byte_p50_ms is None
