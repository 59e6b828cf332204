"""What a campaign found, as tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from faults.caller import Outcome
from faults.cells import Cell, Done
from faults.fault import Fault, Phase

_OUTCOMES: tuple[Outcome, ...] = ("ok", "partial", "error", "silent", "broken", "hang")
_PHASES: dict[Phase, str] = {
    "before": "before the first byte",
    "during": "in the middle of a stream",
    "refusal": "the request itself refused",
    "odd": "odd but legitimate",
}


def table(cells: Sequence[Cell]) -> str:
    """A line for each fault, both modes and all layouts together."""
    lines = [_head("fault", "touches"), "|---" * 12 + "|"]
    by_fault: dict[Fault, list[Cell]] = {}
    for cell in cells:
        by_fault.setdefault(cell.fault, []).append(cell)
    for fault, own in by_fault.items():
        done = [one for cell in own for one in cell.done]
        touches = sum(len(cell.upstream.asked) for cell in own)
        lines.append(f"| {fault.name} | {_figures(own, done)} | {_latencies(done)} | {touches} |")
    return "\n".join(lines)


def summary(cells: Sequence[Cell]) -> str:
    """A line for each phase."""
    lines = [_head("the fault shows"), "|---" * 11 + "|"]
    for phase, title in _PHASES.items():
        own = [cell for cell in cells if cell.fault.phase == phase]
        done = [one for cell in own for one in cell.done]
        if done:
            lines.append(f"| {title} | {_figures(own, done)} | {_latencies(done)} |")
    done = [one for cell in cells for one in cell.done]
    lines.append(f"| all | {_figures(cells, done)} | {_latencies(done)} |")
    return "\n".join(lines)


def problems(cells: Iterable[Cell]) -> list[str]:
    """What should not have happened."""
    return [line for cell in cells for line in cell.problems()]


def quantile(values: Iterable[float], share: float) -> float:
    """The nearest-rank quantile; NaN of nothing."""
    ranked = sorted(values)
    return ranked[min(math.ceil(share * len(ranked)), len(ranked)) - 1] if ranked else math.nan


def _head(first: str, *last: str) -> str:
    outcomes = ("ok", "honest part", "honest error", "silent", "broken", "hang")
    return f"| {' | '.join((first, 'requests', *outcomes, 'as wanted', 'p50 ms', 'p99 ms', *last))} |"


def _figures(cells: Sequence[Cell], done: Sequence[Done]) -> str:
    counts = [sum(one.verdict.outcome == outcome for one in done) for outcome in _OUTCOMES]
    wanted = sum(cell.accepts(one.verdict) for cell in cells for one in cell.done)
    return " | ".join([str(len(done)), *map(str, counts), f"{100 * wanted / max(len(done), 1):.2f} %"])


def _latencies(done: Sequence[Done]) -> str:
    times = [one.answer.total_s * 1000 for one in done]
    return f"{quantile(times, 0.5):.0f} | {quantile(times, 0.99):.0f}"
