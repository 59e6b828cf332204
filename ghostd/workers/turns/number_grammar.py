"""Integers between two bounds, as the body of a GBNF rule."""

from __future__ import annotations

from collections.abc import Iterator

MAX_DIGITS = 16
"""Of an integer without a bound."""


def integers(least: int | None, most: int | None) -> str | None:
    """Alternatives for the integers from `least` to `most`, None being no bound; None where there are none."""
    limit = 10**MAX_DIGITS - 1
    low = -limit if least is None else max(least, -limit)
    high = limit if most is None else min(most, limit)
    ways = []
    if low < 0:
        ways += [f'"-" {digits}' for digits in _of_any_length(max(1, -high), -low)]
    ways += _of_any_length(max(0, low), high)
    return " | ".join(ways) if ways else None


def _of_any_length(low: int, high: int) -> Iterator[str]:
    if low > high:
        return
    for length in range(len(str(low)), len(str(high)) + 1):
        least = max(low, 10 ** (length - 1) if length > 1 else 0)
        yield _between(str(least), str(min(high, 10**length - 1)))


def _between(low: str, high: str) -> str:
    """Digits from `low` to `high`, which are of one length."""
    if low == high:
        return f'"{low}"'
    rest = len(low) - 1
    if not rest:
        return f"[{low}-{high}]"
    if low[0] == high[0]:
        return f'"{low[0]}" ({_between(low[1:], high[1:])})'
    first, last = int(low[0]), int(high[0])
    ways = []
    if low[1:] != "0" * rest:
        ways.append(f'"{first}" ({_between(low[1:], "9" * rest)})')
        first += 1
    tail = None
    if high[1:] != "9" * rest:
        tail = f'"{last}" ({_between("0" * rest, high[1:])})'
        last -= 1
    if first <= last:
        ways.append(f"[{first}-{last}] [0-9]{{{rest}}}")
    return "(" + " | ".join((*ways, tail) if tail else ways) + ")"
