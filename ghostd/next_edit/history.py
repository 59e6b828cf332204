"""What a session has edited lately, as lines before and after.

Noting a change costs time in proportion to its lines, not to the file: keystrokes in lines that were edited already
become part of that edit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

MAX_EDITS = 32
MAX_LINES = 80
"""Of one edit: what is larger was pasted, or made by a formatter, and has nothing to say of the next one."""
MAX_CHARS = 16_000
"""Of one edit, before and after together."""
_MAX_UNDONE = 64
_MAX_FORGOTTEN = 256

Undone = tuple[Path, tuple[str, ...], tuple[str, ...]]
"""File, lines before and lines after."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines that were replaced. Lines have their ends."""

    path: Path
    """Absolute."""
    line: int
    """0-based: where `after` begins in the document as it is now."""
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def end(self) -> int:
        """The line behind `after`."""
        return self.line + len(self.after)


class EditHistory:
    """One session's edits, the last one at the end. An edit that is taken back is gone."""

    def __init__(self) -> None:
        self.version = 0
        """Grows with every change."""
        self._edits: list[Edit] = []
        self._undone: deque[Undone] = deque(maxlen=_MAX_UNDONE)
        self._forgotten: deque[Undone] = deque(maxlen=_MAX_FORGOTTEN)
        """Edits that are no longer followed: they are too old, or have been written over. To take one back is no new
        edit."""

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The oldest first."""
        return tuple(self._edits)

    @property
    def undone(self) -> frozenset[Undone]:
        """The edits that somebody made, and took back."""
        return frozenset(self._undone)

    def note(self, path: Path, line: int, before: Sequence[str], after: Sequence[str]) -> None:
        """Lines of a document have been replaced; `line` is 0-based, lines have their ends."""
        first, before, after = _trimmed(before, after)
        if not before and not after:
            return
        self.version += 1
        raw = Edit(path, line + first, tuple(before), tuple(after))
        end, moved = raw.line + len(raw.before), len(raw.after) - len(raw.before)
        kept: list[Edit] = []
        touched: Edit | None = None
        lost: list[Edit] = []
        for old in self._edits:
            if old.path != path or (old.end <= raw.line and not old.line == old.end == raw.line):
                kept.append(old)
            elif old.line >= end and not old.line == old.end == raw.line:
                kept.append(replace(old, line=old.line + moved))
            else:
                lost += [touched] if touched is not None else []
                touched = old  # of several the newest goes on, the others have been written over
        edit = raw if touched is None else _joined(touched, raw)
        if edit is None and touched is not None:
            lost.append(touched)
        if edit is not None and (inverse := (path, edit.after, edit.before)) in self._forgotten:
            self._forgotten.remove(inverse)
            self._undone.append(inverse)
        elif touched is not None and edit is not None and edit.before == edit.after:
            self._undone.append((path, touched.before, touched.after))
        elif edit is not None and _is_small(edit):
            kept.append(edit)
            key = path, edit.before, edit.after
            if key in self._undone:
                # Done again: what followed it was undone before it, and may follow again.
                while self._undone.popleft() != key:
                    pass
        lost += kept[:-MAX_EDITS]
        self._forgotten += [(old.path, old.before, old.after) for old in lost]
        self._edits = kept[-MAX_EDITS:]

    def forget(self, path: Path) -> None:
        """A document has been closed, or replaced as a whole: what was edited in it has no place any more."""
        self.version += 1
        self._edits = [edit for edit in self._edits if edit.path != path]


def _trimmed(before: Sequence[str], after: Sequence[str]) -> tuple[int, Sequence[str], Sequence[str]]:
    """Without the lines that are the same at both ends; the first is how many lines were left out at the start."""
    start, most = 0, min(len(before), len(after))
    while start < most and before[start] == after[start]:
        start += 1
    end = 0
    while end < most - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return start, before[start : len(before) - end], after[start : len(after) - end]


def _joined(old: Edit, new: Edit) -> Edit | None:
    """Both edits as one; `new` replaces lines of what is there since `old`."""
    if not _is_small(new):
        return None
    head = new.before[: max(old.line - new.line, 0)]
    tail = new.before[max(old.end - new.line, 0) :]
    now = (*head, *old.after, *tail)
    first = min(old.line, new.line)
    at = new.line - first
    after = (*now[:at], *new.after, *now[at + len(new.before) :])
    return Edit(new.path, first, (*head, *old.before, *tail), after)


def _is_small(edit: Edit) -> bool:
    chars = sum(map(len, edit.before)) + sum(map(len, edit.after))
    return max(len(edit.before), len(edit.after)) <= MAX_LINES and chars <= MAX_CHARS
