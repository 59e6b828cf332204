"""Who can do a request, and who of these is tried next."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from routing_harness import World, chat, upstream

from ghostd.errors import ContextTooLong, NoCandidate, UpstreamFailed
from ghostd.models import ModelInfo
from ghostd.routing.call import Call
from ghostd.routing.deployment import Deployment
from ghostd.routing.features import features_of
from ghostd.routing.selection import is_gamble, next_choice, select

CHAT: frozenset[Any] = frozenset(("chat",))


def info(**changes: Any) -> ModelInfo:
    return ModelInfo("", "p", **{"capabilities": CHAT, "remote": True, **changes})


def selected(settings: str, call: Call, **infos: ModelInfo) -> list[list[str]]:
    registry = World(settings, *(upstream(name, info=given) for name, given in infos.items())).engine.registry
    found = select(registry.plan("r"), call, lambda: features_of(call))
    return [[choice.deployment.name for choice in tier] for tier in found.tiers]


TWO = 'routes.r.deployments = ["a/m", {model = "b/m", order = 2}]'


@pytest.mark.parametrize(
    ("able", "unable", "call"),
    [
        (info(features=frozenset(("tools",))), info(features=frozenset()), chat(features=frozenset(("tools",)))),
        (info(), info(features=frozenset(("json",))), chat(features=frozenset(("vision", "json")))),
        (info(context_tokens=8000), info(context_tokens=1000), chat(prompt_tokens=2000)),
        (info(), info(capabilities=frozenset(("embed",))), chat()),
        (info(), info(state="failed", detail="broken"), chat()),
    ],
    ids=["tools", "vision", "context", "kind", "broken"],
)
def test_what_cannot_do_the_request_is_left_out(able: ModelInfo, unable: ModelInfo, call: Call) -> None:
    assert selected(TWO, call, a=unable, b=able) == [["b/m"]]


def test_a_model_that_takes_an_operation_as_it_comes_can_do_it() -> None:
    call = chat()
    call.operation = "openai.responses"
    relaying = info(capabilities=frozenset(), relays=frozenset(("openai.responses",)))
    assert selected(TWO, call, a=relaying, b=info(capabilities=frozenset())) == [["a/m"]]


def test_the_refusal_says_who_lacks_what() -> None:
    call = chat(features=frozenset(("vision",)))
    blind = info(features=frozenset(("tools",)))
    with pytest.raises(NoCandidate, match=r"a/m: it has no vision; b/m: it cannot chat") as caught:
        selected(TWO, call, a=blind, b=info(capabilities=frozenset()))
    assert caught.value.param == "messages"


def test_a_prompt_too_long_for_all_is_told_by_the_longest_context() -> None:
    with pytest.raises(ContextTooLong, match="maximum context length is 2000 tokens"):
        selected(TWO, chat(prompt_tokens=3000), a=info(context_tokens=1000), b=info(context_tokens=2000))


def test_models_that_cannot_do_such_calls_do_not_hide_that_a_prompt_is_too_long() -> None:
    """Agents make room when they are told so; among the models of "auto" there are always some of another kind."""
    with pytest.raises(ContextTooLong) as caught:
        selected(
            TWO,
            chat(prompt_tokens=3000),
            a=info(context_tokens=1000),
            b=info(capabilities=frozenset(("embed",))),
        )
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (3000, 1000)


def test_an_estimate_does_not_refuse_the_only_one_lightly() -> None:
    one = 'routes.r.deployments = ["a/m"]'
    assert selected(one, chat(prompt_tokens=1400), a=info(context_tokens=1000)) == [["a/m"]]
    with pytest.raises(ContextTooLong):
        selected(one, chat(prompt_tokens=1600), a=info(context_tokens=1000))


def test_several_prompts_need_not_fit_into_one_context() -> None:
    call = chat(prompt_tokens=50_000, several=True)
    assert selected(TWO, call, a=info(context_tokens=1000), b=info()) == [["a/m"], ["b/m"]]


def test_the_only_one_tells_itself_why_it_is_broken() -> None:
    assert selected('routes.r.deployments = ["a/m"]', chat(), a=info(state="failed")) == [["a/m"]]


# --- which next -------------------------------------------------------------------------------


def tiers(settings: str) -> tuple[Any, dict[str, Deployment]]:
    registry = World(settings, upstream("a"), upstream("b"), upstream("c")).engine.registry
    plan = registry.plan("r")
    return plan.tiers, {c.deployment.name[0]: c.deployment for tier in plan.tiers for c in tier}


def test_load_is_shared_by_weight() -> None:
    random.seed(7)
    found, _ = tiers('routes.r.deployments = [{model = "a/m", weight = 3}, "b/m"]')
    counts = Counter(next_choice(found, set(), chat(), 0).name for _ in range(4000))  # type: ignore[union-attr]
    assert counts["a/m"] / 4000 == pytest.approx(0.75, abs=0.03)


def test_of_two_the_less_busy_one_is_asked() -> None:
    random.seed(7)
    found, by_name = tiers('routes.r.deployments = ["a/m", "b/m", "c/m"]')
    for deployment in by_name.values():
        deployment.health.proven = True
    for key in range(300):
        chosen = next_choice(found, set(), chat(), 0)
        assert chosen is not None
        chosen.health.begin(key, 0, stream=True)
    busy = [deployment.health.in_flight for deployment in by_name.values()]
    assert max(busy) - min(busy) <= 6  # by lot alone: some 25


def test_the_next_tier_is_for_when_the_first_is_tried_resting_or_full() -> None:
    settings = 'routes.r.deployments = ["a/m", {model = "b/m", order = 2}]\nproviders.a.max_concurrency = 1'
    found, by_name = tiers(settings)
    a, b = by_name["a"], by_name["b"]
    assert next_choice(found, set(), chat(), 0) is a
    assert next_choice(found, {a}, chat(), 0) is b
    assert next_choice(found, {a, b}, chat(), 0) is None
    a.limits[0].take(0, 0)
    assert next_choice(found, set(), chat(), 0) is b
    a.limits[0].give_back(0, 0)
    a.health.rest(0, 10)
    assert next_choice(found, set(), chat(), 0) is b


@pytest.mark.parametrize("stream", [True, False])
def test_one_that_has_been_silent_for_long_is_passed_over_while_another_is_there(stream: bool) -> None:
    found, by_name = tiers('routes.r.deployments = ["a/m", {model = "b/m", order = 2}]')
    a, b = by_name["a"], by_name["b"]
    a.health.proven = True
    a.health.begin(1, 0, stream=stream)
    assert next_choice(found, set(), chat(), 1.9) is a
    assert next_choice(found, set(), chat(), 2.1) is b
    assert next_choice(found, {b}, chat(), 2.1) is a
    a.health.found_well(2.2)  # it lives: its model may think for long
    assert next_choice(found, set(), chat(), 9) is a
    assert next_choice(found, set(), chat(), 11) is b


def test_silence_that_is_usual_is_no_cause_for_doubt() -> None:
    found, by_name = tiers('routes.r.deployments = ["a/m", {model = "b/m", order = 2}]')
    health = by_name["a"].health
    health.proven = True
    health.plain.add(20_000)
    health.first_byte.add(100)
    health.begin(1, 0, stream=False)
    assert next_choice(found, set(), chat(), 60) is by_name["a"]


def test_a_trial_that_nobody_vouches_for_is_left_to_when_there_is_nobody_else() -> None:
    found, by_name = tiers('routes.r.deployments = ["a/m", {model = "b/m", order = 2}]')
    a, b = by_name["a"], by_name["b"]
    a.health.ejected(UpstreamFailed("down", 500), 0)
    assert next_choice(found, set(), chat(), 100) is b
    assert next_choice(found, {b}, chat(), 100) is a
    a.health.found_well(100)
    assert next_choice(found, set(), chat(), 100) is a


def test_a_crowd_may_wait_for_the_first_answer_of_one_that_nobody_knows() -> None:
    found, by_name = tiers('routes.r.deployments = ["a/m", "b/m"]')
    a, b = by_name["a"], by_name["b"]
    assert not is_gamble(a, found, set())
    for key in (1, 2):
        a.health.begin(key, 0, stream=True)
    assert is_gamble(a, found, set())
    assert not is_gamble(a, found, {b})
    a.health.answered(1)
    assert not is_gamble(a, found, set())
