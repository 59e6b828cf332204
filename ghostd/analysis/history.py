"""What git tells of a project, in brief. Without history, or while it is being read, the parts are empty."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from ghostd.code_ports import GitHistory
from ghostd.committed import FileChange
from ghostd.project_reports import ChangedFile, HistoryReport, HotSpot

_MAX_CHANGES = 100
_MAX_COMMITS = 20
_MAX_HOT_SPOTS = 30
_WAIT_S = 5.0
"""The rest is worth telling without it."""


async def history_report(history: GitHistory | None, root: Path, sizes: Mapping[str, int]) -> HistoryReport:
    """`sizes` are the indexed files' bytes by path: files that are gone are no hot spots."""
    if history is None:
        return HistoryReport("none")
    state = history.state(root)
    try:
        async with asyncio.timeout(_WAIT_S):
            state = await history.wait_read(root)
            if state.state != "ready":
                return HistoryReport(state.state, state.detail)
            churn = await history.churn(root, 10 * _MAX_HOT_SPOTS)
            branch = await history.branch(root)
            uncommitted = await history.uncommitted(root)
            recent = await history.commits(root, limit=10)
    except TimeoutError:
        return HistoryReport("reading", f"git's history did not answer within {_WAIT_S:.0f} s")
    spots = [
        HotSpot(path, one.commits, round(one.score, 3), sizes[path])
        for one in churn
        if (path := str(one.path)) in sizes
    ]
    spots.sort(key=lambda spot: (-spot.churn * spot.size_bytes, spot.path))
    return HistoryReport(
        "ready",
        state.detail,
        branch.name if branch is not None else "",
        branch.base if branch is not None else "",
        [commit.subject for commit in branch.commits[:_MAX_COMMITS]] if branch is not None else [],
        _changed(branch.changes) if branch is not None else [],
        _changed(uncommitted),
        spots[:_MAX_HOT_SPOTS],
        [commit.subject for commit in recent],
    )


def _changed(changes: Sequence[FileChange]) -> list[ChangedFile]:
    return [ChangedFile(str(change.path), change.kind) for change in changes[:_MAX_CHANGES]]
