"""From the text of a turn, piece by piece, to answer, thoughts and tool calls."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import Protocol

from ghostd.workers.turns.bare import Bare
from ghostd.workers.turns.contract import Body, Enough, Event, Said, Sink, Syntax, Thought, ToolSpec
from ghostd.workers.turns.families import Family
from ghostd.workers.turns.json_stream import Malformed, overlap, until


class TurnReader(Protocol):
    """Reads one turn."""

    @property
    def thinking(self) -> bool:
        """Whether the turn is in its thoughts."""
        ...

    @property
    def answering(self) -> bool:
        """Whether the turn is in its answer: neither in thoughts nor in a call."""
        ...

    @property
    def calls(self) -> int:
        """Calls that have begun."""
        ...

    @property
    def done(self) -> bool:
        """Whether the turn has all that it may have."""
        ...

    def feed(self, text: str) -> list[Event]:
        """What became clear by this text."""
        ...

    def finish(self) -> list[Event]:
        """What was still open at the end; markers that led to nothing are text."""
        ...

    def opened(self) -> str | None:
        """Once for each call that a grammar could take over now: what was written of it."""
        ...


_LONGEST_START = 100
"""Characters of a call after which no grammar takes over any more."""


class _Markers:
    """Texts to look for."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self._texts = texts
        longest_first = sorted(texts, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if texts else None

    def search(self, text: str) -> re.Match[str] | None:
        """The first one in the text."""
        return None if self._pattern is None else self._pattern.search(text)

    def begun(self, text: str) -> int:
        """Length of the text's end that may be the beginning of one."""
        return max((overlap(text, marker) for marker in self._texts), default=0)


class TurnParser:
    """Reads turns whose thoughts and calls stand between markers.

    White space between an answer and the thoughts or calls around it belongs to neither.
    """

    def __init__(
        self, family: Family, syntax: Syntax | None, tools: Mapping[str, ToolSpec], *, thinking: bool, single: bool
    ) -> None:
        """`syntax` is None where no calls are expected; `single` ends the turn with its first call."""
        self._thoughts = family.thoughts
        self._frames = frozenset(family.frames)
        self._syntax = syntax
        self._sink = Sink(tools, 1 if single else None)
        self._single = single
        self._thinking = thinking
        self._held = ""
        self._space = ""
        self._begun = False  # whether the present part has any text
        self._follows = thinking  # whether something came before it, so that white space between is neither's
        self._body: Body | None = None
        self._raw: list[str] = []
        self._calls_before = 0
        self._offered = False
        self._events: list[Event] = []
        thoughts, calls = family.thoughts, () if syntax is None else syntax.openers
        self._in_thoughts = _Markers(() if thoughts is None else (thoughts.closer,))
        self._at_start = _Markers((*calls, *family.frames, *(() if thoughts is None else (thoughts.opener,))))
        self._in_answer = _Markers((*calls, *family.frames))

    @property
    def thinking(self) -> bool:
        """Whether the turn is in its thoughts."""
        return self._thinking and self._body is None

    @property
    def answering(self) -> bool:
        """Whether the turn is in its answer."""
        return not self._thinking and self._body is None

    @property
    def calls(self) -> int:
        """Calls that have begun."""
        return self._sink.count

    @property
    def done(self) -> bool:
        """Whether the turn has all that it may have."""
        return self._single and self._sink.count > 0 and self._body is None

    def opened(self) -> str | None:
        """What was written of a call that a grammar could take over now."""
        if self._body is None or self._offered or self._syntax is None:
            return None
        raw = "".join(self._raw)
        begins = self._syntax.begins(raw)
        self._offered = begins or len(raw) > _LONGEST_START
        return raw if begins else None

    def feed(self, text: str) -> list[Event]:
        """What became clear by this text."""
        while text and not self.done:
            text = self._in_call(text) if self._body is not None else self._outside(text)
        return self._taken()

    def finish(self) -> list[Event]:
        """What was still open."""
        while self._body is not None:
            body, raw = self._body, "".join(self._raw)
            self._body = None
            body.close()
            if self._sink.count == self._calls_before:
                rest = self._feed_back(raw)
                while rest:
                    rest = self._in_call(rest) if self._body is not None else self._outside(rest)
        if self._held or self._space:
            held, self._held, space, self._space = self._held, "", self._space, ""
            if held or not (self._thinking or (self._follows and not self._begun) or self._sink.count):
                self._put(space + held)
        return self._taken()

    def _taken(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    # --- text and thoughts ------------------------------------------------------

    def _outside(self, text: str) -> str:
        text, self._held = self._held + text, ""
        if isinstance(self._syntax, Bare) and not self._begun and not self._thinking:
            start = text.lstrip()
            if start.startswith(self._syntax.starts):
                self._space += text[: len(text) - len(start)]
                self._begin_call(self._syntax.starts)
                return start[1:]
        markers = self._in_thoughts if self._thinking else self._in_answer if self._begun else self._at_start
        match = markers.search(text)
        if match is not None and markers is self._at_start and text[: match.start()].strip():
            # The answer begins before the marker, and inside an answer no thoughts begin.
            markers = self._in_answer
            match = markers.search(text)
        if match is None:
            keep = markers.begun(text)
            self._release(text[: len(text) - keep])
            self._held = text[len(text) - keep :]
            return ""
        self._release(text[: match.start()])
        self._marker(match[0])
        return text[match.end() :]

    def _marker(self, marker: str) -> None:
        thoughts = self._thoughts
        if marker in self._frames or (thoughts is not None and marker in (thoughts.opener, thoughts.closer)):
            if marker not in self._frames:
                self._thinking = not self._thinking
                self._begun, self._follows = False, True
            self._space = ""
        else:
            self._begin_call(marker)

    def _release(self, text: str) -> None:
        """Text that is no marker. White space at its end waits for what comes next."""
        text = self._space + text
        if self._follows and not self._begun:
            text = text.lstrip()
        shown = text.rstrip()
        self._space = text[len(shown) :]
        if shown:
            self._put(shown)

    def _put(self, text: str) -> None:
        self._begun = True
        self._events.append(Thought(text) if self._thinking else Said(text))

    # --- calls ------------------------------------------------------------------

    def _begin_call(self, opener: str) -> None:
        assert self._syntax is not None
        self._body = self._syntax.body(opener, self._sink)
        self._raw = [opener]
        self._calls_before = self._sink.count
        self._offered = False
        next(self._body)

    def _in_call(self, text: str) -> str:
        """Feed the call's body; returns what is left of the text when it is over."""
        body = self._body
        assert body is not None
        read = 0
        try:
            for char in text:
                read += 1
                body.send(char)
        except StopIteration as end:
            self._end_call()
            return str(end.value or "") + text[read:]
        except Enough:
            self._end_call()
            return ""
        except (Malformed, ValueError, RecursionError):
            return self._malformed(text, read)
        self._raw.append(text)
        self._events.extend(self._sink.taken())
        return ""

    def _end_call(self) -> None:
        self._events.extend(self._sink.taken())
        self._body = None
        self._space = ""
        self._begun, self._follows = False, True

    def _malformed(self, text: str, read: int) -> str:
        """A call that is none: text, or where it has been announced already the rest of its arguments."""
        assert self._syntax is not None
        if self._sink.count > self._calls_before:
            self._body = _rest_of(self._syntax.closer, self._sink)
            next(self._body)
            return text[read - 1 :]
        raw = "".join(self._raw) + text[:read]
        self._body = None
        return self._feed_back(raw) + text[read:]

    def _feed_back(self, raw: str) -> str:
        """Show what looked like a call; what follows its first opener is looked at anew."""
        opener = self._raw[0]
        self._raw = []
        self._put(self._space + opener)
        self._space = ""
        return raw[len(opener) :]


def _rest_of(closer: str, sink: Sink) -> Generator[None, str, str]:
    """What is left of a call that went wrong: as the model wrote it."""
    if not closer:
        while True:
            sink.arguments((yield))
    return (yield from until(closer, sink.arguments))
