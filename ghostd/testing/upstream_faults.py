"""What an UpstreamProvider must do when its server fails: say so, before the first piece where that is possible."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ghostd.errors import (
    KeyRefused,
    NoUsableKey,
    QuotaExhausted,
    RateLimited,
    UpstreamFailed,
    UpstreamModelMissing,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from ghostd.ports import UpstreamProvider
from ghostd.testing.scripted_upstream import Answer, ScriptedUpstream, scripted_upstream
from ghostd.testing.upstream_case import (
    SILENCE,
    UpstreamCase,
    broken_chat,
    broken_relay,
    chatted,
    end_of,
)
from ghostd.testing.upstream_dialect import KEYS, PROVIDER, Reply, UpstreamDialect, opened
from ghostd.types import Timeouts

_SHORT_S = 0.05
_HTML = b"<!doctype html><title>Sign in to the network</title>"
BAD_BEGINNINGS = (
    "a page instead of a reply", "a page that claims to be the reply", "an empty reply", "half a reply",
    "an error inside a 200", "a garbage event", "an event that is no UTF-8", "an end without a beginning",
    "a redirect", "no reply", "a head without a body",
)  # fmt: skip
BAD_MIDDLES = ("a cut connection", "an end without its mark", "a garbage event", "no UTF-8", "an error event")


def bad_beginning(dialect: UpstreamDialect, kind: str, *, stream: bool) -> Answer:
    """A reply that is wrong from its start."""
    good = dialect.chat(Reply()) if stream else dialect.whole_chat(Reply())
    no_end = replace(good, pieces=(), framing="chunked")
    made = {
        "a page instead of a reply": lambda: replace(good, pieces=(_HTML,), headers={"content-type": "text/html"}),
        "a page that claims to be the reply": lambda: replace(good, pieces=(_HTML,), framing="chunked"),
        "an empty reply": lambda: no_end,
        "half a reply": lambda: replace(good, pieces=(good.body[: len(good.body) // 8],), framing="chunked"),
        "an error inside a 200": lambda: replace(
            good,
            pieces=(dialect.error_event("overloaded") if stream else dialect.error(500, "overloaded").body,),
            framing="chunked",
        ),
        "a garbage event": lambda: replace(good, pieces=(dialect.garbage, *good.pieces), framing="chunked"),
        "an event that is no UTF-8": lambda: replace(
            good, pieces=(dialect.broken_text, *good.pieces), framing="chunked"
        ),
        "an end without a beginning": lambda: replace(good, pieces=good.pieces[-1:] if stream else ()),
        "a redirect": lambda: replace(no_end, status=302, headers={"location": "http://127.0.0.1:1/"}),
        "no reply": lambda: Answer(silent=True, ending="cut"),
        "a head without a body": lambda: replace(no_end, ending="cut"),
    }
    return made[kind]()


class FaultContract(UpstreamCase):
    """Faults of the server."""

    @pytest.mark.parametrize("kind", BAD_BEGINNINGS)
    async def test_a_reply_that_is_wrong_from_its_start_gives_no_delta(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider, kind: str
    ) -> None:
        """So that the caller may still turn elsewhere."""
        upstream.play(bad_beginning(self.dialect, kind, stream=True))
        deltas, error = await broken_chat(provider, self.request())
        assert (deltas, error.retryable) == ([], True)
        assert len(upstream.requests) == 1, "a provider never retries by itself"

    @pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
    @pytest.mark.parametrize("kind", BAD_BEGINNINGS)
    async def test_a_reply_that_is_wrong_from_its_start_is_not_relayed(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider, kind: str, *, stream: bool
    ) -> None:
        """So that the caller may still turn elsewhere."""
        upstream.play(bad_beginning(self.dialect, kind, stream=stream))
        pieces, error = await broken_relay(provider, self.relay_request(stream=stream))
        assert (pieces, error.retryable) == ([], True)
        assert len(upstream.requests) == 1, "a provider never retries by itself"

    @pytest.mark.parametrize("kind", BAD_MIDDLES)
    async def test_a_chat_that_breaks_ends_with_an_error(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider, kind: str
    ) -> None:
        """Half an answer never looks like a whole one. What came in the same read as what breaks it may be lost."""
        upstream.play(self._bad_middle(kind))
        deltas, _ = await broken_chat(provider, self.request())
        assert "".join(delta.text for delta in deltas) in {"", "Hello"}
        assert all(delta.finish_reason is None for delta in deltas)

    @pytest.mark.parametrize("kind", BAD_MIDDLES)
    async def test_a_relayed_stream_that_breaks_ends_with_an_error(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider, kind: str
    ) -> None:
        """There is no last piece."""
        upstream.play(self._bad_middle(kind))
        pieces, _ = await broken_relay(provider, self.relay_request(stream=True))
        assert not any(piece.last for piece in pieces)
        assert b"[DONE]" not in b"".join(piece.data for piece in pieces)

    def _bad_middle(self, kind: str) -> Answer:
        good, opening = self.dialect.chat(Reply()), self.dialect.opening()
        more = {
            "a garbage event": self.dialect.garbage,
            "no UTF-8": self.dialect.broken_text,
            "an error event": self.dialect.error_event("overloaded"),
        }
        if kind in more:
            return replace(good, pieces=(*opening, more[kind], *good.pieces[len(opening) :]))
        return replace(good, pieces=opening, ending="cut" if kind == "a cut connection" else "complete")

    # --- refusals ---------------------------------------------------------------

    @pytest.mark.parametrize("status", [500, 502, 503])
    async def test_a_server_error_is_told_with_its_status(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider, status: int
    ) -> None:
        """Another deployment may help."""
        upstream.play(self.dialect.error(status, "it broke", headers={"retry-after": "7"}))
        _, error = await broken_chat(provider, self.request())
        assert isinstance(error, UpstreamFailed)
        assert (error.status, error.retry_after_s, error.retryable) == (status, 7.0, True)
        assert len(upstream.requests) == 1, "a provider never retries by itself"

    async def test_a_refused_request_tells_the_caller_why(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """A 400: another deployment would refuse it, too. A caller of the same dialect gets the body as it came."""
        answer = self.dialect.error(400, "temperature is too high")
        upstream.play(answer, answer)
        with pytest.raises(UpstreamRejected, match="temperature is too high") as caught:
            await chatted(provider, self.request())
        assert (caught.value.status, caught.value.retryable, caught.value.reason) == (400, False, None)
        with pytest.raises(UpstreamRejected) as relayed:
            async for _ in provider.relay(self.relay_request(stream=False)):
                pass
        assert (relayed.value.body, relayed.value.operation) == (answer.body, self.dialect.relay)

    async def test_a_prompt_too_long_is_told_as_such(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """A model with a longer context may help."""
        upstream.play(self.dialect.error(400, "the prompt is too long", kind="context"))
        with pytest.raises(UpstreamRejected) as caught:
            await chatted(provider, self.request())
        assert caught.value.reason == "context"

    async def test_a_missing_model_is_told_as_such(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """A 404."""
        upstream.play(self.dialect.error(404, "no such model", kind="model"))
        _, error = await broken_chat(provider, self.request())
        assert isinstance(error, UpstreamModelMissing)

    # --- keys -------------------------------------------------------------------

    @pytest.mark.parametrize("status", [401, 403, 429])
    async def test_another_key_is_tried_at_once_when_one_is_refused(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider, status: int
    ) -> None:
        """And the refused one rests: the next request does not try it."""
        self.needs("keys")
        upstream.play(self.dialect.error(status, "not with this key"))
        assert end_of(await chatted(provider, self.request()))[0] == "stop"
        assert end_of(await chatted(provider, self.request()))[0] == "stop"
        assert [self.dialect.key(seen) for seen in upstream.requests] == [KEYS[0], KEYS[1], KEYS[1]]
        assert _states(provider) == ["resting", "ready"]

    async def test_when_every_key_is_refused_the_error_says_so(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """Each key is tried once."""
        self.needs("keys")
        upstream.play(*[self.dialect.error(401, "invalid key")] * 3)
        _, error = await broken_chat(provider, self.request())
        assert isinstance(error, KeyRefused | NoUsableKey)
        assert len(upstream.requests) == len(KEYS)

    async def test_a_rate_limit_is_told_with_its_pause(self, upstream: ScriptedUpstream) -> None:
        """`Retry-After` in seconds."""
        async with opened(self.dialect, upstream, keys=("env:FIRST",)) as provider:
            upstream.play(self.dialect.error(429, "slow down", headers={"retry-after": "13"}))
            _, error = await broken_chat(provider, self.request())
        assert isinstance(error, RateLimited | NoUsableKey)
        assert error.retry_after_s is not None and 12 < error.retry_after_s <= 13

    async def test_used_up_credit_is_told_as_such(self, upstream: ScriptedUpstream) -> None:
        """The key rests for long."""
        self.needs("keys")
        async with opened(self.dialect, upstream, keys=("env:FIRST",)) as provider:
            upstream.play(self.dialect.error(429, "no credit left", kind="quota"))
            _, error = await broken_chat(provider, self.request())
            assert isinstance(error, QuotaExhausted | NoUsableKey)
            assert _states(provider) == ["resting"]

    @pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
    async def test_no_error_tells_a_key(self, upstream: ScriptedUpstream, status: int) -> None:
        """Servers like to repeat it."""
        self.needs("keys")
        async with opened(self.dialect, upstream, keys=("env:FIRST",)) as provider:
            upstream.play(self.dialect.error(status, f"Incorrect API key provided: {KEYS[0]}."))
            _, error = await broken_chat(provider, self.request())
            told = f"{error} {error!r} {provider.keys()!r} {getattr(error, 'body', b'')!r} {error.__context__!r}"
        assert KEYS[0] not in told

    # --- time -------------------------------------------------------------------

    async def test_a_server_that_does_not_answer_is_given_up(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """`first_byte_s`"""
        upstream.play(SILENCE)
        _, error = await broken_chat(provider, self.request(timeouts=Timeouts(first_byte_s=_SHORT_S)))
        assert isinstance(error, UpstreamTimeout) and error.phase == "first byte"
        async with asyncio.timeout(20):
            await upstream.abandoned()

    async def test_a_reply_that_stalls_is_given_up(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """`idle_s`"""
        deltas, error = await broken_chat(provider, self.request("endless", timeouts=Timeouts(idle_s=_SHORT_S)))
        assert isinstance(error, UpstreamTimeout) and error.phase == "idle"
        assert "".join(delta.text for delta in deltas) == "Hello"

    async def test_a_reply_that_exceeds_the_deadline_is_given_up(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """`deadline_s`, a point on the loop's clock, counts for everything together."""
        timeouts = Timeouts(deadline_s=asyncio.get_running_loop().time() + 4 * _SHORT_S)
        _, error = await broken_chat(provider, self.request("endless", timeouts=timeouts))
        assert isinstance(error, UpstreamTimeout) and error.phase == "total"

    async def test_a_server_that_is_not_there_is_unreachable(self) -> None:
        """Its port refuses connections."""
        async with scripted_upstream() as gone:
            pass
        async with opened(self.dialect, gone) as provider:
            _, error = await broken_chat(provider, self.request())
            assert isinstance(error, UpstreamUnreachable)
            with pytest.raises(UpstreamUnreachable):
                await provider.check(20.0)

    async def test_an_error_names_the_provider(self, upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
        """A user has several."""
        upstream.play(self.dialect.error(500, "it broke"))
        _, error = await broken_chat(provider, self.request())
        assert PROVIDER in str(error) and "it broke" in str(error)


def _states(provider: UpstreamProvider) -> list[str]:
    keys = provider.keys()
    return [key.state for key in keys]
