"""Manifest files as plain values: bounded, and empty where they are not what they should be.

A manifest is other people's text. One that is too large, too deep or malformed counts as an empty one; nothing here
raises. Values are told apart by `text`, `table`, `texts` where they are used.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

import msgspec

from ghostd.resolve.comments import without_comments

MAX_MANIFEST_BYTES = 1024 * 1024
MAX_MANIFESTS = 5000
"""So many of one language are read; in order of depth, then path."""

Table = Mapping[str, Any]
"""A JSON object or TOML table, not looked at yet."""
_EMPTY: Table = {}

_STRING_OR_COMMA = re.compile(r'("(?:[^"\\\n]|\\.)*+"?)|,(?=\s*[}\]])')


_LONG_KEY = re.compile(r"(?<![\w-])(?:(?:[\w-]{1,100}|\"[^\"\n]{0,100}\"|'[^'\n]{0,100}')[ \t]{0,9}\.[ \t]{0,9}){32}")
"""tomllib's time for a key grows with the square of its parts."""


def read_json(data: bytes | None) -> Table:
    """A JSON object, also with comments and trailing commas, as tsconfig.json and jsconfig.json have them."""
    if data is None or len(data) > MAX_MANIFEST_BYTES:
        return _EMPTY
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return table(msgspec.json.decode(data))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    try:
        text = without_comments(data.decode("utf-8"), "//", ("/*", "*/"))
        return table(msgspec.json.decode(_STRING_OR_COMMA.sub(lambda match: match[1] or "", text)))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _EMPTY


def read_toml(data: bytes | None) -> Table:
    """A TOML document."""
    if data is None or len(data) > MAX_MANIFEST_BYTES:
        return _EMPTY
    try:
        return parse_toml(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return _EMPTY


def parse_toml(text: str) -> Table:
    """The same of a text; raises ValueError or RecursionError."""
    if _LONG_KEY.search(text):
        raise ValueError("a key has too many parts")
    return tomllib.loads(text)


def decoded(data: bytes | None) -> str:
    """Text to be looked through; "" where there is too much of it."""
    return "" if data is None or len(data) > MAX_MANIFEST_BYTES else data.decode("utf-8", "replace")


def table(value: object) -> Table:
    """The value if it is a table, else an empty one."""
    return value if isinstance(value, Mapping) else _EMPTY


def inside(value: Table, *keys: str) -> Table:
    """The table at the end of these keys, else an empty one."""
    for key in keys:
        value = table(value.get(key))
    return value


def text(value: object) -> str:
    """The value if it is a string, else ""."""
    return value if isinstance(value, str) else ""


def texts(value: object) -> tuple[str, ...]:
    """The strings of a list; a string alone counts as a list of one."""
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
