"""What changed together with the definition at the cursor, for people who ask why something is quoted."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ghostd.code_ports import GitHistory, Index
from ghostd.context_reports import ChangedTogether
from ghostd.resolve.scopes import scope_at

_SHOWN = 10
_KINDS = frozenset(
    ("function", "method", "class", "struct", "interface", "trait", "enum", "union", "module", "type", "macro")
)


async def changed_together(
    index: Index, history: GitHistory | None, root: Path, path: PurePosixPath, offset: int, timeout_s: float
) -> tuple[str, list[ChangedTogether]]:
    """(the innermost definition around a byte offset, what changed with it); empty where it takes longer."""
    inside = ""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            scope = scope_at(await index.outline(root, path), offset)
            own = next((symbol for symbol in reversed(scope) if symbol.kind in _KINDS), None)
            if own is None:
                return "", []
            inside = f"{own.container}.{own.name}" if own.container else own.name
            if history is None:
                return inside, []
            found = await history.symbols_co_changed(root, path, inside, _SHOWN)
            return inside, [ChangedTogether(str(one.path), one.name, one.score, one.commits) for one in found]
    return inside, []
