"""Secrets that were handed out in this process, and their removal from what is written down."""

from __future__ import annotations

import json
import re
import threading
from urllib.parse import quote

REDACTED = "[redacted]"

MIN_CHARS = 8
"""Shorter values stay: local servers are given "none" or "ollama" as a key, and those are words of the log."""
_MAX_VALUES = 4096
"""A command may print another token each time; the oldest are dropped."""

_lock = threading.Lock()
"""Values come from the event loop and from threads."""
_values: dict[str, None] = {}
_pattern: re.Pattern[str] | None = None
"""Matches them all; None until it is needed again."""


def remember(value: str) -> None:
    """Have `redact` remove this value from now on, also where it is escaped for JSON, a URL or `repr`."""
    global _pattern  # noqa: PLW0603 (the one registry of the process: logging is global, too)
    if len(value) < MIN_CHARS:
        return
    with _lock:
        if value in _values:
            return
        while len(_values) >= _MAX_VALUES:
            del _values[next(iter(_values))]
        _values[value] = None
        _pattern = None


def redact(text: str) -> str:
    """`text` without any value that was handed out."""
    global _pattern  # noqa: PLW0603
    if not _values:
        return text
    pattern = _pattern
    if pattern is None:
        with _lock:
            forms = {form for value in _values for form in _forms(value)}
            pattern = re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True))))
            _pattern = pattern
    return pattern.sub(REDACTED, text)


def _forms(value: str) -> tuple[str, ...]:
    return value, quote(value, safe=""), json.dumps(value)[1:-1], repr(value)[1:-1]
