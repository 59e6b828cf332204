"""Where a fill ends while the model still writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ghostd.completion.lexing import (
    C_LIKE,
    CLOSER,
    PLAIN,
    RUST,
    SCRIPT,
    Bracket,
    Syntax,
    chunk_after,
    chunk_before,
    lex,
)
from ghostd.completion.shape import opens_block

_CONTINUES = re.compile(
    r"(?:else|elif|except|finally|catch|case|default|end|elseif|elsif|rescue|ensure|when|while)\b|[)\]}]"
)
_TOP_LEVEL = re.compile(
    r"(?:async def|def|class|fn|func|function|pub|export|impl|struct|enum|interface|trait|import|from|package|namespace"
    r"|module|@\w|if __name__)\b|#!?\["
)
_ATTRIBUTE = re.compile(r"\s*(?:@\w|#\[)")
"""A decorator or an attribute: what it is for follows."""
_TAG_OPENED = re.compile(r"(?<![\w.)\]])<(?=[A-Za-z>])")
_TAG_CLOSED = re.compile(r"</|/>")
_MOST_LINES = 40
"""Of one statement: a model that opens one thing after the other never ends it, and each token is a new look at it."""
_MEETS_AT = 3
"""Characters that a line has at least for it to be recognised as the one below the cursor."""


@dataclass(frozen=True, slots=True)
class Halt:
    """What is known at the cursor; `end` is asked after each piece."""

    lines: bool
    """Whether several lines are wanted."""
    syntax: Syntax
    indent: int
    """Of the cursor's line."""
    line: str
    """The cursor's line up to the cursor."""
    below: str
    """The first line below the cursor that is not blank, with its indentation."""
    closers: int | None
    """Brackets that the text has to close; None where nothing can be said."""
    before: str
    """What the text's brackets are read after."""
    spare: int = 0
    """Closers behind the cursor for which nothing before it opens a bracket: the text does, and need not close it."""

    def end(self, text: str, *, complete: bool = False) -> int | None:
        """Where the text so far ends; None: not yet. `complete` says that nothing follows it."""
        found = [
            end
            for end in (
                self._line_end(text, complete=complete),
                self._block_end(text, complete=complete),
                self._bracket_end(text),
            )
            if end is not None
        ]
        return min(found, default=None)

    def settled(self, text: str) -> int:
        """How much of an unfinished text stays, whatever follows: all but a line of which that cannot be told yet."""
        start = text.rfind("\n") + 1
        line = text[start:]
        bare = line.strip()
        at_margin = not line.startswith((" ", "\t"))  # where more words end a text than at other places
        if start and (not bare or bare.isalnum() or at_margin or self.below.startswith(line.rstrip())):
            return start - 1
        return len(text)

    def _line_end(self, text: str, *, complete: bool) -> int | None:
        if self.lines:
            return None
        end = text.find("\n", 1 if text.startswith("\n") else 0)
        if self.closers is None or not text[:end].strip():
            return end if end >= 0 else None
        # The brackets, elements and long strings that the line has opened are written to their ends.
        at, depth, lines = len(self.before), 0, 1
        tokens = self.syntax.tokens.finditer(f"{self.before}{text}\n", at)
        match = next(tokens, None)
        while end >= 0:
            if lines == _MOST_LINES:
                return end
            while match is not None and match.end() - at <= end:
                if match.lastgroup == "begun" and (len(match[0]) > 1 or match[0] == "`"):
                    return None
                depth = max(depth + {"open": 1, "close": -1}.get(match.lastgroup or "", 0), 0)
                match = next(tokens, None)
            within = match is not None and match.start() - at < end
            if not within and depth <= self.spare and not self._goes_on(text[:end]):
                chained = self._chained(text, end, complete=complete)
                if not chained:
                    return None if chained is None else end
            end = text.find("\n", end + 1)
            lines += 1
        return None

    def _chained(self, text: str, end: int, *, complete: bool) -> bool | None:
        """Whether a statement that has no end yet, where it needs one, goes on with a dot on its next line; None where
        that cannot be told yet."""
        if self.syntax not in (RUST, C_LIKE) or text[:end].rstrip()[-1:] in (";", "{", "}", ",", ":"):
            return False
        following = text[end:].lstrip()
        return following.startswith(".") if following or complete else None

    def _goes_on(self, text: str) -> bool:
        """Whether a text in which no bracket is open wants another line."""
        last = text[text.rfind("\n") + 1 :] if "\n" in text else self.line + text
        if _ATTRIBUTE.match(last) or last.endswith("\\"):
            return True
        begun = (self.line + text).lstrip()
        return self.syntax is SCRIPT and begun.startswith("<") and not last.endswith(";") and _open_tags(begun) > 0

    def _block_end(self, text: str, *, complete: bool) -> int | None:
        start = text.find("\n") + 1
        if start == 0:
            return None
        opened = opens_block(self.line + text[: start - 1], self.syntax)
        deeper = False
        begun = bool(text[: start - 1].strip()) and not _ATTRIBUTE.match(self.line + text[: start - 1])
        while True:
            stop = text.find("\n", start)
            line = text[start : stop if stop >= 0 else len(text)]
            bare = line.strip()
            if bare:
                whole = stop >= 0 or complete
                if not whole and bare.isalnum():
                    return None  # a word that may become `else`
                indent = len(line) - len(line.lstrip(" \t"))
                if whole and self._meets(line):
                    return start - 1
                if self._leaves(bare, indent, opened=opened, deeper=deeper, begun=begun):
                    return start - 1
                deeper = deeper or indent > self.indent
                begun = begun or not _ATTRIBUTE.match(line)
            if stop < 0:
                return None
            start = stop + 1

    def _meets(self, line: str) -> bool:
        return len(self.below.strip()) >= _MEETS_AT and line.rstrip() == self.below.rstrip()

    def _leaves(self, bare: str, indent: int, *, opened: bool, deeper: bool, begun: bool) -> bool:
        if self.syntax.blocks == "none":
            return False
        continues = _CONTINUES.match(bare) is not None
        if indent < self.indent:
            return not (continues and bare[0] in ")]}" and self.closers != 0)
        if indent == self.indent and opened and deeper and not continues and self.indent > 0:
            return True
        return indent == 0 and self.indent == 0 and begun and _TOP_LEVEL.match(bare) is not None

    def _bracket_end(self, text: str) -> int | None:
        if self.closers is None or not any(closer in text for closer in ")]}"):
            return None
        at = len(self.before)
        extra = 0
        lexed = lex(self.before + text, self.syntax)
        gone = len(lex(self.before, self.syntax).opened) - sum(bracket.offset < at for bracket in lexed.opened)
        unopened = [bracket for bracket in lexed.closed if bracket.offset >= at]
        if gone <= self.closers and not unopened:
            return None
        # Read on bracket by bracket: the first one that closes more than there is to close ends the text.
        depth: list[int] = []
        for match in self.syntax.tokens.finditer(self.before + text, at if lexed.inside == "code" else 0):
            if match.start() < at:
                continue
            if match.lastgroup == "open":
                depth.append(match.start())
            elif match.lastgroup == "close":
                if depth:
                    depth.pop()
                    continue
                extra += 1
                if extra > self.closers:
                    return match.start() - at
        return None


