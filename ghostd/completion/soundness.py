"""A text that would bring syntax errors into a sound file, cut back: the grammar's word, where brackets and strings are
in order."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

from ghostd.code_ports import SyntaxCheck
from ghostd.completion.lexing import Syntax, chunk_after, chunk_before, syntax_of, whole_chunk
from ghostd.types import FillRequest

_WINDOW_CHARS = 8000
"""Before the cursor and behind it: the grammar sees whole definitions, not the file."""
_MOST_LINES = 8
"""That are cut off the end, one after the other, to look whether the rest is sound."""
_MANUAL_S = 0.25
"""A user who asks for a completion waits for the grammar, too."""
_UNFINISHED = " \t,;:.|&+-*/%<>=\\"
_NEEDS_MORE = re.compile(r"\s*[@#]")
"""A decorator, an attribute, a directive: not wrong, but for what has to come."""
_HEAD = re.compile(
    r"\s*(?:[})]\s*)?(?:pub|fn|func|function|impl|if|else|for|foreach|while|loop|match|switch|struct|enum|union|trait"
    r"|interface|class|record|namespace|mod|module|type|template|try|catch|unsafe|async|await|inline|comptime|export"
    r"|default|abstract|declare|public|private|protected|internal|static|final|sealed|override|virtual|extern)\b"
)
"""What begins a block in braces, which is cut off where it is not closed; the rest of the line is the grammar's."""
_HEAD_BEHIND = re.compile(r"=\s.*\b(?:match|switch|if|else|loop|unsafe|struct|enum|union)\b")
"""The same amid a statement, which ends behind the block."""
_MACROS = re.compile(r"^[ \t]*#|\b[A-Z][A-Z0-9_]{2,}\b|\b[A-Z]\w*\(", re.MULTILINE)
"""What may be a directive or a macro of C's, of which the grammar does not know what it stands for."""
_PREPROCESSED = frozenset((".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh"))


class SyntaxGuard:
    """For one place. Made while a model is asked: the file as it is has been looked at when the text comes.

    Close it.
    """

    def __init__(self, check: SyntaxCheck, request: FillRequest, wait_s: float) -> None:
        self._check = check
        self._request = request
        self._wait_s = wait_s if request.trigger == "automatic" else max(wait_s, _MANUAL_S)
        self._syntax = syntax_of(request.language, request.path)
        name = "" if request.path is None else request.path.suffix.lower()
        self._preprocessed = request.language in ("c", "cpp") or (not request.language and name in _PREPROCESSED)
        self._around = "", ""
        self._sound = asyncio.get_running_loop().create_task(self._look(), name="syntax of a file")

    async def kept(self, text: str) -> str:
        """As much of a text as leaves a sound file sound; all of it where that is not told in time."""
        if not text.strip() or (self._preprocessed and _MACROS.search(text)):
            return text
        try:
            async with asyncio.timeout(self._wait_s):
                if not await self._sound:
                    return text
                before, after = self._around
                tried = list(_parts(text, before, self._syntax))
                number = await self._first(*(before + probe + after for _, probe in tried))
        except TimeoutError:
            return text
        if number is None:
            return text
        return tried[number][0] if number < len(tried) else ""

    def close(self) -> None:
        """End what it has begun."""
        self._sound.cancel()

    async def _look(self) -> bool:
        """Whether the file as it is, around the place, is known to be sound."""
        request = self._request
        before, after = (
            chunk_before(request.prefix, _WINDOW_CHARS),
            chunk_after(request.suffix, _WINDOW_CHARS),
        )
        if self._syntax.blocks not in ("indentation", "brackets"):
            return False
        if not whole_chunk(request.prefix, request.suffix, before, after):
            return False
        self._around = before, after
        return await self._first(before + after) == 0

    async def _first(self, *texts: str) -> int | None:
        return await self._check.first_sound(self._request.language, self._request.path, texts)


def _parts(text: str, before: str, syntax: Syntax) -> Iterator[tuple[str, str]]:
    """What may be shown, the longest first, each with the text that has to be sound for that: a block's head is sound
    with a block."""
    lines = text.split("\n")
    last = lines[-1] if len(lines) > 1 else before[before.rfind("\n") + 1 :] + text
    indent = last[: len(last) - len(last.lstrip())]
    yield text, text
    if syntax.blocks == "indentation" and last.rstrip().endswith(":"):
        yield text, f"{text} pass"
        yield text, f"{text} pass\n{indent}finally: pass"
    finished = text.rstrip(_UNFINISHED)
    if syntax.blocks == "brackets" and finished == text.rstrip() and _HEAD.match(last):
        yield text, f"{text} {{}}"
        yield text, f"{text} {{}} finally {{}}"
    elif syntax.blocks == "brackets" and finished == text.rstrip() and _HEAD_BEHIND.search(last):
        yield text, f"{text} {{}};"
    if _NEEDS_MORE.match(last):
        yield text, "\n".join(lines[:-1]) if len(lines) > 1 else ""
    if finished != text.rstrip() and finished.strip():
        yield finished, finished
    for count in range(len(lines) - 1, max(len(lines) - 1 - _MOST_LINES, 0), -1):
        part = "\n".join(lines[:count]).rstrip()
        if part.strip():
            yield part, part
