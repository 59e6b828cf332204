"""What makes a stream of chunks a whole, well-formed one: equally strict whether it is translated or relayed."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import takewhile
from typing import Literal

import msgspec

from ghostd.errors import UpstreamError, UpstreamFailed, UpstreamMalformed
from ghostd.providers.openai.types import CHUNK, WireChoice, WireChunk, WireUsage
from ghostd.types import Usage

DONE = b"[DONE]"

_TEXT: dict[Literal["delta", "text"], bytes] = {"delta": b'"content":"', "text": b'"text":"'}
_INSIDE = re.compile(rb'[^"\\\x00-\x1f]*(?:\\["\\/bfnrt][^"\\\x00-\x1f]*)*')
"""The inside of a JSON string (RFC 8259, 7), but for escapes by number, which may be wrong in pairs."""
_BESIDE = b" "
"""Put between texts to look at them at once: none can end in half of an escape unseen."""
_WINDOW_BYTES = 16 * 1024
"""So much is skimmed at once, so that one event that differs does not have many others looked at again."""


class StreamCheck:
    """Looks at one stream of chat or completion chunks, event by event."""

    __slots__ = (
        "_after", "_before", "_begun", "_between", "_error", "_first", "_loose", "_member", "_open", "_upstream",
        "done", "reasons", "usage",
    )  # fmt: skip

    def __init__(
        self,
        upstream: str,
        error: Callable[[bytes], UpstreamError],
        *,
        member: Literal["delta", "text"] = "delta",
        loose: bool = False,
    ) -> None:
        """`error` makes ghostd's error of an event that holds an error object. `member` is what a choice must have.

        `loose` allows what some services do: empty chunks that repeat the role, and empty ones after the finish, which
        tell the usage.
        """
        self._upstream = upstream
        self._error = error
        self._member = member
        self._loose = loose
        self._first = b""
        """The first event, if it only opens the message."""
        self._before = self._after = self._between = b""
        """What stands before the text in the stream's events of text, after it, and between two such texts; b"" until
        one has come."""
        self._begun = False
        self._open: set[int] = set()
        """Choices that have not finished."""
        self.reasons: dict[int, str] = {}
        """Why the others have, in the upstream's words."""
        self.usage: WireUsage | None = None
        self.done = False
        """Whether `[DONE]` came."""

    @property
    def holding(self) -> bool:
        """Whether nothing has come yet that shows that the model works."""
        return not self._begun

    @property
    def complete(self) -> bool:
        """Whether every choice has finished."""
        return bool(self.reasons) and not self._open

    @property
    def reason(self) -> str | None:
        """Why the first choice finished."""
        return self.reasons.get(0) or next(iter(self.reasons.values()), None)

    def counted(self) -> Usage | None:
        """The tokens, None where the upstream has not told them."""
        return self.usage.counted() if self.usage is not None else None

    def skim(self, events: bytes, start: int) -> int:
        """Where the first event at or behind `start` lies that is not an earlier, good event of text with another text.

        Most events of a stream are such; to decode them only to pass them on would cost ten times as much.
        """
        before, after = self._before, self._after
        if not before or self.done or 0 not in self._open:
            return start
        while events.startswith(before, start):
            first = start + len(before)
            window = events[first : first + _WINDOW_BYTES]
            texts = window[: max(window.rfind(after), 0)].split(self._between)
            if not all(texts) or _INSIDE.fullmatch(_BESIDE.join(texts)) is None:
                good = [*takewhile(lambda text: text and _INSIDE.fullmatch(text), texts)]
            else:
                good = texts
            start += sum(map(len, good)) + len(good) * (len(before) + len(after))
            if len(good) < len(texts):
                break
        return start

    def _learn(self, data: bytes, text: str) -> None:
        """Note how a good piece of text of the only choice is written."""
        raw = text.encode()
        at = data.find(_TEXT[self._member] + raw + b'"')
        if at < 0 or b"\\" in raw or _INSIDE.fullmatch(raw) is None or data.count(_TEXT[self._member]) != 1:
            return
        at += len(_TEXT[self._member])
        self._before, self._after = b"data: " + data[:at], data[at + len(raw) :] + b"\n\n"
        self._between = self._after + self._before

    def take(self, data: bytes) -> WireChunk | None:
        """The next event; None for `[DONE]`. Raises UpstreamError where it breaks the dialect, or tells an error."""
        if self.done:
            raise self._malformed("its stream goes on after its end")
        if data == DONE:
            if not self.complete:
                raise self._malformed("its stream ended before the reply was complete")
            self.done = True
            return None
        try:
            chunk = CHUNK.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._malformed("an event of its stream is not a valid chunk") from None
        if chunk.error is not None:
            raise self._error(data)
        if chunk.usage is not None:
            self.usage = chunk.usage
        choices = chunk.choices
        if choices:
            for choice in choices:
                self._take_choice(choice, data, told_usage=chunk.usage is not None)
            if not self._before and len(choices) == 1 and chunk.usage is None and 0 in self._open:
                text = choices[0].text if choices[0].delta is None else choices[0].delta.content
                if isinstance(text, str) and text:
                    self._learn(data, text)
        elif choices is None and chunk.usage is None:
            raise self._malformed("an event of its stream is not a chunk")
        return chunk

    def end(self) -> None:
        """The body is complete; raises UpstreamMalformed where the reply is not."""
        if not self.complete:
            raise self._malformed("its stream ended before the reply was complete")

    def _take_choice(self, choice: WireChoice, data: bytes, *, told_usage: bool) -> None:
        index, reason, delta = choice.index, choice.finish_reason or None, choice.delta
        if delta is None:
            says = bool(choice.text)
            if self._member == "delta" and not (self._begun or self._loose) and reason is None:
                raise self._malformed("an event of its stream is not a chat chunk")
        else:
            says = (delta.content is not None and delta.content != "") or delta.says()
        if index in self.reasons:
            if says or not self._loose or (reason is not None and not told_usage):
                raise self._malformed("its stream goes on after the reply was finished")
            return
        self._open.add(index)
        if reason is not None:
            if reason == "error":
                raise UpstreamFailed("the model failed while it answered", 500, self._upstream)
            self._open.discard(index)
            self.reasons[index] = reason
        elif not says and not self._loose:
            if data == self._first:
                raise self._malformed("its stream begins twice")
            if not self._first:
                self._first = data
        if says or reason is not None:
            self._begun = True

    def _malformed(self, problem: str) -> UpstreamMalformed:
        return UpstreamMalformed(problem, self._upstream)
