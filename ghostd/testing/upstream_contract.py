"""What every UpstreamProvider must do, as tests. For plug-in authors too; needs pytest and pytest-asyncio (auto mode).

Describe a healthy server of the dialect by a subclass of `ghostd.testing.upstream_dialect.UpstreamDialect` (its
docstrings say what each method must build), then name it once in a test module:

    class TestMyProvider(UpstreamContract):
        dialect = MyDialect()

The contract makes the provider with `dialect.factory` over the real transport, against a scripted server on loopback.
It includes ProviderContract, the tests of conversations (this module), of what may go wrong (`upstream_faults`) and of
relays (`upstream_relays`). Tests of what the dialect `lacks` are skipped.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from ghostd.config.providers import ModelConfig, ProviderConfig
from ghostd.conversation import Tool, ToolCall, Tools
from ghostd.errors import UnsupportedParameter, UpstreamError
from ghostd.ports import UpstreamProvider
from ghostd.testing.provider_contract import ProviderContract, Subject
from ghostd.testing.scripted_upstream import ScriptedUpstream
from ghostd.testing.upstream_case import SILENCE, TIMEOUT_S, chatted, end_of
from ghostd.testing.upstream_dialect import KEYS, PROVIDER, Reply, opened
from ghostd.testing.upstream_faults import FaultContract
from ghostd.testing.upstream_relays import RelayContract
from ghostd.types import CompletionRequest, FillRequest, FinishReason, Usage

WEATHER = Tool("weather", "Looks it up", '{"type":"object","properties":{"city":{"type":"string"}}}')


class UpstreamContract(FaultContract, RelayContract, ProviderContract):
    """The contract's tests; set `dialect`."""

    @pytest.fixture
    async def subject(self, provider: UpstreamProvider) -> Subject:
        """What ProviderContract tests."""
        dialect = self.dialect
        endless = CompletionRequest(dialect.complete_model, ("endless",)) if dialect.complete_model else None
        return Subject(
            provider, dialect.chat_model, dialect.complete_model, dialect.embed_model, endless, honours_max_tokens=False
        )

    # --- what is said -------------------------------------------------------------

    async def test_a_chat_streams_each_piece_of_text_as_it_comes(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """Text arrives before the reply is complete; the upstream is asked for its own model, with a key."""
        wanted = Reply()
        upstream.play(self.dialect.chat(wanted))
        deltas = await chatted(provider, self.request())
        assert [delta.text for delta in deltas if delta.text] == list(wanted.text)
        assert end_of(deltas) == ("stop", wanted.usage)
        (seen,) = upstream.requests
        assert seen.path.startswith("/base/")
        assert self.dialect.call(seen) == "chat"
        assert self.dialect.model(seen) == self.dialect.chat_model
        if "keys" not in self.dialect.lacks:
            assert self.dialect.key(seen) == KEYS[0]

    @pytest.mark.parametrize("finish", ["stop", "length", "content_filter"])
    async def test_a_chat_ends_with_the_upstreams_reason(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider, finish: FinishReason
    ) -> None:
        """Each dialect's own words become OpenAI's four."""
        if finish == "content_filter":
            self.needs("content_filter")
        upstream.play(self.dialect.chat(Reply(finish=finish)))
        assert end_of(await chatted(provider, self.request()))[0] == finish

    async def test_cached_tokens_are_told(self, upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
        """They are a part of the prompt's tokens."""
        self.needs("cached_tokens")
        usage = Usage(100, 5, cached_tokens=64)
        upstream.play(self.dialect.chat(Reply(usage=usage)))
        assert end_of(await chatted(provider, self.request()))[1] == usage

    async def test_reasoning_tokens_are_told(self, upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
        """They are a part of the completion's tokens."""
        self.needs("reasoning_tokens")
        usage = Usage(12, 50, reasoning_tokens=40)
        upstream.play(self.dialect.chat(Reply(usage=usage)))
        assert end_of(await chatted(provider, self.request()))[1] == usage

    async def test_thoughts_are_told_apart_from_the_text(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """They come in `Delta.reasoning`."""
        self.needs("reasoning")
        upstream.play(self.dialect.chat(Reply(reasoning=("Let me", " see."))))
        deltas = await chatted(provider, self.request())
        assert "".join(delta.reasoning for delta in deltas) == "Let me see."
        assert "".join(delta.text for delta in deltas) == "Hello world"

    async def test_parallel_tool_calls_come_with_index_and_name_once(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """OpenAI reference: `tool_calls[].index` tells the calls apart; id and name are in the first piece only."""
        self.needs("tools")
        calls = (ToolCall("call_1", "weather", '{"city":"Oslo"}'), ToolCall("call_2", "weather", '{"city":"Rome"}'))
        upstream.play(self.dialect.chat(Reply(text=("Looking",), finish="tool_calls", tool_calls=calls)))
        deltas = await chatted(provider, self.request(tools=Tools((WEATHER,))))
        assert end_of(deltas)[0] == "tool_calls"
        pieces = [piece for delta in deltas for piece in delta.tool_calls]
        for index, call in enumerate(calls):
            mine = [piece for piece in pieces if piece.index == index]
            assert [piece.name for piece in mine if piece.name is not None] == [call.name]
            assert len([piece.id for piece in mine if piece.id is not None]) == 1
            assert mine[0].id and mine[0].name
            assert "".join(piece.arguments for piece in mine).replace(" ", "") == call.arguments
        assert len({piece.id for piece in pieces if piece.id}) == len(calls)

    async def test_a_fill_streams_the_text_of_the_hole(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """Prefix and suffix go to the upstream's own fill-in-the-middle call."""
        if self.dialect.fill_model is None:
            pytest.skip("the dialect has no call for fills")
        request = FillRequest(self.dialect.fill_model, "def add(a, b):\n", "\nprint(add(1, 2))")
        async with asyncio.timeout(TIMEOUT_S), aclosing(provider.fill(request)) as stream:
            deltas = [delta async for delta in stream]
        assert "".join(delta.text for delta in deltas) == "Hello world"
        assert end_of(deltas)[0] == "stop"
        (seen,) = upstream.requests
        assert b"def add(a, b):" in seen.body and b"print(add(1, 2))" in seen.body

    # --- what it cannot do --------------------------------------------------------

    async def test_a_parameter_that_the_dialect_cannot_honour_is_named(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """A 400 names it; nothing is sent."""
        for request, param in self.dialect.unsupported:
            with pytest.raises(UnsupportedParameter) as caught:
                await chatted(provider, request)
            assert caught.value.param == param
        assert upstream.requests == []

    async def test_such_a_parameter_is_left_out_where_the_settings_say_so(self, upstream: ScriptedUpstream) -> None:
        """`drop_unsupported`."""
        settings = ProviderConfig(models=self.dialect.names(), drop_unsupported=True)
        async with opened(self.dialect, upstream, settings) as provider:
            for request, _ in self.dialect.unsupported:
                assert end_of(await chatted(provider, request))[0] == "stop"

    # --- models, keys, health -----------------------------------------------------

    async def test_the_configured_models_are_offered(self, provider: UpstreamProvider) -> None:
        """And no others."""
        assert provider.name == PROVIDER
        assert [info.id for info in provider.models()] == list(self.dialect.names())
        assert self.dialect.relay in provider.model(self.dialect.chat_model).relays
        assert "chat" in provider.model(self.dialect.chat_model).capabilities

    async def test_what_the_configuration_says_of_a_model_wins(self, upstream: ScriptedUpstream) -> None:
        """[providers.NAME.model."MODEL"]"""
        known = ModelConfig(context_tokens=1234, max_output_tokens=99, features=("json",), capabilities=("chat",))
        settings = ProviderConfig(models=(self.dialect.chat_model,), model={self.dialect.chat_model: known})
        async with opened(self.dialect, upstream, settings) as provider:
            (info,) = provider.models()
        assert (info.context_tokens, info.max_output_tokens) == (1234, 99)
        assert (info.capabilities, info.features) == (frozenset(("chat",)), frozenset(("json",)))

    async def test_a_healthy_server_passes_the_check(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """It costs no tokens."""
        await provider.check(TIMEOUT_S)
        assert [self.dialect.call(seen) for seen in upstream.requests] == ["models"]

    async def test_a_failing_server_does_not_pass_the_check(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """Nor one that hangs."""
        upstream.play(self.dialect.error(500, "broken"))
        with pytest.raises(UpstreamError):
            await provider.check(TIMEOUT_S)

    async def test_keys_are_shown_without_their_values(self, provider: UpstreamProvider) -> None:
        """By reference only."""
        await chatted(provider, self.request())
        shown = repr(provider.keys())
        assert "env:FIRST" in shown
        assert not any(key in shown for key in KEYS)

    # --- ends ---------------------------------------------------------------------

    async def test_closing_a_chat_ends_the_upstreams_work(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """The connection is closed, which is what makes servers stop."""
        async with asyncio.timeout(TIMEOUT_S):
            async with aclosing(provider.chat(self.request("endless"))) as stream:
                assert (await anext(stream)).text == "Hello"
            await upstream.abandoned()
        assert end_of(await chatted(provider, self.request()))[0] == "stop"

    async def test_cancelling_before_the_first_byte_ends_the_upstreams_work(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """Also while it still thinks."""
        upstream.play(SILENCE)
        async with asyncio.timeout(TIMEOUT_S):
            reader = asyncio.create_task(chatted(provider, self.request()))
            await upstream.requested()
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            await upstream.abandoned()

    async def test_a_chat_that_was_never_started_asks_nothing(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """Nothing has begun, so there is nothing to end."""
        await provider.chat(self.request()).aclose()
        assert upstream.requests == []
