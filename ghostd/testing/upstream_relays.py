"""What an UpstreamProvider must do with a request that it passes on in its own dialect."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import msgspec

from ghostd.ports import UpstreamProvider
from ghostd.testing.scripted_upstream import ScriptedUpstream
from ghostd.testing.upstream_case import SILENCE, TIMEOUT_S, UpstreamCase, broken_relay, relayed
from ghostd.testing.upstream_dialect import Reply
from ghostd.types import Usage


class RelayContract(UpstreamCase):
    """Relays."""

    async def test_a_relayed_body_goes_on_as_it_came_but_for_the_model(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """Members that nobody knows survive, with the very text of their values."""
        request = self.relay_request(stream=False, a_new_member={"big": 12345678901234567890, "text": "ünï"})
        upstream.play(self.dialect.whole_chat(Reply()))
        await relayed(provider, request)
        (seen,) = upstream.requests
        assert self.dialect.model(seen) == self.dialect.chat_model
        sent = msgspec.json.decode(seen.body, type=dict[str, msgspec.Raw])
        assert {name: bytes(value) for name, value in sent.items() if name != "model"} == {
            name: value for name, value in request.fields.items() if name != "model"
        }

    async def test_a_whole_reply_is_one_last_piece(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """Byte for byte, with its usage."""
        answer = self.dialect.whole_chat(Reply(usage=Usage(31, 7)))
        upstream.play(answer)
        (piece,) = await relayed(provider, self.relay_request(stream=False))
        assert (piece.data, piece.last, piece.usage) == (answer.body, True, Usage(31, 7))
        assert piece.finish_reason
        assert piece.content_type.startswith("application/json")

    async def test_a_relayed_stream_passes_as_it_came(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """Whole events; the last piece alone is the last, and carries usage and reason."""
        answer = self.dialect.chat(Reply(usage=Usage(31, 7)))
        upstream.play(answer)
        pieces = await relayed(provider, self.relay_request(stream=True))
        assert b"".join(piece.data for piece in pieces) == answer.body
        assert [piece.last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert pieces[-1].usage == Usage(31, 7)
        assert pieces[-1].finish_reason
        assert {piece.usage for piece in pieces[:-1]} <= {None}

    async def test_events_split_anywhere_pass_as_they_came(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """Reads of the socket do not follow the events."""
        answer = self.dialect.chat(Reply(text=("Hello", " wörld", " 日本")))
        body = answer.body
        upstream.play(replace(answer, pieces=tuple(body[at : at + 7] for at in range(0, len(body), 7))))
        pieces = await relayed(provider, self.relay_request(stream=True))
        assert b"".join(piece.data for piece in pieces) == body

    async def test_a_client_that_leaves_ends_the_relayed_stream(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """The connection is closed, which is what makes servers stop."""
        async with asyncio.timeout(TIMEOUT_S):
            request = self.relay_request(stream=True, text="endless")
            async with aclosing(provider.relay(request)) as pieces:
                assert b"Hello" in (await anext(pieces)).data
            await upstream.abandoned()

    async def test_a_client_that_leaves_early_ends_the_relayed_request(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """Before the first byte, too."""
        upstream.play(SILENCE)
        async with asyncio.timeout(TIMEOUT_S):
            reader = asyncio.create_task(relayed(provider, self.relay_request(stream=False)))
            await upstream.requested()
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            await upstream.abandoned()

    async def test_events_after_the_end_are_not_passed_on(
        self, upstream: ScriptedUpstream, provider: UpstreamProvider
    ) -> None:
        """A stream that goes on after its end is broken: two replies in one, or an event sent twice."""
        answer = self.dialect.chat(Reply())
        upstream.play(replace(answer, pieces=(*answer.pieces, *answer.pieces)))
        pieces, _ = await broken_relay(provider, self.relay_request(stream=True))
        assert not any(piece.last for piece in pieces)
