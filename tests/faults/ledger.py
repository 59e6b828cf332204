"""Whether the ledger and the caller tell the same story."""

from __future__ import annotations

from collections.abc import Sequence

from faults.caller import Outcome
from faults.cells import Cell, Done
from faults.daemon import Daemon
from faults.replies import usage

_STATUSES: dict[Outcome, tuple[str, ...]] = {
    "ok": ("ok",),
    "error": ("error", "refused"),
    "partial": ("partial",),
    "silent": ("ok",),
    "broken": ("error", "partial"),
    "hang": ("cancelled",),
}


async def disagreements(daemon: Daemon, cells: Sequence[Cell]) -> list[str]:
    """A line for each request that has not exactly one row, or one that tells something else."""
    done = [(cell, one) for cell in cells for one in cell.done]
    rows: dict[str, list[dict[str, object]]] = {}
    for row in await daemon.requests(2 * len(done) + 100):
        rows.setdefault(str(row["project"]), []).append(row)
    found = []
    for cell, one in done:
        own = rows.pop(one.call.nonce, [])
        if len(own) != 1:
            found.append(f"{cell.title}: {len(own)} rows in the ledger for one request")
        elif told := _differences(cell, one, own[0]):
            found.append(f"{cell.title}: the caller saw {one.verdict.outcome}, the ledger says {told}")
    return [*found, *(f"the ledger has {len(own)} rows of {nonce!r}" for nonce, own in rows.items())]


def _differences(cell: Cell, one: Done, row: dict[str, object]) -> dict[str, object]:
    wanted: dict[str, tuple[object, ...]] = {
        "status": _STATUSES[one.verdict.outcome],
        # of a stream that broke the ledger tells which error it was, though its caller had seen 200
        "http_status": (one.answer.status,) if one.verdict.outcome != "partial" else (502, 504),
        "model": (cell.route,),
        "stream": (cell.mode == "stream", int(cell.mode == "stream")),
        "client": ("campaign",),
    }
    if one.verdict.outcome == "ok":
        wanted["completion_tokens"] = (usage(one.call.nonce)["completion_tokens"],)
        wanted["prompt_tokens"] = (usage(one.call.nonce)["prompt_tokens"],)
    return {name: row.get(name) for name, values in wanted.items() if row.get(name) not in values}
