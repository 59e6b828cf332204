"""Where in a TOML file a setting stands."""

from __future__ import annotations

import re
from collections.abc import Sequence


def line_of(text: str, keys: Sequence[str]) -> str:
    """ ":N" for the line that sets `keys`, or the nearest table that holds it; "" when neither is found.

    tomllib keeps no positions, so this looks for the table header and the key as people write them.
    """
    wanted = [key.strip("\"'") for key in keys]
    table: list[str] = []
    best = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[?([^\]]+)\]\]?\s*(#.*)?$", line):
            table = _split_key(header[1])
            if table and table == wanted[: len(table)]:
                best = f":{number}"
        elif assignment := re.match(r"\s*((?:\"[^\"]*\"|'[^']*'|[\w. -])+?)\s*=", line):
            full = table + _split_key(assignment[1])
            if full == wanted:
                return f":{number}"
            if full == wanted[: len(full)]:
                best = f":{number}"
    return best


def _split_key(text: str) -> list[str]:
    return [a or b or c for a, b, c in re.findall(r"\"([^\"]*)\"|'([^']*)'|([^\s.\"']+)", text)]