def halt_at(prefix: str, suffix: str, syntax: Syntax, *, lines: bool) -> Halt:
    """What is known at this cursor."""
    line = prefix[prefix.rfind("\n") + 1 :]
    before = chunk_before(prefix)
    here = lex(before, syntax)
    after = lex(chunk_after(suffix), syntax)
    closers, spare = None, 0
    if syntax is not PLAIN and here.inside == "code" and not here.closed:
        closers = _left_to_close(here.opened, after.closed)
        spare = len(after.closed) - (len(here.opened) - closers)
    below = next((one for one in suffix.split("\n", 40)[1:40] if one.strip()), "")
    return Halt(lines, syntax, len(line) - len(line.lstrip(" \t")), line, below, closers, before, spare)


def _open_tags(text: str) -> int:
    """How many elements of JSX are open at a text's end."""
    return len(_TAG_OPENED.findall(text)) - len(_TAG_CLOSED.findall(text))


def _left_to_close(opened: Sequence[Bracket], closed: Sequence[Bracket]) -> int:
    """How many of the brackets opened before the cursor are not closed behind it: the fewest for which the kinds agree.

    Behind `if (a` a "}" closes no "(": it belongs to a block that the hole has yet to open.
    """
    wanted = [CLOSER[bracket.text] for bracket in reversed(opened)]
    found = [bracket.text for bracket in closed]
    return next(
        count
        for count in range(len(wanted) + 1)
        if len(wanted) - count <= len(found) and found[len(found) - len(wanted) + count :] == wanted[count:]
    )
