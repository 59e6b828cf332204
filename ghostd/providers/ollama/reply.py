"""The lines of Ollama's streams as deltas."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import msgspec

from ghostd.conversation import ToolCallDelta
from ghostd.errors import UpstreamError, UpstreamMalformed
from ghostd.types import Delta, FinishReason, TokenLogprob, Usage


class Function(msgspec.Struct):
    """What is called."""

    name: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class Call(msgspec.Struct):
    """One of `message.tool_calls`, always whole."""

    function: Function
    id: str = ""


class ReplyMessage(msgspec.Struct):
    """`message` of `/api/chat`."""

    content: str = ""
    thinking: str = ""
    tool_calls: list[Call] | None = None


class Top(msgspec.Struct):
    """An alternative token."""

    token: str = ""
    logprob: float = 0.0


class Token(Top):
    """A token that was taken."""

    top_logprobs: list[Top] | None = None


class Line(msgspec.Struct):
    """A line of `/api/chat` (`message`) or `/api/generate` (`response`); the last one has `done`."""

    message: ReplyMessage | None = None
    response: str | None = None
    thinking: str = ""
    done: bool | None = None
    done_reason: str = ""
    prompt_eval_count: int = 0
    eval_count: int = 0
    logprobs: list[Token] | None = None
    error: str | None = None

    def usage(self) -> Usage:
        """Tokens of the request, as the last line tells them."""
        return Usage(self.prompt_eval_count, self.eval_count)


_LINE = msgspec.json.Decoder(Line)

_FINISH_REASONS: dict[str, FinishReason] = {"length": "length"}
"""Everything else is "stop": "stop" itself, what older servers do not tell, and "load" of a request without text."""


def decode_line(data: bytes) -> Line:
    """A line, or a whole reply. Raises UpstreamMalformed."""
    try:
        line = _LINE.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamMalformed("a line of the reply is not one of Ollama's API") from None
    if line.error is None and (line.done is None or (line.message is None and line.response is None)):
        raise UpstreamMalformed("a line of the reply is neither a message nor an error")
    return line


class LineReader:
    """Reads one stream, line by line."""

    def __init__(self, failure: Callable[[str], UpstreamError], *, stops: bool = False) -> None:
        """`failure` makes the exception for an error inside the stream. `stops`: whether the request has stop
        sequences, before which nothing need be said."""
        self._failure = failure
        self._stops = stops
        self._calls = 0
        self._last: Line | None = None
        self.begun = False
        """Whether the model has said something."""

    @property
    def ended(self) -> bool:
        """Whether the last line has come."""
        return self._last is not None

    @property
    def stop_reason(self) -> str | None:
        """In the server's words; older servers give none."""
        return self._last.done_reason or "stop" if self._last is not None else None

    def usage(self) -> Usage:
        """The tokens, which the last line tells."""
        return self._last.usage() if self._last is not None else Usage(0, 0)

    def read(self, data: bytes) -> Iterator[Delta]:
        """The deltas of one line. Raises UpstreamMalformed, or what an error line says."""
        line = decode_line(data)
        if line.error is not None:
            raise self._failure(line.error)
        if self._last is not None:
            raise UpstreamMalformed("the stream goes on after its last line")
        message = line.message or ReplyMessage(line.response or "", line.thinking)
        if message.thinking:
            self.begun = True
            yield Delta(reasoning=message.thinking)
        if message.content or line.logprobs:
            self.begun = True
            yield Delta(message.content, logprobs=_logprobs(line.logprobs or ()))
        if message.tool_calls:
            self.begun = True
            yield Delta(tool_calls=tuple(self._call(call) for call in message.tool_calls))
        if line.done:
            self._last = line

    def watch(self, data: bytes) -> None:
        """As `read`, for a stream that is passed on."""
        for _ in self.read(data):
            pass

    def end(self) -> Delta:
        """The last delta, once the body is complete. Raises UpstreamMalformed if the reply is not."""
        if self._last is None:
            raise UpstreamMalformed("the stream ended without its last line")
        reason = _FINISH_REASONS.get(self._last.done_reason, "stop")
        # One token may be the model's word for its end, which is not shown.
        if not self.begun and reason == "stop" and not self._stops and self._last.eval_count > 1:
            raise UpstreamMalformed("the model's words are missing in the reply")
        return Delta(
            finish_reason="tool_calls" if reason == "stop" and self._calls else reason, usage=self._last.usage()
        )

    def _call(self, call: Call) -> ToolCallDelta:
        index = self._calls
        self._calls += 1
        # Older servers give their calls no ids, by which clients tell calls and results apart.
        identifier = call.id or f"call_{os.urandom(12).hex()}"
        try:
            arguments = bytes(call.function.arguments).decode()
        except UnicodeDecodeError:
            raise UpstreamMalformed("a tool call is not UTF-8") from None
        return ToolCallDelta(index, arguments, identifier, call.function.name)


def _logprobs(tokens: list[Token] | tuple[()]) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(
            -1,
            token.token.encode(),
            token.logprob,
            tuple((top.token.encode(), top.logprob) for top in token.top_logprobs or ()),
        )
        for token in tokens
    )
