"""How long after the client moved on the model was stopped."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from typing_parts.model import Start
from typing_parts.replay import Replayed

_COMPARED_CHARS = 60


def delays_ms(replayed: Replayed, *, keeps: bool) -> Iterator[float]:
    """From when a generation was of no use any more to its stop, for each one that was stopped for that.

    That is the key (with the cancel of the request before it) from which on the text before the cursor is not what
    the model has written; where it had not written so far, its first token that differs. `keeps` False: a server that
    ends each generation at the next key, whatever it says.
    """
    for start in replayed.starts:
        if start.stopped:
            since_s = _outdated_s(start, replayed) if keeps else _next_key_s(start, replayed)
            if since_s is not None and since_s <= start.ended_s:
                yield (start.ended_s - since_s) * 1000


def told(delays: list[float]) -> str:
    """Count, median and most."""
    return f"{len(delays)}: {statistics.median(delays):.1f}, {max(delays):.1f}" if delays else "0"


def _next_key_s(start: Start, replayed: Replayed) -> float | None:
    return next((one.asked_s for one in replayed.seen if one.asked_s > start.at_s), None)


def _outdated_s(start: Start, replayed: Replayed) -> float | None:
    """When the keys and the tokens first disagreed."""
    keys = [(one.asked_s, one.before) for one in replayed.seen]
    moments = sorted({at_s for at_s, _ in keys} | {at_s for at_s, _ in start.pieces})
    for moment_s in moments:
        before = next((text for at_s, text in reversed(keys) if at_s <= moment_s), None)
        if moment_s < start.at_s or before is None:
            continue
        path = start.prompt + "".join(text for at_s, text in start.pieces if at_s <= moment_s)
        if before[-_COMPARED_CHARS:] not in path and path[-_COMPARED_CHARS:] not in before:
            return moment_s
    return None
