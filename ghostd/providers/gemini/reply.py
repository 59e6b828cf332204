"""A stream of `streamGenerateContent` as deltas."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import msgspec

from ghostd.conversation import ToolCallDelta
from ghostd.errors import UpstreamError, UpstreamMalformed
from ghostd.types import Delta, FinishReason, TokenLogprob, Usage

_ABSENT = msgspec.Raw()


class FunctionCall(msgspec.Struct):
    """`functionCall` of a part."""

    name: str
    args: msgspec.Raw = msgspec.Raw(b"{}")
    id: str | None = None


class ReplyPart(msgspec.Struct, rename="camel"):
    """A part of a candidate; of what the service's own tools add nothing is read."""

    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: FunctionCall | None = None


class Content(msgspec.Struct):
    """`content` of a candidate; it has no parts when the model says nothing."""

    parts: list[ReplyPart] = []


class Token(msgspec.Struct, rename="camel"):
    """A token with its log probability."""

    token: str = ""
    token_id: int = -1
    log_probability: float = 0.0


class Alternatives(msgspec.Struct):
    """`topCandidates`: of one step."""

    candidates: list[Token] = []


class Logprobs(msgspec.Struct, rename="camel"):
    """`logprobsResult`"""

    chosen_candidates: list[Token] = []
    top_candidates: list[Alternatives] = []


class Candidate(msgspec.Struct, rename="camel"):
    """One of the replies; ghostd asks for one."""

    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int = 0
    logprobs_result: Logprobs | None = None


class UsageMetadata(msgspec.Struct, rename="camel"):
    """Tokens so far."""

    prompt_token_count: int = 0
    cached_content_token_count: int = 0
    candidates_token_count: int = 0
    thoughts_token_count: int = 0
    tool_use_prompt_token_count: int = 0

    def usage(self) -> Usage:
        """In ghostd's words; Gemini counts thoughts and what tools said apart."""
        return Usage(
            prompt_tokens=self.prompt_token_count + self.tool_use_prompt_token_count,
            completion_tokens=self.candidates_token_count + self.thoughts_token_count,
            cached_tokens=self.cached_content_token_count,
            reasoning_tokens=self.thoughts_token_count,
        )


class PromptFeedback(msgspec.Struct, rename="camel"):
    """Why a prompt was refused."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class Chunk(msgspec.Struct, rename="camel"):
    """An event of a stream, and a whole reply."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    error: msgspec.Raw = _ABSENT


_CHUNK = msgspec.json.Decoder(Chunk)

