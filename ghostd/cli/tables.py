"""Figures for people: aligned columns, and texts that cannot command the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import click

UNKNOWN = "?"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> None:
    """Print columns under their heads; those whose numbers are in `right` are aligned to the right."""
    shown = [head, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[number]) for row in shown) for number in range(len(head))]
    for row in shown:
        cells = (
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        click.echo("  ".join(cells).rstrip())


def printable(text: str) -> str:
    """The text with everything replaced that is no character to see: names come from whoever sent the request."""
    return "".join(character if character.isprintable() else "�" for character in text)


def count(value: int | None) -> str:
    """A number of things; "?" for None."""
    return UNKNOWN if value is None else str(value)


def dollars(value: float | None, unknown: int = 0) -> str:
    """An amount, with a "+?" where `unknown` further amounts belong to it; "?" for None."""
    if value is None:
        return UNKNOWN
    return f"{value:.{2 if value >= 1000 else 4}f}{'+?' if unknown else ''}"
