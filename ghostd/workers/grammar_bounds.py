"""Bounds on grammars and schemas: llama.cpp compares each alternative with every other, and writes repetitions out.

Beyond them one request would hold up its model for minutes, or end its process.
"""

from __future__ import annotations

import re
from typing import Any

from ghostd.workers.engines.contract import RequestInvalid

MAX_ALTERNATIVES = 5000
"""Of a whole schema or grammar. So many take a tenth of a second, and twenty times as many a minute."""
MAX_LEAST = 100_000
"""Characters or items that must come at least."""
MAX_MOST = 1000
"""Characters or items that may come at most. Each that may be absent nests the grammar deeper."""

MAX_DEPTH = 1000
"""Of groups inside groups in a grammar, which is read by recursion."""

_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"?|\[(?:\\.|[^\]\\])*\]?|#[^\n]*', re.DOTALL)
"""Literals, classes of characters and comments, also those without an end."""
_REPETITION = re.compile(r"\{\s*(\d*)\s*(?:,\s*(\d*)\s*)?\}")


def check_grammar(grammar: str) -> None:
    """Raises RequestInvalid for a GBNF grammar that would end the process, or hold it up.

    Its groups may be too deep, since they are read by recursion, or its alternatives too many.
    """
    depth = deepest = choices = 0
    for character in re.findall(r"[()|]", _QUOTED.sub("", grammar)):
        choices += character == "|"
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise RequestInvalid(f"The grammar cannot be used: its groups are nested deeper than {MAX_DEPTH}.", "grammar")
    if choices > MAX_ALTERNATIVES:
        raise RequestInvalid(
            f"The grammar cannot be used: it has {choices} alternatives (|), more than {MAX_ALTERNATIVES}.", "grammar"
        )


def bounded(schema: dict[str, Any]) -> None:
    """Make one part of a schema fit: a limit that is too high to be enforced is left out.

    Raises RequestInvalid where that cannot be.
    """
    for name in ("minLength", "minItems"):
        least = schema.get(name)
        if isinstance(least, int) and least > MAX_LEAST:
            raise _too_many(f"'{name}'", MAX_LEAST)
    for name in ("maxLength", "maxItems"):
        most = schema.get(name)
        if isinstance(most, int | float) and most > MAX_MOST:
            del schema[name]
    if isinstance(pattern := schema.get("pattern"), str):
        for least, most in _REPETITION.findall(pattern):
            if _above(least, MAX_LEAST) or _above(most, MAX_MOST):
                raise _too_many("a repetition in 'pattern'", MAX_MOST)


def alternatives(schema: dict[str, Any]) -> int:
    """How many values or schemas one part of a schema can be."""
    return sum(len(found) for name in ("enum", "anyOf", "oneOf") if isinstance(found := schema.get(name), list))


def _above(digits: str, limit: int) -> bool:
    digits = digits.lstrip("0")  # int() refuses thousands of them
    return len(digits) > len(str(limit)) or int(digits or "0") > limit


def _too_many(what: str, limit: int) -> RequestInvalid:
    return RequestInvalid(
        f"The JSON schema cannot be used: {what} is more than a local model is held to (at most {limit}).",
        "response_format",
    )
