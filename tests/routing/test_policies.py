"""In which order a policy ranks models, by price, measured speed, quality and success."""

from __future__ import annotations

from typing import Any

import pytest

from ghostd.config.providers import ModelConfig, PriceConfig
from ghostd.config.routing import Policy, RoutingConfig
from ghostd.errors import UpstreamFailed
from ghostd.models import ModelInfo
from ghostd.routing.deployment import Deployment
from ghostd.routing.features import Features
from ghostd.routing.health import Health
from ghostd.routing.policies import cost_of, latency_of, quality_of, score
from ghostd.testing.scripted import ScriptedProvider


def model(
    price: float | None = 1.0,
    *,
    quality: float | None = 0.5,
    ms: float | None = 1000.0,
    remote: bool = True,
    failures: int = 0,
    size_bytes: int | None = None,
) -> Deployment:
    health = Health(RoutingConfig(breaker_failures=100))
    if ms is not None:
        health.plain.add(ms)
        health.first_byte.add(ms / 2)
        health.token_ms.add(ms / 1000)
    for _ in range(failures):
        health.failed(UpstreamFailed("out of order", 500), 0)
    info = ModelInfo("m", "p", frozenset(("chat",)), remote=remote, size_bytes=size_bytes)
    own = PriceConfig(input=price, output=price) if price is not None else None
    return Deployment("m", ScriptedProvider(), info, health, settings=ModelConfig(quality=quality), price=own)


def features(**changes: Any) -> Features:
    wanted: dict[str, Any] = {
        "capability": "chat", "complexity": "medium", "prompt_tokens": 1000, "reply_tokens": 500, "needs": (),
        "stream": False, "urgent": False, "thrifty": False, **changes,
    }  # fmt: skip
    return Features(**wanted)


def best(policy: Policy, *models: Deployment, **changes: Any) -> Deployment:
    return max(models, key=lambda deployment: score(policy, deployment, features(**changes)).value)


def test_the_cheapest_is_the_cheapest_and_an_unknown_price_comes_last() -> None:
    cheap, dear, unknown = model(0.1), model(10), model(None)
    assert best("cheapest", dear, unknown, cheap) is cheap
    assert best("cheapest", unknown, model(1000)) is not unknown


def test_the_fastest_is_the_fastest_as_measured() -> None:
    slow, quick = model(ms=5000), model(ms=300)
    assert best("fastest", slow, quick) is quick
    assert best("fastest", slow, quick, stream=True) is quick


def test_quality_is_what_the_configuration_says() -> None:
    good = model(quality=0.9, price=100, ms=9000)
    assert best("quality", model(quality=0.5, price=0), good) is good


def test_local_first_is_this_machine_before_all_others() -> None:
    local = model(0, quality=0.1, ms=60_000, remote=False)
    assert best("local-first", model(0, quality=1.0, ms=10), local) is local


def test_balanced_gives_hard_requests_to_good_models_and_simple_ones_to_cheap_ones() -> None:
    good, cheap = model(20, quality=0.95), model(0.05, quality=0.5)
    assert best("balanced", good, cheap, complexity="complex") is good
    assert best("balanced", good, cheap, complexity="simple") is cheap


def test_who_asks_for_speed_or_a_low_price_gets_it() -> None:
    quick, cheap = model(3, ms=100), model(0.3, ms=3000)
    assert best("balanced", quick, cheap, urgent=True) is quick
    assert best("balanced", quick, cheap, thrifty=True) is cheap


@pytest.mark.parametrize("policy", ["balanced", "cheapest", "fastest", "quality", "local-first"])
def test_who_fails_often_comes_behind_its_equals(policy: Policy) -> None:
    sick, well = model(failures=9), model()
    assert best(policy, sick, well) is well


def test_a_cost_is_prompt_and_reply_by_their_prices() -> None:
    priced = model()
    priced.price = PriceConfig(input=2, output=8)
    assert cost_of(priced, features()) == pytest.approx((1000 * 2 + 500 * 8) / 1e6)
    assert cost_of(model(None), features()) is None


def test_a_streams_time_is_its_first_byte_and_its_tokens() -> None:
    assert latency_of(model(ms=1000), features(stream=True)) == pytest.approx(500 + 500 * 1)
    assert latency_of(model(ms=None), features()) is None


def test_quality_that_nobody_has_configured_is_guessed() -> None:
    assert quality_of(model(10, quality=None)) > quality_of(model(0.1, quality=None))
    assert quality_of(model(None, quality=None)) == 0.5
    large, small = (model(0, quality=None, remote=False, size_bytes=size) for size in (30 * 10**9, 10**9))
    assert quality_of(large) > quality_of(small)
    assert 0 <= quality_of(model(1e6, quality=None)) <= 1
