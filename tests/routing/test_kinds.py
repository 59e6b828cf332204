"""A service that is out of order for one kind of calls is well for the others; what all share rests them all."""

from __future__ import annotations

import asyncio
import json

import pytest
from routing_harness import chat, failing, hanging, stream, upstream, whole, world

from ghostd.config.routing import RoutingConfig
from ghostd.errors import (
    GhostdError,
    KeyRefused,
    ModelUnavailable,
    RateLimited,
    UpstreamFailed,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from ghostd.routing.call import Call
from ghostd.routing.explain import deployment_report, explain
from ghostd.routing.health import Health

SETTINGS = 'routes.r.deployments = ["a/m"]\n[routing]\nbreaker_failures = 1\nmax_attempts = 1\nrest_s = 10\n'
EMBED, CHAT = "openai.embeddings", "openai.chat"
FAILED = UpstreamFailed("out of order", 500)


def embed() -> Call:
    body = json.dumps({"model": "r", "input": "hi"}).encode()
    fields = {"model": b'"r"', "input": b'"hi"'}
    return Call(EMBED, "r", "embed", tuple, body=body, fields=fields, prompt_tokens=1)


def call(kind: str) -> Call:
    return embed() if kind == EMBED else chat()


@pytest.mark.parametrize("broken", [EMBED, CHAT])
@pytest.mark.parametrize("first", [EMBED, CHAT])
@pytest.mark.parametrize("error", [FAILED, UpstreamMalformed("HTML")], ids=lambda error: type(error).__name__)
async def test_the_other_kind_goes_on(broken: str, first: str, error: GhostdError) -> None:
    well = CHAT if broken == EMBED else EMBED
    a = upstream("a", *([whole()] * 2), [error], *([whole()] * 3))
    async with world(SETTINGS, a) as w:
        await w.ask(call(first))
        await w.ask(call(EMBED if first == CHAT else CHAT))
        with pytest.raises(type(error)):
            await w.ask(call(broken))
        with pytest.raises(ModelUnavailable):
            await w.ask(call(broken))
        for _ in range(3):
            assert await w.ask(call(well)) == "good"
        with pytest.raises(ModelUnavailable) as caught:
            await w.ask(call(broken))
        assert caught.value.retry_after_s is not None and 8 < caught.value.retry_after_s <= 11
        assert str(error) in str(caught.value)
        assert len(a.asked) == 6


async def test_a_kind_that_was_never_asked_before_is_asked_though_another_one_rests() -> None:
    async with world(SETTINGS, upstream("a", *failing(), whole())) as w:
        with pytest.raises(UpstreamFailed):
            await w.ask(embed())
        assert await w.ask() == "good"
        with pytest.raises(ModelUnavailable):
            await w.ask(embed())


async def test_a_kind_s_rest_ends_with_a_trial_of_that_kind() -> None:
    a = upstream("a", whole(), *failing(), whole(), *failing(), whole("embedded"), whole("again"))
    async with world(SETTINGS, a) as w:
        await w.ask()
        with pytest.raises(UpstreamFailed):
            await w.ask(embed())
        await asyncio.sleep(12)
        assert await w.ask() == "good"
        with pytest.raises(UpstreamFailed):
            await w.ask(embed())
        with pytest.raises(ModelUnavailable):
            await w.ask(embed())
        await asyncio.sleep(12)
        with pytest.raises(ModelUnavailable):  # its rest has doubled
            await w.ask(embed())
        await asyncio.sleep(12)
        assert await w.ask(embed()) == "embedded"
        assert await w.ask(embed()) == "again"


@pytest.mark.parametrize(
    "error",
    [
        UpstreamTimeout("silence", "first byte"),
        UpstreamUnreachable("refused"),
        RateLimited("slow down", retry_after_s=30.0),
        KeyRefused("no"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("asked", [EMBED, CHAT])
async def test_what_all_kinds_share_rests_them_all(error: GhostdError, asked: str) -> None:
    async with world(SETTINGS, upstream("a", whole(), whole(), [error], whole())) as w:
        await w.ask()
        await w.ask(embed())
        with pytest.raises(type(error)):
            await w.ask(call(asked))
        for kind in (CHAT, EMBED):
            with pytest.raises((ModelUnavailable, type(error))):
                await w.ask(call(kind))
        await asyncio.sleep(61)
        assert await w.ask(call(asked)) == "good"
        assert await w.ask(call(CHAT if asked == EMBED else EMBED)) == "good"


async def test_one_request_of_a_kind_at_a_time_is_its_trial() -> None:
    a = upstream("a", whole(), *failing(), hanging(), whole())
    async with world(SETTINGS, a) as w:
        await w.ask()
        with pytest.raises(UpstreamFailed):
            await w.ask(embed())
        await asyncio.sleep(12)
        trial = asyncio.create_task(w.ask(embed()))
        while len(a.asked) < 3:
            await asyncio.sleep(0)
        with pytest.raises(ModelUnavailable):
            await w.ask(embed())
        assert await w.ask() == "good"
        trial.cancel()
        await asyncio.gather(trial, return_exceptions=True)


async def test_an_anthropic_conversation_that_is_translated_counts_with_openai_s() -> None:
    """It is asked as a chat there; a stream that fails for one client fails for the other."""
    async with world(SETTINGS, upstream("a", *failing(), stream())) as w:
        with pytest.raises(UpstreamFailed):
            await w.ask()
        translated = chat()
        translated.operation = "anthropic.messages"
        with pytest.raises(ModelUnavailable):
            await w.ask(translated)


async def test_reports_show_each_kind() -> None:
    async with world(SETTINGS, upstream("a", whole(), *failing())) as w:
        await w.ask()
        now = asyncio.get_running_loop().time()
        deployment = w.deployment("a/m")
        assert deployment_report(deployment, now).kinds == ()
        with pytest.raises(UpstreamFailed):
            await w.ask(embed())
        report = deployment_report(deployment, now)
        assert (report.state, report.rests_for_s, report.last_error) == ("closed", None, "")
        chats, embeds = report.kinds
        assert (chats.kind, chats.state, chats.rests_for_s) == ("chat", "closed", None)
        assert (embeds.kind, embeds.state, embeds.last_error) == ("embed", "open", "out of order")
        assert embeds.rests_for_s is not None and embeds.rests_for_s > 8
        (candidate,) = explain(w.engine.registry, embed(), now).candidates
        assert "rests for" in candidate.problem and "out of order" in candidate.problem
        (candidate,) = explain(w.engine.registry, chat(), now).candidates
        assert candidate.problem == ""


def test_a_success_of_another_kind_ends_no_row_of_failures() -> None:
    h = Health(RoutingConfig(breaker_failures=3, rest_s=10))
    for now in (1, 2, 3):
        assert h.admits(now, "chat")
        h.begin(now, now, stream=False, kind="chat")
        h.failed(FAILED, now, kind="chat")
        h.end(now)
        h.begin(10 + now, now, stream=False, kind="embed")
        h.answered(10 + now)
        h.succeeded(now, "embed")
        h.end(10 + now)
    assert not h.admits(3, "chat") and h.admits(3, "embed")
    assert h.keeper("embed").rests_until is None and h.keeper("chat").rests_until is not None


def test_a_success_of_another_kind_ends_a_rest_that_all_had_to_take() -> None:
    h = Health(RoutingConfig(breaker_failures=1, rest_s=10))
    h.begin(1, 0, stream=False, kind="chat")
    h.failed(UpstreamUnreachable("refused"), 0, kind="chat")
    h.end(1)
    assert not h.admits(5, "embed")
    h.begin(2, 12, stream=False, kind="embed")
    assert not h.admits(12, "chat"), "one trial for all"
    h.answered(2)
    h.succeeded(12, "embed")
    h.end(2)
    assert h.well and h.admits(12, "chat")


def test_other_settings_hold_for_every_kind() -> None:
    h = Health(RoutingConfig(breaker_failures=1, rest_s=10))
    for key, kind in enumerate(("chat", "embed")):
        h.begin(key, 0, stream=False, kind=kind)
        h.end(key)
    h.configure(RoutingConfig(breaker_failures=2, rest_s=10))
    h.failed(FAILED, 1, kind="embed")
    assert h.admits(1, "embed")
    h.failed(FAILED, 1, kind="embed")
    assert not h.admits(1, "embed")
