"""Chunks of OpenAI's dialect → deltas."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import msgspec

from ghostd.conversation import ToolCallDelta
from ghostd.errors import UpstreamMalformed
from ghostd.providers.openai.stream import StreamCheck
from ghostd.providers.openai.types import WireChunk, WireDelta, WireFunction, WireToolCall, finish_of
from ghostd.types import Delta, TokenLogprob

MAX_TOOL_CALLS = 256
_UNKNOWN_TOKEN = -1
"""OpenAI tells tokens by their text, not by their ids."""


@dataclass(slots=True)
class _Call:
    index: int
    id: str | None = None
    told: bool = False
    """Whether its first piece, with id and name, has been given out."""
    waiting: str = ""
    """Arguments that came before the name."""


class ChatReply:
    """The message that one stream of chat chunks makes."""

    __slots__ = ("_calls", "_stop_sequence", "_upstream")

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._calls: list[_Call] = []
        self._stop_sequence: str | None = None

    def delta(self, chunk: WireChunk) -> Delta | None:
        """What the chunk says; None where it says nothing. Raises UpstreamMalformed."""
        for choice in chunk.choices or ():
            said = choice.delta
            if choice.index != 0 or said is None:
                continue  # only one was asked for
            if isinstance(choice.stop_reason, str):
                self._stop_sequence = choice.stop_reason
            logprobs = () if choice.logprobs is None else chat_logprobs(choice.logprobs, self._upstream)
            return self._whole(said, logprobs)
        return None

    def _whole(self, said: WireDelta, logprobs: tuple[TokenLogprob, ...]) -> Delta | None:
        text, reasoning = said.content or "", said.reasoning_content or said.reasoning or ""
        if not isinstance(text, str):
            parts = text
            reasoning += "".join(part.thoughts() for part in parts)
            text = "".join(part.text or "" for part in parts)
        calls: list[ToolCallDelta] = []
        for call in said.tool_calls or ():
            calls += self._call(call)
        if said.function_call is not None:
            calls += self._call(WireToolCall(0, None, said.function_call))
        refusal = said.refusal or ""
        if not (text or reasoning or calls or refusal or logprobs):
            return None
        return Delta(text, logprobs=logprobs, tool_calls=tuple(calls), reasoning=reasoning, refusal=refusal)

    def _call(self, piece: WireToolCall) -> list[ToolCallDelta]:
        function = piece.function or WireFunction()
        call = self._known(piece)
        call.id = call.id or piece.id or None
        arguments = call.waiting + function.text()
        if call.told:
            return [ToolCallDelta(call.index, arguments)] if arguments else []
        if not function.name:
            call.waiting = arguments
            return []
        call.told, call.waiting = True, ""
        call.id = call.id or f"call_{secrets.token_hex(12)}"
        return [ToolCallDelta(call.index, arguments, call.id, function.name)]

    def _known(self, piece: WireToolCall) -> _Call:
        """The call that a piece belongs to. Some servers send no index, or 0 for every call of a message."""
        calls = self._calls
        if piece.id:
            found = next((call for call in calls if call.id == piece.id), None)
            if found is not None:
                return found
        index = len(calls) - 1 if piece.index is None else piece.index
        known = calls[index] if 0 <= index < len(calls) else None
        if known is not None and not (piece.id and known.id and piece.id != known.id):
            return known
        if len(calls) >= MAX_TOOL_CALLS:
            raise UpstreamMalformed(f"it asks for more than {MAX_TOOL_CALLS} tools at once", self._upstream)
        calls.append(_Call(len(calls)))
        return calls[-1]

    def last(self, check: StreamCheck) -> Delta:
        """The delta that ends the reply; usage is None where the upstream never said it."""
        if not all(call.told for call in self._calls):
            raise UpstreamMalformed("it asks for a tool without naming it", self._upstream)
        finish = finish_of(check.reasons.get(0, "stop"))
        if self._calls and finish == "stop":
            finish = "tool_calls"
        return Delta(finish_reason=finish, usage=check.counted(), stop_sequence=self._stop_sequence)


class _Token(msgspec.Struct, gc=False):
    token: str
    logprob: float = 0.0
    encoded: list[int] | None = msgspec.field(default=None, name="bytes")

    def raw(self) -> bytes:
        """The token itself, which may be a part of a character."""
        try:
            return self.token.encode() if self.encoded is None else bytes(self.encoded)
        except ValueError:
            return self.token.encode()


class _TokenWithTop(_Token, gc=False):
    top_logprobs: list[_Token] | None = None


class _ChatLogprobs(msgspec.Struct):
    content: list[_TokenWithTop] | None = None


class _LegacyLogprobs(msgspec.Struct):
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None
    content: list[_TokenWithTop] | None = None
    """llama-server answers completions with the chat form."""


def chat_logprobs(given: Any, upstream: str) -> tuple[TokenLogprob, ...]:
    """`choices[].logprobs` of a chat; raises UpstreamMalformed."""
    try:
        content = msgspec.convert(given, _ChatLogprobs).content
    except msgspec.ValidationError:
        raise UpstreamMalformed("its log probabilities are not in OpenAI's form", upstream) from None
    return _tokens(content or [])


def legacy_logprobs(given: Any, upstream: str) -> tuple[TokenLogprob, ...]:
    """`choices[].logprobs` of a completion; raises UpstreamMalformed."""
    try:
        found = msgspec.convert(given, _LegacyLogprobs)
    except msgspec.ValidationError:
        raise UpstreamMalformed("its log probabilities are not in OpenAI's form", upstream) from None
    if found.content is not None:
        return _tokens(found.content)
    tokens, values, tops = found.tokens or [], found.token_logprobs or [], found.top_logprobs or []
    return tuple(
        TokenLogprob(
            _UNKNOWN_TOKEN,
            token.encode(),
            (values[number] if number < len(values) else None) or 0.0,
            tuple(
                (other.encode(), value)
                for other, value in sorted(
                    ((tops[number] if number < len(tops) else None) or {}).items(), key=lambda pair: -pair[1]
                )
            ),
        )
        for number, token in enumerate(tokens)
    )


def _tokens(content: list[_TokenWithTop]) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(
            _UNKNOWN_TOKEN,
            token.raw(),
            token.logprob,
            tuple((other.raw(), other.logprob) for other in token.top_logprobs or ()),
        )
        for token in content
    )
