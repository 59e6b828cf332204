"""From a name to what may answer for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from routing_harness import World, chat, deltas, failing, upstream, whole, world

from ghostd.errors import ModelNotFound, UpstreamFailed
from ghostd.models import ModelInfo
from ghostd.routing import registry as registry_module
from ghostd.routing.listing import list_models
from ghostd.routing.plan import Plan
from ghostd.routing.registry import Registry
from ghostd.testing.scripted import ScriptedProvider, ScriptedUpstreamProvider
from ghostd.types import CompletionRequest, EmbedRequest


def of(settings: str, *endpoints: ScriptedUpstreamProvider, local: Any = ()) -> Registry:
    return World(settings, *endpoints, local=local).engine.registry


def names(plan: Plan) -> list[list[str]]:
    return [[choice.deployment.name for choice in tier] for tier in plan.tiers]


def test_a_route_has_its_deployments_in_order_and_by_weight() -> None:
    settings = """
    [routes.r]
    deployments = [{model = "b/m", order = 2}, "a/m", {model = "c/m", weight = 3}]
    policy = "cheapest"
    """
    plan = of(settings, upstream("a"), upstream("b"), upstream("c")).plan("r")
    assert names(plan) == [["a/m", "c/m"], ["b/m"]]
    assert [choice.weight for choice in plan.tiers[0]] == [1.0, 3.0]
    assert (plan.name, plan.policy, plan.virtual) == ("r", "cheapest", False)


def test_a_model_has_a_deployment_at_each_base_url() -> None:
    ends = [ScriptedUpstreamProvider(name="a", endpoint=f"http://{n}.test") for n in ("one", "two")]
    (tier,) = of("", *ends).plan("a/m").tiers
    assert [(c.deployment.name, c.deployment.endpoint) for c in tier] == [
        ("a/m", "http://one.test"),
        ("a/m", "http://two.test"),
    ]


def test_a_model_of_many_routes_is_looked_for_once() -> None:
    class Counting(ScriptedUpstreamProvider):
        looks = 0

        def models(self) -> Sequence[ModelInfo]:
            self.looks += 1
            return super().models()

    models = [f"m{number}" for number in range(10)]
    deployments = [f"a/{model}" for model in models]
    settings = "".join(f"[routes.r{number}]\ndeployments = {deployments}\n" for number in range(20))
    endpoint = Counting(name="a", models=models)
    registry = of(settings, endpoint)
    assert all(names(registry.plan(f"r{number}")) == [deployments] for number in range(20))
    assert endpoint.looks == len(models)


def test_a_deployment_has_a_name_limits_defaults_and_perhaps_one_base_url_of_its_own() -> None:
    settings = """
    [deployments.mild]
    model = "a/m"
    base_url = "http://two.test/"
    rpm = 5
    temperature = 0.25
    [providers.a.model.m]
    max_tokens = 9
    temperature = 1
    """
    ends = [ScriptedUpstreamProvider(name="a", endpoint=f"http://{n}.test") for n in ("one", "two")]
    ((choice,),) = of(settings, *ends).plan("mild").tiers
    deployment = choice.deployment
    assert (deployment.name, deployment.model, deployment.endpoint) == ("mild", "m", "http://two.test")
    assert (deployment.settings.temperature, deployment.settings.max_tokens) == (0.25, 9)
    assert [limit.rpm for limit in deployment.limits] == [5]


def test_limits_of_a_deployment_are_shared_by_its_base_urls_and_those_of_a_provider_by_its_models() -> None:
    settings = 'deployments.d = {model = "a/m", rpm = 5}\nproviders.a.rpm = 7'
    ends = [ScriptedUpstreamProvider(name="a", endpoint=f"http://{n}.test", models=("m", "n")) for n in ("one", "two")]
    registry = of(settings, *ends)
    one, two = (choice.deployment.limits for choice in registry.plan("d").tiers[0])
    assert one[0] is two[0] and one[1] is not two[1]
    assert registry.plan("a/n").tiers[0][0].deployment.limits == (one[1],)


def test_aliases_lead_to_anything_also_to_aliases() -> None:
    settings = 'aliases = {one = "two", two = "r"}\nroutes.r.deployments = ["a/m"]'
    assert of(settings, upstream("a")).plan("one").name == "r"


def test_an_open_provider_takes_any_name_and_a_closed_one_its_own() -> None:
    registry = of("", upstream("a", open_ended=True), upstream("b"))
    assert names(registry.plan("a/whatever/v2")) == [["a/whatever/v2"]]
    with pytest.raises(ModelNotFound):
        registry.plan("b/whatever")


def test_a_model_is_found_without_its_provider_where_one_lists_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "_TTL_S", -1)
    first, second = upstream("a", models=()), upstream("b", models=("gpt",))
    registry = of("", first, second)
    assert registry.plan("gpt").name == "b/gpt"
    first.listed.append("gpt")
    assert registry.plan("gpt").name == "a/gpt"
    local = ScriptedProvider(model="gpt")
    assert of("", first, local=[local]).plan("gpt").name == "gpt"  # this machine's own comes first


def test_a_route_of_models_that_nobody_offers_now_says_so() -> None:
    registry = of('routes.r.deployments = ["ollama/m", "some-file"]')
    with pytest.raises(ModelNotFound, match="nobody offers now: ollama/m, some-file"):
        registry.plan("r")
    (info,) = [info for info in list_models(registry) if info.id == "r"]
    assert info.state == "failed"


def test_a_route_takes_in_a_local_model_as_soon_as_it_is_there() -> None:
    local = ScriptedProvider(model="tiny")
    world = World('routes.r.deployments = ["a/m", "later"]', upstream("a"), local=[local])
    assert names(world.engine.registry.plan("r")) == [["a/m"]]
    local.model = "later"
    assert names(world.engine.registry.plan("r")) == [["a/m", "later"]]


def test_an_unknown_name_is_told_with_similar_ones_and_never_at_length() -> None:
    registry = of('routes.coder.deployments = ["a/m"]', upstream("a"))
    with pytest.raises(ModelNotFound, match="Known models: coder"):
        registry.plan("codr")
    with pytest.raises(ModelNotFound) as caught:
        registry.plan("x" * 1_000_000)
    assert len(str(caught.value)) < 500


async def test_unknown_names_may_go_the_way_of_auto() -> None:
    settings = 'routing.unknown_model = "fallback"\n'
    async with world(settings, upstream("a", whole("virtual"))) as w:
        assert await w.ask(model="ghostllm-default") == "virtual"
        assert (w.row.model, w.row.route) == ("ghostllm-default", "auto")
    routed = settings + 'routes.auto.deployments = ["b/m"]'
    async with world(routed, upstream("a", whole("virtual")), upstream("b", whole("route"))) as w:
        assert await w.ask(model="ghostllm-default") == "route"


# --- virtual models -----------------------------------------------------------------------------


async def test_auto_takes_whatever_suits_and_a_route_of_that_name_wins_over_it() -> None:
    local = ScriptedProvider(model="tiny", capabilities=frozenset(("embed",)))
    async with world("", upstream("a", whole("a")), local=[local]) as w:
        assert await w.ask(model="auto") == "a"
        assert w.row.reason == "balanced of auto"
        model, _ = await w.engine.embed(EmbedRequest("auto", (("x",),)))
        w.calls += 1
        assert model in ("tiny", "a/m")
    async with world('routes.auto.deployments = ["b/m"]', upstream("a", whole("a")), upstream("b", whole("b"))) as w:
        assert await w.ask(model="auto") == "b"


async def test_local_never_leaves_this_machine() -> None:
    async with world("", upstream("a", whole("a"))) as w:
        with pytest.raises(Exception, match="No model is there"):
            await w.ask(model="local")
    async with world("", upstream("a", whole("a")), local=[ScriptedProvider(model="tiny")]) as w:
        assert await w.ask(model="local") == "hello world"


async def test_smart_is_the_best_and_code_prefers_a_model_for_code() -> None:
    settings = """
    [providers.a.model.m]
    quality = 0.9
    [providers.b.model.coder]
    quality = 0.8
    """
    b = ScriptedUpstreamProvider(whole("b"), name="b", endpoint="http://b.test", models=("coder",))
    async with world(settings, upstream("a", whole("a")), b) as w:
        assert [await w.ask(model=name) for name in ("smart", "code")] == ["a", "b"]


async def test_a_local_file_that_has_not_been_read_yet_comes_last(tmp_path: Any) -> None:
    class Files(ScriptedProvider):
        size: int | None = None

        def models(self) -> tuple[ModelInfo, ...]:
            return tuple(replace(i, path=tmp_path, size_bytes=self.size) for i in ScriptedProvider.models(self))

    unread, read = Files(["unread"], name="x", model="unread"), Files(["read"], name="y", model="read")
    read.size = 1
    async with world("", local=[unread, read]) as w:
        assert await w.ask(model="auto") == "read"
        assert await w.ask(model="unread") == "unread"


# --- what is listed ----------------------------------------------------------------------------------


def test_every_name_that_can_be_asked_for_is_listed_once() -> None:
    settings = 'routes.r.deployments = ["a/m"]\naliases.nick = "r"\ndeployments.d.model = "a/m"'
    registry = of(settings, upstream("a"), local=[ScriptedProvider(model="tiny")])
    listed = [info.id for info in list_models(registry)]
    assert sorted(listed) == sorted(["tiny", "a/m", "r", "d", "nick", "auto", "fast", "smart", "code", "local"])


def test_what_is_listed_is_as_it_is_now() -> None:
    local = ScriptedProvider(model="tiny")
    registry = of("", local=[local])
    registry.everything()
    local.capabilities = frozenset(("chat",))
    (info,) = [info for info in list_models(registry) if info.id == "tiny"]
    assert info.capabilities == {"chat"}


def test_hundreds_of_models_cost_little() -> None:
    """Measured in work, not in time: a second look at a plan asks no provider anything."""
    many = upstream("a", models=[f"m{n}" for n in range(500)], open_ended=True)
    registry = of('routes.r.deployments = ["a/m7"]', many)
    plan = registry.plan("r")
    many.listed = []
    assert registry.plan("r") is plan
    assert registry.plan("a/m8") is registry.plan("a/m8")


def test_names_that_only_requests_have_made_up_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "_MANY", 50)
    world = World('routes.r.deployments = ["a/m"]', upstream("a", open_ended=True))
    registry = world.engine.registry
    route = registry.plan("r").tiers[0][0].deployment
    busy = registry.plan("a/busy").tiers[0][0].deployment
    busy.health.begin(1, 0, stream=True)
    for number in range(1000):
        registry.plan(f"a/x{number}")
    assert len(registry.used()) <= 110
    assert len(registry._plans) <= 110
    assert route in registry.used() and busy in registry.used()


# --- reload --------------------------------------------------------------------------------------------


async def test_a_new_configuration_keeps_what_has_not_changed() -> None:
    settings = 'routes.r.deployments = ["a/m"]\nrouting = {retry_budget = 0, breaker_failures = 1, rest_s = 50}\n'
    async with world(settings, upstream("a", *failing())) as w:
        with pytest.raises(UpstreamFailed):
            await w.ask()
        before = w.deployment("a/m")
        w.reload(settings + 'aliases.nick = "r"')
        w.reload(settings + 'aliases.nick = "a/m"')  # also when nobody has asked in between
        after = w.deployment("a/m")
        assert after is not before and after.health is before.health
        assert after.health.rests_until is not None


async def test_a_request_under_way_is_counted_through_a_reload() -> None:
    settings = 'routes.r.deployments = ["a/m"]\nproviders.a.max_concurrency = %d\n'
    async with world(settings % 1, upstream("a", deltas("x", "y"), relays=())) as w:
        w.calls += 1
        items = w.engine.serve(chat(stream=True))
        await anext(items)
        w.reload(settings % 2)
        deployment = w.engine.registry.plan("r").tiers[0][0].deployment
        (limit,) = deployment.limits
        assert (deployment.health.in_flight, limit.in_flight, limit.max_concurrency) == (1, 1, 2)
        await items.aclose()
        assert (deployment.health.in_flight, limit.in_flight) == (0, 0)


async def test_what_is_no_longer_configured_is_forgotten() -> None:
    async with world('routes.r.deployments = ["a/m"]', upstream("a", whole())) as w:
        await w.ask()
        w.endpoints = ()
        w.reload("")
        assert w.engine.registry.used() == ()
        with pytest.raises(ModelNotFound):
            await w.ask()


def test_making_the_tables_asks_nothing_of_any_provider() -> None:
    class Silent(ScriptedUpstreamProvider):
        def models(self) -> Any:
            raise AssertionError("asked")

        def model(self, name: str) -> Any:
            raise AssertionError("asked")

    of('routes.r.deployments = ["a/m"]', Silent(name="a", endpoint="http://a.test"))


async def test_of_hundreds_of_models_the_best_that_can_do_it_is_asked() -> None:
    qualities = "\n".join(f'[providers.a.model."m{n}"]\nquality = {n / 1000}' for n in range(300))
    blind = ModelInfo(
        "", "b", frozenset(("chat",)), features=frozenset(), relays=frozenset(("openai.chat",)), remote=True
    )
    good = upstream("a", whole("good"), models=[f"m{n}" for n in range(300)])
    better = upstream("b", whole("better"), models=[f"m{n}" for n in range(300)], info=blind)
    best = "\n".join(f'[providers.b.model."m{n}"]\nquality = {0.5 + n / 1000}' for n in range(300))
    async with world(f"{qualities}\n{best}", good, better) as w:
        assert await w.ask(model="smart") == "better"
        assert w.row.deployment == "b/m299"
        assert await w.ask(model="smart", features=frozenset(("vision",))) == "good"
        assert w.row.deployment == "a/m299"
        for number in range(280, 300):
            w.deployment(f"b/m{number}").health.rest(asyncio.get_running_loop().time(), 100)
        assert await w.ask(model="smart") == "better"
        assert w.row.deployment == "b/m279"


async def test_auto_prefers_a_model_that_continues_text_to_one_that_only_fills() -> None:
    filler = ScriptedProvider(["filled"], name="x", model="filler", capabilities=frozenset(("fill",)))
    writer = ScriptedProvider(["written"], name="y", model="writer", capabilities=frozenset(("complete",)))
    async with world("", local=[filler, writer]) as w:
        text = [delta.text async for delta in w.engine.complete(CompletionRequest("auto", ("once",)))]
        w.calls += 1
        assert "".join(text) == "written"
