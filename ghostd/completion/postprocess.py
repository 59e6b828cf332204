"""Cutting a model's fill to what an editor should show, while it streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, closing, contextmanager, nullcontext
from dataclasses import replace

from ghostd.completion.halting import Halt
from ghostd.completion.lexing import Syntax
from ghostd.completion.soundness import SyntaxGuard
from ghostd.completion.tidy import tidy
from ghostd.types import Delta, Ending, FillRequest, Usage

Halting = Callable[[], Halt]
"""What is known at the cursor. Finding it out takes up to some milliseconds; to be asked again, nothing."""


async def limit_chars(deltas: AsyncGenerator[Delta, None], max_chars: int) -> AsyncGenerator[Delta, None]:
    """The stream up to `max_chars` characters; the generation behind it ends there.

    A server that takes no notice of the limit of tokens would write on for ever, and to look at a long text after each
    piece of it takes time that grows with its square.
    """
    left = max_chars
    async with aclosing(deltas):
        async for delta in deltas:
            if len(delta.text) > left:
                usage = delta.usage or delta.counted or Usage(prompt_tokens=0, completion_tokens=0)
                yield replace(delta, text=delta.text[:left], finish_reason="length", usage=usage)
                return
            left -= len(delta.text)
            yield delta


async def limit_lines(deltas: AsyncGenerator[Delta, None], max_lines: int) -> AsyncGenerator[Delta, None]:
    """The stream up to the end of its `max_lines`-th line; the generation behind it ends there.

    A fill that starts with a line break starts on a new line, which does not count as one of its lines.
    """
    seen = ""
    async with aclosing(deltas):
        async for delta in deltas:
            body_start = 1 if (seen + delta.text).startswith("\n") else 0
            whole = seen + delta.text
            end = body_start - 1
            for _ in range(max_lines):
                end = whole.find("\n", end + 1)
                if end < 0:
                    break
            if end >= 0:
                yield replace(
                    delta,
                    text=whole[len(seen) : end],
                    finish_reason="stop",
                    usage=delta.usage or delta.counted or Usage(prompt_tokens=0, completion_tokens=0),
                )
                return
            seen = whole
            yield delta


async def ended_by(deltas: AsyncGenerator[Delta, None], ending: Ending) -> AsyncGenerator[Delta, None]:
    """The stream up to where `ending` ends it; the generation behind it ends there."""
    clock = asyncio.get_running_loop().time
    until: float | None = None
    indent: int | None = None  # of the line so far that has nothing else; None within a line's text
    broken = False
    async with aclosing(deltas):
        async for delta in deltas:
            if until is None and delta.text and ending.max_ms is not None:
                until = clock() + ending.max_ms / 1000
            cut, indent = _outdented(delta.text, indent, ending.min_indent)
            broken = broken or "\n" in delta.text
            late = until is not None and broken and clock() >= until
            if delta.finish_reason is None and (cut is not None or late):
                yield replace(delta, text=delta.text[:cut], finish_reason="length", usage=delta.counted)
                return
            yield delta


async def until_tokens(deltas: AsyncGenerator[Delta, None], stops: frozenset[int]) -> AsyncGenerator[Delta, None]:
    """The stream up to the first of these tokens, none of which has a text; the generation behind it ends there."""
    async with aclosing(deltas):
        async for delta in deltas:
            at = next((place for place, token in enumerate(delta.tokens) if token in stops), None)
            if at is None or delta.finish_reason is not None:
                yield delta
                continue
            # Tokens without a text come with the next one that has one: only what stands last may be kept.
            text = delta.text if at == len(delta.tokens) - 1 else ""
            yield Delta(text, "stop", delta.usage or delta.counted or Usage(0, 0), tokens=delta.tokens[:at])
            return


async def halted(deltas: AsyncGenerator[Delta, None], halting: Halting) -> AsyncGenerator[Delta, None]:
    """The stream up to where the halt ends it; the generation behind it ends there.

    What may turn out to stand behind that end is held back: a line that has only just begun.
    """
    text, given = "", 0
    with _soon(halting):
        async with aclosing(deltas):
            async for delta in deltas:
                text += delta.text
                end = halting().end(text, complete=delta.finish_reason is not None)
                if end is not None:
                    usage = delta.usage or delta.counted or Usage(0, 0)
                    yield replace(delta, text=text[given:end], finish_reason="stop", usage=usage)
                    return
                upto = len(text) if delta.finish_reason is not None else halting().settled(text)
                if upto > given or delta.finish_reason is not None:
                    yield replace(delta, text=text[given:upto])
                    given = max(given, upto)


async def tidied(
    deltas: AsyncGenerator[Delta, None],
    request: FillRequest,
    syntax: Syntax,
    halting: Halting | None,
    guarding: Callable[[FillRequest], SyntaxGuard | None] = lambda _: None,
) -> AsyncGenerator[Delta, None]:
    """The text for an editor, in one delta; the generation ends as soon as the halt says so."""
    text, last = "", Delta()
    confidence: float | None = None
    guard = guarding(request)
    with _soon(halting), closing(guard) if guard is not None else nullcontext():
        async with aclosing(deltas):
            async for delta in deltas:
                text += delta.text
                last = delta
                confidence = delta.confidence if delta.confidence is not None else confidence
                complete = delta.finish_reason is not None
                if halting is not None and (end := halting().end(text, complete=complete)) is not None:
                    text = text[:end]
                    last = replace(delta, finish_reason="stop", usage=delta.usage or delta.counted or Usage(0, 0))
                    break
        text = tidy(text, request.prefix, request.suffix, syntax)
        if guard is not None:
            text = await guard.kept(text)
    yield Delta(
        text,
        last.finish_reason,
        last.usage,
        confidence=confidence,
        stop_sequence=last.stop_sequence,
    )


@contextmanager
def _soon(halting: Halting | None) -> Iterator[None]:
    """Look at the cursor's surroundings while the model is waited for, which is asked in this turn of the loop."""
    if halting is None:
        yield
        return
    looking = asyncio.get_running_loop().call_soon(halting)
    try:
        yield
    finally:
        looking.cancel()


