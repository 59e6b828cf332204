"""Streams of servers whose text events are not OpenAI's: llama-server's `/infill`, TGI's `/generate_stream`."""

from __future__ import annotations

from dataclasses import dataclass

from ghostd.errors import UpstreamError, UpstreamMalformed
from ghostd.providers.openai.errors import told_error
from ghostd.providers.openai.stream import DONE
from ghostd.types import FinishReason, TokenLogprob, Usage


@dataclass(frozen=True, slots=True)
class TextEvent:
    """What one event says."""

    text: str = ""
    finish: str | None = None
    """Why the reply ended, in the server's words; None while it goes on."""
    usage: Usage | None = None
    logprobs: tuple[TokenLogprob, ...] = ()


class TextCheck:
    """Holds a stream of text events to its form; subclasses read the events."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.done = False
        """Whether the event came that ends the reply."""
        self.reason: str | None = None
        self._usage: Usage | None = None
        self._begun = False

    @property
    def holding(self) -> bool:
        """Whether nothing has come yet."""
        return not self._begun

    def counted(self) -> Usage | None:
        """The tokens, once the reply has ended."""
        return self._usage

    def read(self, data: bytes) -> TextEvent | None:
        """The event in this JSON; None where it is none. Raises msgspec.DecodeError, UnicodeDecodeError."""
        raise NotImplementedError

    def skim(self, events: bytes, start: int) -> int:
        """Every event is looked at."""
        return start

    def take(self, data: bytes) -> TextEvent | None:
        """The next event; None for a mark of the end. Raises UpstreamError."""
        if data == DONE and self.done:
            return None
        if self.done:
            raise self.malformed("its stream goes on after its end")
        try:
            event = self.read(data)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            raise self.malformed("an event of its stream is not valid") from None
        if event is None:
            raise self._told(data)
        self._begun = True
        if event.finish is not None:
            self.done, self.reason, self._usage = True, event.finish, event.usage
        return event

    def end(self) -> None:
        """The body is complete; raises UpstreamMalformed where the reply is not."""
        if not self.done:
            raise self.malformed("its stream ended before the reply was complete")

    def finish(self) -> FinishReason:
        """OpenAI's word for the reason."""
        return "length" if self.reason in {"limit", "length"} else "stop"

    def malformed(self, problem: str) -> UpstreamMalformed:
        """The error for a broken stream."""
        return UpstreamMalformed(problem, self.upstream)

    def _told(self, data: bytes) -> UpstreamError:
        if b'"error"' in data:
            return told_error(data, self.upstream)
        return self.malformed("an event of its stream is not what was asked for")
