"""JSON read one character at a time: coroutines that are sent characters.

Each takes a value's first character, which its caller has read, and returns a character that it read too many
(a number ends only where the next thing begins), or "" where it read just its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import Any

Reading = Generator[None, str, str]
Put = Callable[[str], None]

SPACE = " \n\r\t"
_MAX_DEPTH = 200
_MAX_NAME_CHARS = 256
_ESCAPES = '"\\/bfnrt'
_NUMBER = "0123456789+-.eE"


class Malformed(Exception):
    """What came is not what the syntax asks for here."""


def written(value: Any) -> str:
    """The value as JSON, readable unless it holds half a surrogate pair, which models do write."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def skip(put: Put = lambda _: None) -> Reading:
    """The first character that is not white space; white space goes to `put`."""
    while (char := (yield)) in SPACE:
        put(char)
    return char


def value(first: str, put: Put, depth: int = 0) -> Reading:
    """Any value, as written, into `put`."""
    if depth > _MAX_DEPTH:
        raise Malformed
    if first == '"':
        return (yield from string(first, put))
    if first == "{":
        return (yield from _object(put, depth))
    if first == "[":
        return (yield from _array(put, depth))
    if first not in "-0123456789tfn":
        raise Malformed
    put(first)
    for word in ("true", "false", "null"):
        if first == word[0]:
            for wanted in word[1:]:
                char = yield
                if char != wanted:
                    raise Malformed
                put(char)
            return ""
    while (char := (yield)) in _NUMBER:
        put(char)
    return char


def string(first: str, put: Put) -> Reading:
    """A string with its quotes, as written."""
    if first != '"':
        raise Malformed
    put(first)
    while True:
        char = yield
        if char == '"':
            put(char)
            return ""
        if char < " " and char not in "\n\t\r":
            raise Malformed
        put(char)
        if char == "\\":
            escape = yield
            if escape not in _ESCAPES and escape != "u":
                raise Malformed
            put(escape)


def _object(put: Put, depth: int) -> Reading:
    put("{")
    char = yield from skip(put)
    while char != "}":
        yield from string(char, put)
        char = yield from skip(put)
        if char != ":":
            raise Malformed
        put(char)
        char = yield from skip(put)
        char = yield from _after(char, put, depth)
        if char == ",":
            put(char)
            char = yield from skip(put)
            if char == "}":
                raise Malformed
        elif char != "}":
            raise Malformed
    put("}")
    return ""


def _array(put: Put, depth: int) -> Reading:
    put("[")
    char = yield from skip(put)
    while char != "]":
        char = yield from _after(char, put, depth)
        if char == ",":
            put(char)
            char = yield from skip(put)
            if char == "]":
                raise Malformed
        elif char != "]":
            raise Malformed
    put("]")
    return ""


def _after(first: str, put: Put, depth: int) -> Reading:
    """A value, and the first character after it that is not white space."""
    char = yield from value(first, put, depth + 1)
    if not char:
        return (yield from skip(put))
    if char in SPACE:
        put(char)
        return (yield from skip(put))
    return char


def until(marker: str, put: Put, held: str = "", *, most: int | None = None) -> Reading:
    """All text before the marker, released as soon as it cannot be the marker's beginning."""
    count = 0
    while True:
        if held.endswith(marker):
            put(held[: -len(marker)])
            return ""
        keep = overlap(held, marker)
        if keep < len(held):
            put(held[: len(held) - keep])
            held = held[len(held) - keep :]
        count += 1
        if most is not None and count > most:
            raise Malformed
        held += yield


def name_until(marker: str, held: str = "") -> Generator[None, str, str]:
    """A name that ends with the marker, which is no part of it."""
    parts: list[str] = []
    yield from until(marker, parts.append, held, most=_MAX_NAME_CHARS + len(marker))
    return "".join(parts)


def overlap(text: str, marker: str) -> int:
    """Length of the longest end of `text` that is a proper beginning of `marker`."""
    for length in range(min(len(text), len(marker) - 1), 0, -1):
        if text.endswith(marker[:length]):
            return length
    return 0