async def trimmed(deltas: AsyncGenerator[Delta, None], suffix: str) -> AsyncGenerator[Delta, None]:
    """The text of a model that knows what to show, in one delta, without an end that repeats the suffix."""
    text, last = "", Delta()
    confidence: float | None = None
    async with aclosing(deltas):
        async for delta in deltas:
            text += delta.text
            last = delta
            confidence = delta.confidence if delta.confidence is not None else confidence
    yield replace(last, text=trim_overlap(text, suffix), confidence=confidence)


def _outdented(text: str, indent: int | None, least: int) -> tuple[int | None, int | None]:
    """Where a new line of the text begins too far left, if one does, and the indent of a line that has only begun."""
    for position, character in enumerate(text):
        if character == "\n":
            indent = 0
        elif indent is not None and character in " \t":
            indent += 1
        elif indent is not None:
            if indent < least:
                return position, None
            indent = None
    return None, indent


def trim_overlap(text: str, suffix: str) -> str:
    """`text` without an end that repeats what already stands after the cursor.

    Two repeats are cut: the rest of the cursor's own line (a closing bracket, say), and a last line of `text`
    that equals the first non-blank line below the cursor.
    """
    rest_of_line, _, below = suffix.partition("\n")
    rest = rest_of_line.strip()
    first, newline, _ = text.partition("\n")
    if rest and not newline and first.rstrip().endswith(rest):
        return first.rstrip()[: -len(rest)]
    if newline:
        next_line = next((line.strip() for line in below.split("\n") if line.strip()), "")
        lines = text.rstrip().split("\n")
        if len(next_line) > 2 and len(lines) > 1 and lines[-1].strip() == next_line:
            return "\n".join(lines[:-1]).rstrip()
    return text
