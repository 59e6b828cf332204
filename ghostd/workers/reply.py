"""One generation on its way from the engine to the pool."""

from __future__ import annotations

import codecs
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ghostd.text_stream import TextStream
from ghostd.workers.engines.contract import EndStep, Logprob, PromptStep, Step, TokenStep
from ghostd.workers.messages import Ended, Message, Piece, Progress, TurnPiece

if TYPE_CHECKING:
    from ghostd.workers.turns.contract import Event
    from ghostd.workers.turns.parser import TurnReader


class DraftCount:
    """Tokens that were drafted for a reply, and those of them that became part of it."""

    def __init__(self) -> None:
        self.drafted = self.accepted = 0

    def add(self, step: TokenStep) -> None:
        """One more step."""
        self.drafted += step.drafted
        self.accepted += step.accepted


class Reply:
    """One generation on its way to the pool."""

    def __init__(self, send: Callable[[Message], None], request_id: int, prompt_tokens: int, text: TextStream) -> None:
        self._send = send
        self._id = request_id
        self._prompt_tokens = prompt_tokens
        self._cached_tokens = 0
        self._tokens = 0
        self._drafts = DraftCount()
        self._text = text

    def take(self, step: Step, timings_ms: Callable[[], list[float]]) -> bool:
        """Send what the step makes; True at the end, or at the first stop string. `timings_ms` is asked then."""
        if isinstance(step, PromptStep):
            self._cached_tokens = step.cached_tokens
            self._send(Progress(self._id))
        elif isinstance(step, EndStep):
            self._end(self._text.finish(), "stop" if self._text.stopped else step.reason, timings_ms())
            return True
        else:
            self._tokens += step.count
            self._drafts.add(step)
            text = self._text.feed(step.data)
            if self._text.stopped:
                self._end(text, "stop", timings_ms(), step.logprobs, step.ids)
                return True
            self._send(self._piece(text, step.logprobs, step.ids))
        return False

    def _end(
        self,
        text: str,
        reason: Literal["stop", "length"],
        timings_ms: list[float],
        logprobs: Sequence[Logprob] = (),
        ids: Sequence[int] = (),
    ) -> None:
        if text or logprobs or ids:
            self._send(self._piece(text, logprobs, ids))
        self._send(
            Ended(
                self._id,
                reason,
                self._prompt_tokens,
                self._tokens,
                self._cached_tokens,
                stop_text=self._text.stopped_by,
                timings_ms=timings_ms,
                drafted_tokens=self._drafts.drafted,
                accepted_tokens=self._drafts.accepted,
            )
        )

    def _piece(self, text: str, logprobs: Sequence[Logprob], ids: Sequence[int]) -> Piece:
        return Piece(self._id, text, _pack_logprobs(logprobs), list(ids), self._prompt_tokens, self._cached_tokens)


class TurnReply:
    """As Reply, for a turn that may have thoughts and tool calls. Stop strings count in the answer only."""

    def __init__(
        self, send: Callable[[Message], None], request_id: int, prompt_tokens: int, reader: TurnReader, stop: list[str]
    ) -> None:
        self._send = send
        self._id = request_id
        self._prompt_tokens = prompt_tokens
        self._cached_tokens = self._tokens = self._thought_tokens = 0
        self._drafts = DraftCount()
        self._reader = reader
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._answer = TextStream(stop)
        self._thoughts = self._text = ""
        self._calls: list[list[Any]] = []

    def take(self, step: Step, timings_ms: Callable[[], list[float]]) -> bool:
        """Send what the step makes; True at the end, the first stop string or the last call allowed."""
        if isinstance(step, PromptStep):
            self._cached_tokens = step.cached_tokens
            self._send(Progress(self._id))
        elif isinstance(step, EndStep):
            self._take(self._reader.feed(self._characters.decode(b"", final=True)))
            self._take(self._reader.finish())
            self._text += "" if self._answer.stopped else self._answer.finish()
            self._end("stop" if self._answer.stopped else step.reason, timings_ms())
            return True
        else:
            self._drafts.add(step)
            self._read(step.data, step.count, step.logprobs)
            if self._answer.stopped or self._reader.done:
                self._end("stop", timings_ms())
                return True
        return False

    def _read(self, data: bytes, count: int, logprobs: Sequence[Logprob]) -> None:
        reader = self._reader
        thinking, answering = reader.thinking, reader.answering
        self._take(reader.feed(self._characters.decode(data)))
        self._tokens += count
        if thinking or reader.thinking:
            self._thought_tokens += count
        self._flush(logprobs if answering and reader.answering else ())

    def _take(self, events: Sequence[Event]) -> None:
        from ghostd.workers.turns.contract import Said, Thought

        for event in events:
            if self._answer.stopped:
                return
            if isinstance(event, Said):
                if self._calls:
                    self._flush()
                self._text += self._answer.feed_text(event.text)
            elif isinstance(event, Thought):
                if self._calls or self._text:
                    self._flush()
                self._thoughts += event.text
            else:
                if event.name is not None:
                    self._text += self._answer.finish()
                call_id = None if event.name is None else f"call_{secrets.token_hex(12)}"
                self._calls.append([event.index, call_id, event.name, event.arguments])

    def _flush(self, logprobs: Sequence[Logprob] = ()) -> None:
        # An empty piece is sent too: the token is a sign of life.
        self._send(TurnPiece(self._id, self._thoughts, self._text, self._calls, _pack_logprobs(logprobs)))
        self._thoughts, self._text, self._calls = "", "", []

    def _end(self, reason: Literal["stop", "length"], timings_ms: list[float]) -> None:
        if self._thoughts or self._text or self._calls:
            self._flush()
        called = reason == "stop" and self._reader.calls > 0 and not self._answer.stopped
        self._send(
            Ended(
                self._id,
                "tool_calls" if called else reason,
                self._prompt_tokens,
                self._tokens,
                self._cached_tokens,
                self._thought_tokens,
                self._answer.stopped_by,
                timings_ms,
                self._drafts.drafted,
                self._drafts.accepted,
            )
        )


def _pack_logprobs(logprobs: Sequence[Logprob]) -> list[list[Any]]:
    return [
        [
            entry.token_id,
            entry.token.decode("latin-1"),
            entry.logprob,
            [
                [token.decode("latin-1"), value, number]
                for (token, value), number in zip(entry.top, entry.top_ids, strict=True)
            ],
        ]
        for entry in logprobs
    ]
