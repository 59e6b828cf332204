"""What a file's name tells beside its language: that it holds secrets, or data that nobody would quote."""

from __future__ import annotations

import fnmatch
import re
from functools import lru_cache

_DATA_LANGUAGES = frozenset(("po", "svg"))
_PROSE = frozenset(("markdown", "restructuredtext", "plaintext", "latex", "html"))
_DATA_NAMES = frozenset(
    (
        *("package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "cargo.lock"),
        *(
            "poetry.lock",
            "uv.lock",
            "pdm.lock",
            "pipfile.lock",
            "composer.lock",
            "gemfile.lock",
            "flake.lock",
            "go.sum",
        ),
    )
)
_DATA_ENDINGS = (".map", ".min.js", ".min.css", ".min.mjs")
_MINIFIED_BYTES = 3_000
_MINIFIED_LINE_BYTES = 400
"""Bytes of an average line from which on text that is no prose counts as minified."""


def is_data(name: str, language: str, source: bytes) -> bool:
    """Whether a file is translations, locked versions, drawn or minified: it has no chunks."""
    lower = name.lower()
    if language in _DATA_LANGUAGES or lower in _DATA_NAMES or lower.endswith(_DATA_ENDINGS):
        return True
    if len(source) <= _MINIFIED_BYTES or language in _PROSE:
        return False
    return len(source) > _MINIFIED_LINE_BYTES * (source.count(b"\n") + 1)


def holds_secrets(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a base name, in any case, fits one of the patterns and none of those that begin with "!"."""
    secret, free = _compiled(patterns)
    lower = name.lower()
    return secret.match(lower) is not None and free.match(lower) is None


@lru_cache(maxsize=8)
def _compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What is secret, and what is not although it looks so."""
    free = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return _any_of([pattern for pattern in patterns if not pattern.startswith("!")]), _any_of(free)


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    """An expression that fits what one of the patterns fits; with none, it fits nothing."""
    return re.compile("|".join(fnmatch.translate(pattern.lower()) for pattern in patterns) or r"(?!)")