FINISH_REASONS: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "OTHER",
        ),
        "content_filter",
    ),
}  # fmt: skip
"""What the API's reasons mean; one that is not listed, which a newer model may give, counts as "stop"."""
_FAILURES = frozenset(
    (
        "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    )
)  # fmt: skip
"""Reasons that leave no usable reply; asking again, or another model, may."""


def decode_chunk(data: bytes) -> Chunk:
    """An event's data, or a whole reply. Raises UpstreamMalformed."""
    try:
        chunk = _CHUNK.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamMalformed("a reply is not one of the Gemini API") from None
    if (
        chunk.candidates is None
        and chunk.prompt_feedback is None
        and chunk.usage_metadata is None
        and chunk.error == _ABSENT
    ):
        raise UpstreamMalformed("a reply holds no candidates")
    return chunk


class ContentReader:
    """Reads one stream, event by event. It has no mark at its end: it is complete once it has told a reason."""

    def __init__(self, failure: Callable[[bytes], UpstreamError], *, stops: bool = False) -> None:
        """`failure` makes the exception for an error object in the stream. `stops`: whether the request has stop
        sequences, before which nothing need be said."""
        self._failure = failure
        self._stops = stops
        self._calls = 0
        self._usage = UsageMetadata()
        self._finish: FinishReason = "stop"
        self.begun = False
        """Whether the model has said something, or told why it does not."""
        self.ended = False
        """Whether a reason to end has come."""
        self.stop_reason: str | None = None

    def usage(self) -> Usage:
        """The tokens so far."""
        return self._usage.usage()

    def read(self, data: bytes) -> Iterator[Delta]:
        """The deltas of one event. Raises UpstreamMalformed, or what an error object says."""
        chunk = decode_chunk(data)
        if chunk.error != _ABSENT:
            raise self._failure(data)
        if chunk.usage_metadata is not None:
            self._usage = chunk.usage_metadata
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason and not chunk.candidates:
            self._end(feedback.block_reason, "content_filter")
            self.begun = True
            if feedback.block_reason_message:
                yield Delta(refusal=feedback.block_reason_message)
        for candidate in chunk.candidates or ():
            if candidate.index == 0:
                yield from self._candidate(candidate)

    def watch(self, data: bytes) -> None:
        """As `read`, for a stream that is passed on."""
        for _ in self.read(data):
            pass

    def end(self) -> Delta:
        """The last delta, once the body is complete. Raises UpstreamMalformed if the reply is not."""
        if not self.ended:
            raise UpstreamMalformed("the stream ended without a finish reason")
        if not self.begun and self._finish == "stop" and not self._stops and self._usage.candidates_token_count > 1:
            raise UpstreamMalformed("the model's words are missing in the reply")
        return Delta(finish_reason=self._finish, usage=self.usage())

    def _end(self, reason: str, finish: FinishReason) -> None:
        if self.ended:
            raise UpstreamMalformed("the stream goes on after its end")
        self.ended, self.stop_reason, self._finish = True, reason, finish

    def _candidate(self, candidate: Candidate) -> Iterator[Delta]:
        logprobs = _logprobs(candidate.logprobs_result)
        for part in candidate.content.parts if candidate.content else ():
            if self.ended and (part.text or part.function_call):
                raise UpstreamMalformed("the stream goes on after its end")
            # A part of another kind, which nobody reads here, is something said, too.
            self.begun = self.begun or part.text is None or bool(part.text)
            if part.function_call is not None:
                yield Delta(tool_calls=(self._call(part.function_call, part.thought_signature),))
            elif part.text and part.thought:
                yield Delta(reasoning=part.text)
            elif part.text:
                yield Delta(part.text, logprobs=logprobs)
                logprobs = ()
        if logprobs:
            yield Delta(logprobs=logprobs)
        reason = candidate.finish_reason
        if reason is None or reason == "FINISH_REASON_UNSPECIFIED":
            return
        if reason in _FAILURES:
            raise UpstreamMalformed(f"the model's reply is of no use ({reason})")
        finish = FINISH_REASONS.get(reason, "stop")
        self._end(reason, "tool_calls" if finish == "stop" and self._calls else finish)
        if finish == "content_filter" and candidate.finish_message:
            yield Delta(refusal=candidate.finish_message)

    def _call(self, call: FunctionCall, signature: str | None) -> ToolCallDelta:
        index = self._calls
        self._calls += 1
        # Older models give their calls no ids, by which clients tell calls and results apart.
        identifier = call.id or f"call_{os.urandom(12).hex()}"
        try:
            arguments = bytes(call.args).decode()
        except UnicodeDecodeError:
            raise UpstreamMalformed("a function call is not UTF-8") from None
        return ToolCallDelta(index, arguments, identifier, call.name, signature)


def _logprobs(result: Logprobs | None) -> tuple[TokenLogprob, ...]:
    if result is None:
        return ()
    taken = []
    for step, chosen in enumerate(result.chosen_candidates):
        others = result.top_candidates[step].candidates if step < len(result.top_candidates) else []
        top = tuple((other.token.encode(), other.log_probability) for other in others)
        taken.append(TokenLogprob(chosen.token_id, chosen.token.encode(), chosen.log_probability, top))
    return tuple(taken)
