"""One loop from a call to its answer: failover, retries, fallbacks, races, signs of life, and one row for each call."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from routing_harness import USAGE, World, chat, deltas, failing, hanging, stream, upstream, whole, world

from ghostd.asked import asked
from ghostd.errors import (
    ContextTooLong,
    GhostdError,
    InvalidRequest,
    KeyRefused,
    ModelNotFound,
    ModelUnavailable,
    NoCandidate,
    Overloaded,
    RateLimited,
    RouteExhausted,
    UnsupportedParameter,
    UpstreamFailed,
    UpstreamMalformed,
    UpstreamModelMissing,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
    WorkerCrashed,
)
from ghostd.models import ModelInfo
from ghostd.routing.attempt import Attempt
from ghostd.routing.call import Call, Job
from ghostd.testing.scripted import ScriptedProvider, ScriptedUpstreamProvider, Step
from ghostd.types import Delta, Embeddings, EmbedRequest, Relayed, RelayRequest, Usage

IN_ORDER = """
[routes.r]
deployments = ["a/m", {model = "b/m", order = 2}]
"""
ONE = """
[routes.r]
deployments = ["a/m"]
"""

RETRYABLE = [
    UpstreamUnreachable("refused"),
    UpstreamTimeout("silence", "first byte"),
    UpstreamMalformed("HTML"),
    UpstreamFailed("out of order", 503),
    UpstreamModelMissing("no such model"),
    RateLimited("too many", retry_after_s=60.0),
    KeyRefused("wrong key"),
]


# --- failover -------------------------------------------------------------------


@pytest.mark.parametrize("error", RETRYABLE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("streamed", [True, False])
async def test_the_next_deployment_answers_when_the_first_one_fails_before_its_first_byte(
    error: GhostdError, streamed: bool
) -> None:
    good = stream() if streamed else whole()
    async with world(IN_ORDER, upstream("a", [error]), upstream("b", good)) as w:
        assert await w.ask(stream=streamed) == "good"
        row = w.row
        assert (row.status, row.deployment, row.provider, row.attempts, row.http_status) == ("ok", "b/m", "b", 2, 200)
        assert row.reason == f"ordered of r, after a/m ({type(error).__name__})"
        assert (row.prompt_tokens, row.completion_tokens) == (10, 4)


async def test_after_the_first_byte_of_a_stream_nobody_else_is_asked() -> None:
    broken = [*stream("half")[:1], UpstreamUnreachable("reset")]
    async with world(IN_ORDER, upstream("a", broken), b := upstream("b", stream())) as w:
        items = w.engine.serve(call := chat(stream=True))
        w.calls += 1
        first = await anext(items)
        assert isinstance(first, Relayed) and first.data == b"data: half\n\n"
        with pytest.raises(UpstreamUnreachable):
            await anext(items)
        assert not b.asked
        assert (w.row.id, w.row.status, w.row.error, w.row.http_status) == (
            call.id,
            "partial",
            "UpstreamUnreachable",
            502,
        )
        assert w.row.first_byte_ms is not None


async def test_a_reply_that_is_not_streamed_fails_over_until_its_end() -> None:
    """Nothing of it has reached the caller before."""
    broken: list[Step] = [Delta("half"), UpstreamUnreachable("reset")]
    async with world(IN_ORDER, upstream("a", broken, relays=()), upstream("b", deltas(), relays=())) as w:
        assert await w.ask() == "good"
        assert (w.row.status, w.row.deployment) == ("ok", "b/m")


async def test_a_stream_that_stops_without_its_end_is_broken() -> None:
    async with world(ONE, upstream("a", stream("half")[:1])) as w:
        with pytest.raises(UpstreamMalformed, match="broke off"):
            await w.ask(stream=True)
        assert (w.row.status, w.row.error) == ("partial", "UpstreamMalformed")


async def test_a_mistake_in_an_adapter_is_no_reason_not_to_ask_another(caplog: pytest.LogCaptureFixture) -> None:
    class Mistaken(ScriptedUpstreamProvider):
        def relay(self, request: RelayRequest) -> AsyncGenerator[Relayed, None]:
            return fail()

    async def fail() -> AsyncGenerator[Relayed, None]:
        asked.set(True)  # as whatever sends a request does
        body: dict[str, bytes] = {}
        yield Relayed(body["choices"])

    broken = Mistaken([], name="a")
    async with world(IN_ORDER, broken, upstream("b", whole())) as w:
        assert await w.ask() == "good"
        assert "a/m: reading a reply failed" in caplog.text


async def test_what_the_caller_must_mend_is_believed_when_two_deployments_say_so() -> None:
    no = UpstreamRejected("temperature too high", 400, param="temperature")
    three = 'routes.r.deployments = ["a/m", {model = "b/m", order = 2}, {model = "c/m", order = 3}]'
    async with world(three, upstream("a", [no]), b := upstream("b", [no]), c := upstream("c", whole())) as w:
        with pytest.raises(UpstreamRejected) as caught:
            await w.ask()
        assert caught.value.param == "temperature"
        assert (len(b.asked), len(c.asked)) == (1, 0)
        assert (w.row.status, w.row.http_status) == ("refused", 400)
        assert w.deployment("a/m").health.state(0) == "closed"


async def test_a_deployment_that_cannot_honour_a_parameter_is_passed_over() -> None:
    no = UnsupportedParameter("no logprobs here", "logprobs")
    async with world(IN_ORDER, upstream("a", [no], relays=()), upstream("b", whole())) as w:
        assert await w.ask() == "good"
    async with world(ONE, upstream("a", [no], relays=())) as w:
        with pytest.raises(UnsupportedParameter):
            await w.ask()
        assert (w.row.status, w.row.http_status) == ("refused", 400)


async def test_when_all_have_failed_the_error_names_each_of_them() -> None:
    async with world(IN_ORDER, upstream("a", *failing()), upstream("b", [UpstreamTimeout("slow", "first byte")])) as w:
        w.reload(IN_ORDER + "[routing]\nretry_budget = 0")
        with pytest.raises(RouteExhausted, match=r"a/m: out of order; b/m: slow"):
            await w.ask()
        assert (w.row.status, w.row.error, w.row.http_status) == ("error", "RouteExhausted", 502)
        assert w.row.reason == "nobody answered, after a/m (UpstreamFailed), after b/m (UpstreamTimeout)"


async def test_the_only_deployment_tells_its_own_error() -> None:
    async with world(ONE, upstream("a", [UpstreamTimeout("slow", "first byte")])) as w:
        with pytest.raises(UpstreamTimeout):
            await w.ask()
        assert w.row.http_status == 504


# --- the ledger ---------------------------------------------------------------------


async def test_the_row_is_written_before_the_last_item_is_given_out() -> None:
    async with world(ONE, upstream("a", stream("one", "two"))) as w:
        w.calls += 1
        async with aclosing(w.engine.serve(chat(stream=True))) as items:
            async for item in items:
                assert isinstance(item, Relayed)
                assert len(w.ledger.rows) == item.last
        assert w.row.cost_usd is None  # nobody knows its price


async def test_a_caller_that_leaves_ends_the_work_and_has_a_row() -> None:
    a = upstream("a", [*stream("half")[:1], asyncio.Event()])
    async with world(ONE + "[providers.a]\nmax_concurrency = 3", a) as w:
        w.calls += 1
        items = w.engine.serve(chat(stream=True))
        await anext(items)
        await items.aclose()
        assert a.closed == 1
        assert (w.row.status, w.row.http_status, w.row.error) == ("cancelled", 499, "")
        assert w.deployment("a/m").health.state(0) == "closed"


async def test_a_caller_that_leaves_before_the_first_byte_ends_the_work_and_has_a_row() -> None:
    async with world(ONE + "[providers.a]\nmax_concurrency = 3", a := upstream("a", hanging())) as w:
        task = asyncio.create_task(w.ask())
        await a.until_asked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert a.closed == 1
        assert (w.row.status, w.row.http_status) == ("cancelled", 499)


async def test_a_cancelled_request_gives_back_its_text_at_once() -> None:
    """And not at the next garbage collection: it may be of many megabytes."""
    async with world(ONE, a := upstream("a", hanging())) as w:
        gc.collect()
        others = [one for one in gc.get_objects() if isinstance(one, Attempt)]
        gc.disable()
        try:
            task = asyncio.create_task(w.ask())
            await a.until_asked()
            task.cancel()
            await asyncio.wait([task])
            del task
            await asyncio.sleep(0)
            assert [one for one in gc.get_objects() if isinstance(one, Attempt)] == others
        finally:
            gc.enable()


async def test_a_caller_that_leaves_after_the_last_item_has_had_it_all() -> None:
    async with world(ONE, upstream("a", whole())) as w:
        w.calls += 1
        items = w.engine.serve(chat())
        await anext(items)
        await items.aclose()
        assert w.row.status == "ok"


async def test_an_unknown_model_is_refused_with_what_may_have_been_meant() -> None:
    async with world('aliases.fastest-one = "a/m"', upstream("a", whole())) as w:
        with pytest.raises(ModelNotFound, match="Known models: fastest-one"):
            await w.ask(model="fastest-on")
        assert (w.row.status, w.row.http_status, w.row.route, w.row.model) == ("refused", 404, "", "fastest-on")


async def test_a_request_that_cannot_be_decoded_for_a_translating_deployment_is_refused() -> None:
    def wrong() -> tuple[()]:
        raise InvalidRequest("Invalid value for 'n'.", "n")

    async with world(ONE, a := upstream("a", deltas(), relays=())) as w:
        call = chat()
        call.decode = wrong
        with pytest.raises(InvalidRequest):
            await w.ask(call)
        assert (w.row.status, w.row.http_status, w.row.route, len(a.asked)) == ("refused", 400, "r", 0)


async def test_a_mistake_of_ghostds_own_has_a_row() -> None:
    def wrong() -> tuple[()]:
        raise ZeroDivisionError

    async with world(ONE, upstream("a", deltas(), relays=())) as w:
        call = chat()
        call.decode = wrong
        with pytest.raises(ZeroDivisionError):
            await w.ask(call)
        assert (w.row.status, w.row.http_status, w.row.error) == ("error", 500, "ZeroDivisionError")


async def test_a_failed_call_lets_its_body_go_at_once() -> None:
    class Fields(dict[str, bytes]):
        """That can be watched."""

    async with world(
        IN_ORDER + "[routing]\nretry_budget = 0", upstream("a", *failing()), upstream("b", *failing())
    ) as w:
        call = chat()
        call.fields = fields = Fields(call.fields)
        watched = weakref.ref(fields)
        del fields
        gc.disable()
        try:
            with pytest.raises(RouteExhausted):
                await w.ask(call)
            for endpoint in w.endpoints:
                endpoint.asked.clear()
            assert watched() is None
        finally:
            gc.enable()


async def test_what_a_call_cost_is_in_its_row() -> None:
    priced = ONE + "[providers.a.model.m.price]\ninput = 2\noutput = 10"
    async with world(priced, upstream("a", whole(), stream())) as w:
        await w.ask()
        assert w.row.cost_usd == pytest.approx((10 * 2 + 4 * 10) / 1e6)
        await w.ask(stream=True)
        assert w.row.cost_usd == pytest.approx((10 * 2 + 4 * 10) / 1e6)


# --- repeats -------------------------------------------------------------------------


async def test_the_only_deployment_is_asked_again_after_a_pause() -> None:
    async with world(ONE, a := upstream("a", *failing(2), whole())) as w:
        assert await w.ask() == "good"
        assert (len(a.asked), w.row.attempts) == (3, 3)


async def test_a_time_out_is_not_repeated() -> None:
    async with world(ONE, a := upstream("a", [UpstreamTimeout("slow", "first byte")])) as w:
        with pytest.raises(UpstreamTimeout):
            await w.ask()
        assert len(a.asked) == 1


async def test_a_short_retry_after_is_waited_for_and_never_undercut() -> None:
    async with world(ONE, a := upstream("a", [RateLimited("slow down", retry_after_s=3.0)], whole())) as w:
        began = asyncio.get_running_loop().time()
        assert await w.ask() == "good"
        assert asyncio.get_running_loop().time() - began >= 3.0
        assert len(a.asked) == 2


async def test_a_long_retry_after_goes_to_the_caller() -> None:
    async with world(ONE, a := upstream("a", [RateLimited("slow down", retry_after_s=60.0)])) as w:
        with pytest.raises(RateLimited) as caught:
            await w.ask()
        assert caught.value.retry_after_s == 60.0
        with pytest.raises(RateLimited, match="slow down") as caught:
            await w.ask()
        assert caught.value.retry_after_s == pytest.approx(60.0)
        assert len(a.asked) == 1


async def test_an_absurd_retry_after_does_not_put_a_deployment_away_for_good() -> None:
    settings = ONE + "[routing]\nmax_rest_s = 100"
    async with world(settings, a := upstream("a", [RateLimited("slow down", retry_after_s=1e9)], whole())) as w:
        with pytest.raises(RateLimited):
            await w.ask()
        await asyncio.sleep(101)
        assert await w.ask() == "good"
        assert len(a.asked) == 2


async def test_repeats_are_a_share_of_the_requests() -> None:
    settings = ONE + "[routing]\nretry_budget = 0.1\nbreaker_failures = 10000\nbreaker_rate = 1\nbreaker_window = 10000"
    async with world(settings, a := upstream("a", *failing())) as w:
        for _ in range(100):
            with pytest.raises(UpstreamFailed):
                await w.ask()
        assert 100 + 15 <= len(a.asked) <= 100 + 20  # a tenth, and a reserve of ten


async def test_without_a_budget_nothing_is_repeated() -> None:
    async with world(ONE + "[routing]\nretry_budget = 0", a := upstream("a", *failing())) as w:
        with pytest.raises(UpstreamFailed):
            await w.ask()
        assert len(a.asked) == 1


async def test_no_request_makes_more_attempts_than_are_allowed() -> None:
    settings = ONE + "[routing]\nmax_attempts = 2\nbreaker_failures = 100"
    async with world(settings, a := upstream("a", *failing())) as w:
        with pytest.raises(UpstreamFailed):
            await w.ask()
        assert len(a.asked) == 2


async def test_what_would_fail_again_is_left_out_of_a_repeat() -> None:
    no = UnsupportedParameter("no logprobs here", "logprobs")
    async with world(IN_ORDER, a := upstream("a", [no], relays=()), b := upstream("b", *failing(), whole())) as w:
        assert await w.ask() == "good"
        assert (len(a.asked), len(b.asked)) == (1, 2)


# --- rests ----------------------------------------------------------------------------


async def test_a_resting_deployment_is_not_asked_and_then_tried_by_one_request() -> None:
    settings = IN_ORDER + "[routing]\nrest_s = 10\nbreaker_failures = 1"
    gate = asyncio.Event()
    a = upstream("a", *failing(), [gate, *whole("back")], whole("back"))
    async with world(settings, a, b := upstream("b", whole())) as w:
        assert await w.ask() == "good"
        assert await w.ask() == "good"
        assert len(a.asked) == 1
        await asyncio.sleep(11)
        w.deployment("a/m").health.found_well(asyncio.get_running_loop().time())
        trial = asyncio.create_task(w.ask())
        await a.until_asked(2)
        assert await w.ask() == "good"  # one is on trial: the others go elsewhere
        gate.set()
        assert await trial == "back"
        assert await w.ask() == "back"
        assert len(b.asked) == 3


async def test_a_request_that_everybody_else_has_failed_tries_a_resting_deployment() -> None:
    settings = IN_ORDER + "[routing]\nrest_s = 100\nbreaker_failures = 1\nretry_budget = 0"
    b = upstream("b", *failing(1), whole("back"))
    async with world(settings, a := upstream("a", *failing(1), whole(), *failing(1)), b) as w:
        with pytest.raises(RouteExhausted):
            await w.ask()
        w.deployment("a/m").health.found_well(asyncio.get_running_loop().time())
        assert await w.ask() == "good"
        assert await w.ask() == "back"
        assert (len(a.asked), len(b.asked)) == (3, 2)


async def test_a_deployment_that_hung_or_asked_for_its_rest_is_left_alone_even_then() -> None:
    settings = IN_ORDER + "[routing]\nrest_s = 100\nbreaker_failures = 1\nretry_budget = 0"
    for error in (UpstreamTimeout("silence", "first byte"), RateLimited("too many", retry_after_s=60.0)):
        async with world(settings, upstream("a", *failing(1), *failing(1)), b := upstream("b", [error], whole())) as w:
            with pytest.raises(RouteExhausted):
                await w.ask()
            w.deployment("a/m").health.found_well(asyncio.get_running_loop().time())
            with pytest.raises(GhostdError):
                await w.ask()
            assert len(b.asked) == 1


async def test_while_all_rest_the_caller_is_told_for_how_long() -> None:
    settings = IN_ORDER + "[routing]\nrest_s = 10\nbreaker_failures = 1\nretry_budget = 0"
    async with world(settings, a := upstream("a", *failing()), upstream("b", *failing())) as w:
        with pytest.raises(RouteExhausted):
            await w.ask()
        with pytest.raises(ModelUnavailable, match="out of order") as caught:
            await w.ask()
        assert caught.value.retry_after_s == pytest.approx(10, abs=1.5)
        assert len(a.asked) == 1
        assert (w.row.status, w.row.http_status, w.row.attempts) == ("error", 503, 0)


@pytest.mark.parametrize("error", [UpstreamModelMissing("no such model"), KeyRefused("wrong key")], ids=["404", "401"])
async def test_while_the_only_one_rests_its_callers_get_the_same_error(error: GhostdError) -> None:
    async with world(ONE, a := upstream("a", [error])) as w:
        for _ in range(2):
            with pytest.raises(type(error), match=str(error)):
                await w.ask()
        assert len(a.asked) == 1


async def test_a_full_queue_is_no_illness() -> None:
    busy = ScriptedProvider(model="tiny", error=Overloaded("32 requests wait", 1.0))
    async with world("[routing]\nretry_budget = 0", local=[busy]) as w:
        with pytest.raises(Overloaded):
            await w.ask(model="tiny")
        busy.error = None
        assert await w.ask(model="tiny") == "hello world"


# --- fallbacks ---------------------------------------------------------------------------

FALLBACK = 'routes.r = {deployments = ["a/m"], fallbacks = ["b/m"], fallback_on = %s}'


@pytest.mark.parametrize(
    ("error", "on"),
    [
        (UpstreamTimeout("slow", "first byte"), "error"),
        (UpstreamRejected("too long", 400, reason="context"), "context"),
        (UpstreamRejected("not this", 400, reason="content_filter"), "content_filter"),
    ],
    ids=["error", "context", "content_filter"],
)
async def test_a_fallback_answers_what_the_route_cannot_if_the_route_says_so(error: GhostdError, on: str) -> None:
    async with world(FALLBACK % f'["{on}"]', upstream("a", [error]), upstream("b", whole())) as w:
        assert await w.ask() == "good"
        assert (w.row.route, w.row.deployment) == ("r", "b/m")
        assert w.row.reason.startswith("fell back from r (")
    others = [reason for reason in ("error", "context", "content_filter") if reason != on]
    async with world(FALLBACK % others, upstream("a", [error]), b := upstream("b", whole())) as w:
        with pytest.raises(type(error)):
            await w.ask()
        assert not b.asked


async def test_a_prompt_too_long_for_the_route_goes_to_its_fallback() -> None:
    settings = FALLBACK % '["context"]' + "\n[providers.a]"
    short = ModelInfo(
        "", "a", frozenset(("chat",)), context_tokens=100, relays=frozenset(("openai.chat",)), remote=True
    )
    async with world(settings, a := upstream("a", whole(), info=short), upstream("b", whole())) as w:
        assert await w.ask(prompt_tokens=1000) == "good"
        assert not a.asked
    async with world(ONE, upstream("a", whole(), info=short)) as w:
        with pytest.raises(ContextTooLong):
            await w.ask(prompt_tokens=1000)


async def test_a_fallback_that_is_a_route_brings_its_own_fallbacks() -> None:
    settings = """
    routes.r = {deployments = ["a/m"], fallbacks = ["second"]}
    routes.second = {deployments = ["b/m"], fallbacks = ["c/m"]}
    routing.retry_budget = 0
    """
    async with world(settings, upstream("a", *failing()), upstream("b", *failing()), upstream("c", whole())) as w:
        assert await w.ask() == "good"
        assert w.row.attempts == 3


async def test_the_local_model_is_the_last_resort() -> None:
    settings = 'routes.r = {deployments = ["a/m"], local_last_resort = true}\nrouting.retry_budget = 0'
    async with world(settings, upstream("a", *failing()), local=[ScriptedProvider(model="tiny")]) as w:
        assert await w.ask() == "hello world"
        assert (w.row.deployment, w.row.cost_usd) == ("tiny", 0.0)


async def test_a_last_resort_that_cannot_help_does_not_hide_the_failure() -> None:
    settings = 'routes.r = {deployments = ["a/m"], local_last_resort = true}\nrouting.retry_budget = 0'
    async with world(settings, upstream("a", *failing())) as w:
        with pytest.raises(UpstreamFailed):
            await w.ask()
    blind = ScriptedProvider(model="tiny", capabilities=frozenset(("embed",)))
    async with world(settings, upstream("a", *failing()), local=[blind]) as w:
        with pytest.raises(UpstreamFailed):
            await w.ask()


# --- limits ---------------------------------------------------------------------------------


async def test_a_request_waits_shortly_for_its_turn() -> None:
    gate = asyncio.Event()
    a = upstream("a", [gate, *whole("first")], whole("second"))
    async with world(ONE + "[providers.a]\nmax_concurrency = 1", a) as w:
        first, second = asyncio.create_task(w.ask()), asyncio.create_task(w.ask())
        await a.until_asked()
        await asyncio.sleep(1.5)
        assert len(a.asked) == 1
        gate.set()
        assert (await first, await second) == ("first", "second")


async def test_a_request_waits_shortly_for_tokens() -> None:
    async with world(ONE + "[providers.a]\ntpm = 100", upstream("a", whole())) as w:
        await w.ask(prompt_tokens=90)  # 14 in the end
        began = asyncio.get_running_loop().time()
        await w.ask(prompt_tokens=90)
        assert asyncio.get_running_loop().time() - began == pytest.approx(4 * 60 / 100)


async def test_a_request_that_would_wait_for_long_is_refused_with_the_time() -> None:
    a = upstream("a", hanging(), whole())
    async with world(ONE + "[providers.a]\nmax_concurrency = 1", a) as w:
        task = asyncio.create_task(w.ask())
        await a.until_asked()
        began = asyncio.get_running_loop().time()
        with pytest.raises(RateLimited, match="max_concurrency") as caught:
            await w.ask()
        assert asyncio.get_running_loop().time() - began <= 6
        assert caught.value.retry_after_s is not None and caught.value.retry_after_s > 0
        assert (w.row.status, w.row.http_status) == ("error", 429)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_more_requests_than_a_minute_allows_are_refused_until_it_is_over() -> None:
    async with world(ONE + "[providers.a]\nrpm = 2", a := upstream("a", whole())) as w:
        await w.ask()
        await w.ask()
        with pytest.raises(RateLimited) as caught:
            await w.ask()
        assert caught.value.retry_after_s == pytest.approx(30)
        await asyncio.sleep(30)
        assert await w.ask() == "good"
        assert len(a.asked) == 3


async def test_a_full_deployment_sends_requests_to_the_next_one() -> None:
    async with world(IN_ORDER + "[providers.a]\nrpm = 1", upstream("a", whole("a")), upstream("b", whole("b"))) as w:
        assert [await w.ask(), await w.ask()] == ["a", "b"]


async def test_tokens_are_charged_as_they_were_used() -> None:
    async with world(ONE + "[providers.a]\ntpm = 100", upstream("a", whole())) as w:
        await w.ask(prompt_tokens=90)  # 14 in the end
        await w.ask(prompt_tokens=80)
        with pytest.raises(RateLimited) as caught:
            await w.ask(prompt_tokens=100)
        assert caught.value.retry_after_s == pytest.approx(28 * 60 / 100)


async def test_tokens_that_nobody_counted_are_charged_as_estimated() -> None:
    silent = [Relayed(b'{"said": "good"}', True)]
    async with world(ONE + "[providers.a]\ntpm = 100", upstream("a", silent)) as w:
        await w.ask(prompt_tokens=90)
        with pytest.raises(RateLimited):
            await w.ask(prompt_tokens=80)
        assert w.ledger.rows[0].prompt_tokens is None


# --- races and signs of life ------------------------------------------------------------------

HEDGED = """
[routes.r]
deployments = ["a/m", {model = "b/m", order = 2}]
hedge = true
"""


async def proven(w: World, times: int = 20) -> None:
    for _ in range(times):
        await w.ask()


async def test_a_slow_answer_is_raced_and_the_loser_is_ended() -> None:
    a = upstream("a", *[whole("a")] * 20, hanging())
    async with world(HEDGED, a, upstream("b", whole("b"))) as w:
        await proven(w)
        assert await w.ask() == "b"
        assert a.closed == 1
        assert (w.row.attempts, w.row.deployment) == (2, "b/m")


async def test_the_first_of_a_race_may_still_win() -> None:
    gate = asyncio.Event()
    a, b = upstream("a", *[whole("a")] * 20, [gate, *whole("late")]), upstream("b", hanging())
    async with world(HEDGED, a, b) as w:
        await proven(w)
        task = asyncio.create_task(w.ask())
        await b.until_asked()
        gate.set()
        assert await task == "late"
        assert b.closed == 1


async def test_a_race_that_both_lose_names_both() -> None:
    gate = asyncio.Event()
    a = upstream("a", *[whole("a")] * 20, [gate, UpstreamMalformed("junk")])
    b = upstream("b", [gate, UpstreamTimeout("slow", "first byte")])
    async with world(HEDGED + "[routing]\nretry_budget = 0.2\nmax_attempts = 1", a, b) as w:
        await proven(w)
        task = asyncio.create_task(w.ask())
        await b.until_asked()
        gate.set()
        with pytest.raises(RouteExhausted) as caught:
            await task
        assert {type(failure) for failure in caught.value.failures} == {UpstreamMalformed, UpstreamTimeout}


async def test_a_race_that_is_called_off_ends_both() -> None:
    a, b = upstream("a", *[whole("a")] * 20, hanging()), upstream("b", hanging())
    async with world(HEDGED, a, b) as w:
        await proven(w)
        task = asyncio.create_task(w.ask())
        await b.until_asked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (a.closed, b.closed) == (1, 1)
        assert w.row.status == "cancelled"


async def test_a_hang_is_found_by_the_sign_of_life_check() -> None:
    a = upstream("a", hanging())
    a.check_script = [UpstreamTimeout("no answer", "first byte")]
    async with world(IN_ORDER, a, upstream("b", whole())) as w:
        began = asyncio.get_running_loop().time()
        assert await w.ask() == "good"
        assert asyncio.get_running_loop().time() - began == pytest.approx(2.0)  # routing.probe_after_s
        assert (a.closed, a.checks) == (1, 1)
        assert w.deployment("a/m").health.state(began) == "open"


async def test_who_gives_a_sign_of_life_is_waited_for() -> None:
    gate = asyncio.Event()
    async with world(IN_ORDER, a := upstream("a", [gate, *whole("slow")]), b := upstream("b", whole())) as w:
        task = asyncio.create_task(w.ask())
        await a.until_checked()
        await asyncio.sleep(20)
        gate.set()
        assert await task == "slow"
        assert not b.asked


@pytest.mark.parametrize("error", [UpstreamRejected("no such path", 405), KeyRefused("not for this key")], ids=str)
async def test_a_server_that_refuses_the_check_is_alive(error: GhostdError) -> None:
    gate = asyncio.Event()
    a = upstream("a", [gate, *whole("slow")])
    a.check_script = [error]
    async with world(IN_ORDER, a, upstream("b", whole())) as w:
        task = asyncio.create_task(w.ask())
        await a.until_checked()
        await asyncio.sleep(5)
        gate.set()
        assert await task == "slow"


async def test_a_server_that_is_too_busy_for_checks_is_waited_for_where_there_is_no_other() -> None:
    gate = asyncio.Event()
    a = upstream("a", [gate, *whole("slow")], whole("next"))
    a.check_script = [UpstreamTimeout("no answer", "first byte")]
    async with world(ONE, a) as w:
        tasks = [asyncio.create_task(w.ask()) for _ in range(2)]
        await asyncio.sleep(20)
        gate.set()
        assert sorted(await asyncio.gather(*tasks)) == ["next", "slow"]
        assert a.checks > 0
    a = upstream("a", hanging())
    a.check_script = [UpstreamMalformed("a web page")]
    async with world(ONE, a) as w:
        with pytest.raises(UpstreamTimeout, match="nor a check"):
            await w.ask()
    fallback = 'routes.r = {deployments = ["a/m"], fallbacks = ["b/m"]}'
    a = upstream("a", hanging())
    a.check_script = [UpstreamTimeout("no answer", "first byte")]
    async with world(fallback, a, upstream("b", whole())) as w:
        assert await w.ask() == "good"


async def test_of_a_crowd_few_touch_a_hanging_deployment() -> None:
    """Of 60 requests at once before two upstreams nobody has tried, one hangs."""
    a = upstream("a", hanging())
    a.check_script = [UpstreamTimeout("no answer", "first byte")]
    settings = 'routes.r.deployments = ["a/m", "b/m"]'
    async with world(settings, a, upstream("b", whole())) as w:
        answers = await asyncio.gather(*(w.ask() for _ in range(60)))
        assert answers == ["good"] * 60
        assert len(a.asked) <= 3


async def test_a_crowd_before_two_good_deployments_is_shared() -> None:
    settings = 'routes.r.deployments = ["a/m", "b/m"]'
    async with world(settings, a := upstream("a", whole("x")), b := upstream("b", whole("x"))) as w:
        await asyncio.gather(*(w.ask() for _ in range(60)))
        assert len(a.asked) >= 15 and len(b.asked) >= 15


# --- translation, and models of this machine ------------------------------------------------------


async def test_a_request_is_translated_where_it_cannot_be_relayed() -> None:
    relayed, translated = upstream("a", *failing()), upstream("b", deltas("translated"), relays=())
    async with world(IN_ORDER, relayed, translated) as w:
        assert await w.ask(stream=True) == "translated"
        items = await w.items(chat("b/m", stream=True))
        assert [item.model for item in items if isinstance(item, Delta)] == ["b/m", "b/m"]


async def test_all_choices_are_asked_for_one_after_the_other_and_the_prompt_counts_once() -> None:
    async with world(ONE, a := upstream("a", deltas("x"), deltas("y"), relays=())) as w:
        call = chat(stream=True)
        (job,) = call.decode()
        call.decode = lambda: (job, Job(job.request, counts_prompt=False))
        items = await w.items(call)
        assert [(i.choice, i.text) for i in items if isinstance(i, Delta) and i.text] == [(0, "x"), (1, "y")]
        assert len(a.asked) == 2
        assert (w.row.prompt_tokens, w.row.completion_tokens) == (USAGE.prompt_tokens, 2 * USAGE.completion_tokens)


async def test_vectors_are_one_item() -> None:
    vectors = Embeddings(((1.0, 0.0),), Usage(3, 0))
    async with world(ONE, upstream("a", [vectors], relays=())) as w:
        request = EmbedRequest("r", (("hi",),))
        call = Call("openai.embeddings", "r", "embed", lambda: (Job(request),))
        assert await w.items(call) == [vectors]
        assert (w.row.operation, w.row.prompt_tokens, w.row.completion_tokens) == ("openai.embeddings", 3, 0)


async def test_a_crash_of_a_local_worker_turns_to_the_next_deployment() -> None:
    crashing = ScriptedProvider(model="tiny", error=WorkerCrashed("died"), error_after=1)
    settings = 'routes.r.deployments = ["tiny", {model = "b/m", order = 2}]'
    async with world(settings, upstream("b", whole()), local=[crashing]) as w:
        assert await w.ask() == "good"


async def test_what_no_deployment_can_do_is_refused_with_the_reason_of_each() -> None:
    info = ModelInfo("", "a", frozenset(("embed",)), remote=True)
    async with world(IN_ORDER, upstream("a", info=info), upstream("b", info=info)) as w:
        with pytest.raises(NoCandidate, match=r"a/m: it cannot chat; b/m: it cannot chat"):
            await w.ask()
        assert (w.row.status, w.row.http_status, w.row.attempts) == ("refused", 400, 0)


# --- deadlines -------------------------------------------------------------------------------------


async def test_no_repeat_begins_that_would_end_too_late() -> None:
    settings = 'routes.r = {deployments = ["a/m"], timeout_s = 2}'
    async with world(settings, a := upstream("a", [RateLimited("slow down", retry_after_s=3)], whole())) as w:
        with pytest.raises(RateLimited):
            await w.ask()
        assert len(a.asked) == 1


async def test_every_attempt_has_the_calls_one_deadline_and_the_routes_time_limits() -> None:
    settings = 'routes.r = {deployments = ["a/m"], timeout_s = 100, first_byte_s = 7, reply_s = 8, idle_s = 9}'
    async with world(settings, a := upstream("a", *failing(), whole(), stream())) as w:
        deadline = asyncio.get_running_loop().time() + 100
        await w.ask()
        assert [request.timeouts.deadline_s for request in a.asked] == [deadline, deadline]
        assert {(r.timeouts.first_byte_s, r.timeouts.idle_s) for r in a.asked} == {(8, 9)}
        await w.ask(stream=True)
        assert a.asked[-1].timeouts.first_byte_s == 7


async def test_a_prompts_tokens_are_estimated_by_what_the_deployment_has_counted_so_far() -> None:
    """Its own tokenizer's measure: here it counts twice as many tokens as the estimate."""
    twice = [[Relayed(b'{"said": "twice"}', True, Usage(2000, 4), "stop")] for _ in range(40)]
    info = ModelInfo(
        "", "a", frozenset(("chat",)), context_tokens=3000, relays=frozenset(("openai.chat",)), remote=True
    )
    a = ScriptedUpstreamProvider(*twice, name="a", endpoint="http://a.test", info=info)
    async with world(IN_ORDER, a, b := upstream("b", whole())) as w:
        for _ in range(30):
            await w.ask(prompt_tokens=1000)
        assert w.deployment("a/m").health.prompt_ratio == pytest.approx(2.0, rel=0.01)
        assert await w.ask(prompt_tokens=2000) == "good"  # about 4,000 of its tokens
        assert len(b.asked) == 1
