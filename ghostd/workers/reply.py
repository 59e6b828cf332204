"""One generation on its way from the engine to the pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from ghostd.workers.engines.contract import EndStep, Logprob, PromptStep, Step
from ghostd.workers.messages import Ended, Message, Piece, Progress
from ghostd.workers.text_stream import TextStream


class Reply:
    """One generation on its way to the pool."""

    def __init__(self, send: Callable[[Message], None], request_id: int, prompt_tokens: int, text: TextStream) -> None:
        self._send = send
        self._id = request_id
        self._prompt_tokens = prompt_tokens
        self._cached_tokens = 0
        self._tokens = 0
        self._text = text

    def follow(self, steps: Iterator[Step]) -> None:
        """Send what the steps make, up to the end or the first stop string."""
        for step in steps:
            if isinstance(step, PromptStep):
                self._cached_tokens = step.cached_tokens
                self._send(Progress(self._id))
            elif isinstance(step, EndStep):
                self._end(self._text.finish(), "stop" if self._text.stopped else step.reason)
                return
            else:
                self._tokens += step.count
                text = self._text.feed(step.data)
                if self._text.stopped:
                    self._end(text, "stop", step.logprobs, step.ids)
                    return
                self._send(Piece(self._id, text, _pack_logprobs(step.logprobs), list(step.ids)))

    def _end(
        self,
        text: str,
        reason: Literal["stop", "length"],
        logprobs: Sequence[Logprob] = (),
        ids: Sequence[int] = (),
    ) -> None:
        if text or logprobs or ids:
            self._send(Piece(self._id, text, _pack_logprobs(logprobs), list(ids)))
        self._send(Ended(self._id, reason, self._prompt_tokens, self._tokens, self._cached_tokens))


def _pack_logprobs(logprobs: Sequence[Logprob]) -> list[list[Any]]:
    return [
        [
            entry.token_id,
            entry.token.decode("latin-1"),
            entry.logprob,
            [[token.decode("latin-1"), value] for token, value in entry.top],
        ]
        for entry in logprobs
    ]
