"""Where the parts of a fill prompt begin and end, chosen so that the next key's prompt begins alike.

A model that has kept a prompt reads a new one from the first token on that differs. So what a prompt quotes stays
where it was: the window's start moves by many lines at a time, the text below the cursor keeps its end, and where a
family was trained with the prefix first, what was typed since comes after the middle marker, behind everything else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ghostd.completion.window import last_lines, start_of

FRESH_LINES = 8
"""Lines after the middle marker at most, the cursor's own not counted."""
FRESH_CHARS = 1024
Pieces = tuple[tuple[str, str], ...]
"""(name, text) of what is quoted of other files."""

_SUFFIX_SHARE = 0.25
_LEAST_SHARE = 0.25
"""Of its room that a window may fall to before its start moves back up."""
_HEAD_CHARS = 256
"""By which a window's first lines are found again when text was added or taken away above them."""
_FREE_CHARS = 2560
"""Some 64 lines: by so much a window's start moves."""
_CLOSERS = frozenset(")]}>'\"`")
_AUTO_CLOSED_CHARS = 4
"""Closing brackets and quotes that an editor puts behind the cursor by itself, at most."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """What of a prompt stays from key to key."""

    pieces: Pieces
    start: int
    """Where the window begins, in characters of the text before the cursor."""
    stable: str
    """The window's text up to the line where the fresh text begins."""
    suffix: str
    """What is quoted of the text behind the cursor."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One prompt. `anchor.stable + fresh` is the end of the text before the cursor."""

    anchor: Anchor
    fresh: str

    @property
    def before(self) -> str:
        """The window's text up to the cursor."""
        return self.anchor.stable + self.fresh


def lay_out(
    anchor: Anchor | None,
    prefix: str,
    suffix: str,
    chars: int,
    pieces: Pieces = (),
    *,
    closed: bool = False,
    idle: bool = False,
) -> Layout:
    """The prompt for this cursor: as much as possible as `anchor` has it, with about `chars` characters of the file.

    `closed`: brackets and quotes that have appeared behind the cursor may be left out, as the editor closes them by
    itself and takes them out of the reply. `idle`: there is time to read much, so that what must move soon moves now.
    """
    below = _suffix(anchor, prefix, suffix, chars, closed=closed)
    start = _start(anchor, prefix, max(chars - len(below), 1), idle=idle)
    if anchor is not None and below == anchor.suffix and prefix.startswith(anchor.stable, start):
        fresh = prefix[start + len(anchor.stable) :]
        if _is_short(fresh) and not (idle and fresh.count("\n") > FRESH_LINES // 2):
            return Layout(replace(anchor, pieces=pieces, start=start), fresh)
    boundary = _boundary(prefix, start)
    return Layout(Anchor(pieces, start, prefix[start:boundary], below), prefix[boundary:])


def _is_short(fresh: str) -> bool:
    return len(fresh) <= FRESH_CHARS and fresh.count("\n") <= FRESH_LINES


def _suffix(anchor: Anchor | None, prefix: str, suffix: str, chars: int, *, closed: bool) -> str:
    share = int(chars * _SUFFIX_SHARE)
    # Where there is little before the cursor there may be more behind it, with room for what will be typed.
    most = max(share, chars - len(prefix) - share)
    if anchor is not None:
        old = anchor.suffix
        same = suffix.startswith(old) or (closed and _auto_closed(suffix, old))
        fits = len(old) <= share or len(old) + len(prefix) <= chars
        if same and fits and 2 * len(old) >= min(share, len(suffix)):
            return old
        if same and not fits:
            most = share  # in one step
    return suffix if len(suffix) + len(prefix) <= chars - share // 2 else start_of(suffix, most)


def _auto_closed(suffix: str, old: str) -> bool:
    """Whether the text behind the cursor is the old one but for closers right behind it."""
    for count in range(1, _AUTO_CLOSED_CHARS + 1):
        if count > len(suffix) or suffix[count - 1] not in _CLOSERS:
            return False
        if suffix.startswith(old, count):
            return True
    return False


def _start(anchor: Anchor | None, prefix: str, room: int, *, idle: bool) -> int:
    if anchor is not None and (start := _found(anchor, prefix)) is not None:
        size = len(prefix) - start
        if (start == 0 or size >= room * _LEAST_SHARE) and size <= room and not (idle and size > 0.9 * room):
            return start
    # Something is left free, or the start would have to move with the next lines.
    return len(prefix) - len(last_lines(prefix, room if len(prefix) <= room else room - min(room // 4, _FREE_CHARS)))


def _found(anchor: Anchor, prefix: str) -> int | None:
    """Where the anchored window begins now; None where its first lines are gone."""
    if anchor.start == 0:
        return 0
    head = anchor.stable[:_HEAD_CHARS]
    if not head or anchor.start > len(prefix):
        return None
    if prefix.startswith(head, anchor.start):
        return anchor.start
    found = prefix.find(head)
    return found if found >= 0 and (found == 0 or prefix[found - 1] == "\n") else None


def _boundary(prefix: str, start: int) -> int:
    """Where fresh text begins: at the line above the cursor's, so that what is deleted there is fresh, too."""
    line = prefix.rfind("\n", start) + 1
    if line <= start:
        line = start
    else:
        above = prefix.rfind("\n", start, line - 1) + 1
        line = max(above, start) if line - above < FRESH_CHARS // 2 else line
    if len(prefix) - line > FRESH_CHARS:
        line += (len(prefix) - line) // FRESH_CHARS * FRESH_CHARS
    return line
