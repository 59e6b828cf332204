"""What git history says of the definition at the cursor, for people who ask why something is quoted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

import msgspec

from ghostd.code_ports import GitHistory, Index
from ghostd.committed import Hunk
from ghostd.context_reports import ChangedTogether, ContextReport, LastChange
from ghostd.indexed import Symbol
from ghostd.resolve.scopes import scope_at

_SHOWN = 10
_CHANGES_SHOWN = 3
_KINDS = frozenset(
    ("function", "method", "class", "struct", "interface", "trait", "enum", "union", "module", "type", "macro")
)


async def with_history(
    report: ContextReport, index: Index, history: GitHistory | None, root: Path, offset: int, timeout_s: float
) -> ContextReport:
    """The report with the innermost definition around a byte offset, its lines' commits, and what changed with it.

    What takes longer is left out.
    """
    path = PurePosixPath(report.path)
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            scope = scope_at(await index.outline(root, path), offset)
            own = next((symbol for symbol in reversed(scope) if symbol.kind in _KINDS), None)
            if own is None:
                return report
            inside = f"{own.container}.{own.name}" if own.container else own.name
            report = msgspec.structs.replace(report, inside=inside)
            if history is None:
                return report
            found = await history.symbols_co_changed(root, path, inside, _SHOWN)
            together = [ChangedTogether(str(one.path), one.name, one.score, one.commits) for one in found]
            report = msgspec.structs.replace(report, changed_together=together)
            return msgspec.structs.replace(report, last_changes=await _last_changes(index, history, root, own))
    return report


async def _last_changes(index: Index, history: GitHistory, root: Path, own: Symbol) -> list[LastChange]:
    """The commits that left the definition's lines as they are, the newest first."""
    text = await index.text(root, own.path)
    changed = next((one for one in await history.uncommitted(root) if one.path == own.path), None)
    if text is None or (changed is not None and changed.kind == "added"):
        return []
    lines = range(own.line, own.line + text[own.span.start : own.span.end].count(b"\n") + 1)
    before = changed.old_path or own.path if changed is not None else own.path
    found = await history.commits(root, before, committed(lines, changed.hunks if changed else ()), _CHANGES_SHOWN)
    return [LastChange(one.id, one.time_s, one.subject) for one in found]


def committed(lines: range, hunks: Sequence[Hunk]) -> range:
    """The lines of the file as last committed that stand for these of the file as it is now."""
    first, stop = lines.start, lines.stop
    for hunk in hunks:
        removed = hunk.removed.count("\n") + (hunk.removed[-1:] not in ("", "\n"))
        longer = removed - (hunk.last_line - hunk.first_line + 1)
        if hunk.first_line < lines.stop:
            stop += longer
        if hunk.last_line < lines.start:
            first += longer
    return range(first, max(first, stop))
