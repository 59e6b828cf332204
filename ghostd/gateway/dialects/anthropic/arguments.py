"""A tool call's arguments while they stream: always the beginning of a JSON object, whatever the model writes.

The official SDKs read every beginning of them, and break off at the first that is not JSON's.
"""

from __future__ import annotations

import re

import msgspec

_SPACE = " \t\r\n"
_PLAIN = re.compile(r'[^"\\\x00-\x1f]+')
_HIGH, _LOW = r"u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf'\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{{4}}|{_HIGH}{_LOW})')
_CUT_LOW = r"\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?"
_CUT_ESCAPE = re.compile(rf"\\(?:u[0-9a-fA-F]{{0,3}}|{_HIGH}(?:{_CUT_LOW})?)?")
"""May still become one: of a pair of surrogates, too."""
_SCALAR = re.compile(r"[-+.0-9A-Za-z]+")
_SCALARS = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_MAX_SCALAR_CHARS = 1000
_MAX_DEPTH = 150
"""The SDKs read 200 levels."""
_CLOSED = {"{": "}", "[": "]"}
_OBJECT = "an object"
"""Stands before the object has begun."""


class Arguments:
    """Gives out what is surely JSON as it comes. At the first character that is not, the object is closed, with what
    the model wrote from there on as its member INVALID_JSON.
    """

    __slots__ = ("_held", "_inside", "_next", "_rest", "_stack")

    def __init__(self) -> None:
        self._stack: list[str] = []
        self._next = _OBJECT
        """What may come: the object, "key", "key or end", "colon", "value", "value or end", "comma", or "end"."""
        self._inside: str | None = None
        """The kind of string that has been begun: "key" or "value"."""
        self._held = ""
        self._rest: list[str] | None = None

    def feed(self, piece: str) -> str:
        """What to give out for the next piece."""
        if self._rest is not None:
            self._rest.append(piece)
            return ""
        text, at = self._held + piece, 0
        size = len(text)
        while at < size:
            step = self._string(text, at) if self._inside else self._structure(text, at)
            if step == 0:
                break  # more must come first
            if step < 0:
                self._held = ""
                self._rest = [text[at:]]
                return text[:at]
            at += step
        self._held = text[at:]
        return text[:at]

    def finish(self, *, cut: bool = False) -> str:
        """What is left to give out: nothing of an object that is whole, whatever follows it, and of none at all.

        `cut`: the reply has reached its limit of tokens. Then an object that was begun stays so, as with Anthropic's
        own models: clients know what `max_tokens` means.
        """
        if cut and self._rest is None and self._next != _OBJECT:
            return ""
        rest = self._held if self._rest is None else "".join(self._rest)
        if self._next == "end" or (self._next == _OBJECT and rest.strip(_SPACE) in ("", "null")):
            return ""
        told = f'"INVALID_JSON":{_quoted(rest)}}}'
        if self._next == _OBJECT:
            return "{" + told
        inner = self._stack[1:]
        if not inner and not self._inside and self._next in ("key", "key or end"):
            return told
        return self._completed() + "".join(_CLOSED[kind] for kind in reversed(inner)) + "," + told

    def _completed(self) -> str:
        """What the innermost object or array lacks before it can be closed."""
        if self._inside:
            return '":null' if self._inside == "key" else '"'
        return {"colon": ":null", "value": "null", "key": '"":null'}.get(self._next, "")

    def _string(self, text: str, at: int) -> int:
        """How many characters of a string are good: 0 if more must be seen, -1 if the next is bad."""
        if plain := _PLAIN.match(text, at):
            return plain.end() - at
        if text[at] == '"':
            self._next = "colon" if self._inside == "key" else self._after()
            self._inside = None
            return 1
        if text[at] != "\\":
            return -1
        if escape := _ESCAPE.match(text, at):
            return escape.end() - at
        return 0 if _CUT_ESCAPE.fullmatch(text, at) else -1

    def _structure(self, text: str, at: int) -> int:
        character, wanted = text[at], self._next
        if character in _SPACE:
            return 1
        if wanted == _OBJECT and character == "{":
            return self._open("{")
        if wanted == "colon":
            self._next = "value" if character == ":" else wanted
            return 1 if character == ":" else -1
        if wanted in ("key", "key or end") and character == '"':
            self._inside = "key"
            return 1
        if wanted in ("comma", "key or end", "value or end") and character in ("}", "]", ","):
            return self._proceed(character)
        return self._value(text, at) if wanted in ("value", "value or end") else -1

    def _proceed(self, character: str) -> int:
        """The end of an object or array, or the comma before what is next in it."""
        if character == _CLOSED[self._stack[-1]]:
            self._stack.pop()
            self._next = self._after()
            return 1
        if character != "," or self._next != "comma":
            return -1
        self._next = "key" if self._stack[-1] == "{" else "value"
        return 1

    def _value(self, text: str, at: int) -> int:
        character = text[at]
        if character in "{[":
            return self._open(character)
        if character == '"':
            self._inside, self._next = "value", "value"
            return 1
        scalar = _SCALAR.match(text, at)
        if scalar is None or scalar.end() - at > _MAX_SCALAR_CHARS:
            return -1
        if scalar.end() == len(text):
            return 0
        if not _SCALARS.fullmatch(scalar[0]):
            return -1
        self._next = self._after()
        return scalar.end() - at

    def _open(self, kind: str) -> int:
        if len(self._stack) >= _MAX_DEPTH:
            return -1
        self._stack.append(kind)
        self._next = "key or end" if kind == "{" else "value or end"
        return 1

    def _after(self) -> str:
        return "comma" if self._stack else "end"


def _quoted(text: str) -> str:
    return msgspec.json.encode(text.encode("utf-8", "replace").decode()).decode()
