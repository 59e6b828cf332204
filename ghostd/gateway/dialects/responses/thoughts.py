"""Thoughts and signatures in a reasoning item's `encrypted_content`, and back.

Clients keep that member as it is and send it back, so that what a model must see again in a tool loop (Anthropic's
signed thoughts, the signatures of Gemini's calls) survives a round trip without anything being stored here. It is not
encrypted: it holds what the client's own model has said to it.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence

import msgspec

from ghostd.conversation import Thinking

MARK = "ghostd1."
"""What ghostd's own values begin with; those of others are nobody's to read."""
ID_MARK = "gh"
"""What follows the prefix of ids that ghostd makes."""


class _Thought(msgspec.Struct, omit_defaults=True):
    text: str = ""
    signature: str | None = None
    redacted: str | None = None


class _Sealed(msgspec.Struct, omit_defaults=True):
    thoughts: list[_Thought] = []
    calls: dict[str, str] = {}
    """Signatures by the id of their call."""
    summary: str = ""
    """Of a conversation that was compacted."""


_DECODER = msgspec.json.Decoder(_Sealed)


def new_id(prefix: str) -> str:
    """An id for an item or a response: "msg_gh…"."""
    return f"{prefix}_{ID_MARK}{os.urandom(16).hex()}"


def is_own_id(identifier: str) -> bool:
    """Whether ghostd has made it."""
    return identifier.partition("_")[2].startswith(ID_MARK)


def seal(thoughts: Sequence[Thinking], calls: Mapping[str, str]) -> str:
    """The value that `opened` reads."""
    found = [_Thought(thought.text, thought.signature, thought.redacted) for thought in thoughts]
    return _sealed(_Sealed(found, dict(calls)))


def seal_summary(summary: str) -> str:
    """The same for the summary of a conversation."""
    return _sealed(_Sealed(summary=summary))


def _sealed(value: _Sealed) -> str:
    return MARK + base64.urlsafe_b64encode(msgspec.json.encode(value)).decode()


def opened(value: str) -> tuple[tuple[Thinking, ...], Mapping[str, str]]:
    """Thoughts, and signatures by call id; nothing where another service has made the value, or it is spoilt."""
    found = _opened(value)
    thoughts = tuple(Thinking(thought.text, thought.signature, thought.redacted) for thought in found.thoughts)
    return thoughts, found.calls


def opened_summary(value: str) -> str:
    """A compacted conversation's summary; "" where another service has made the value."""
    return _opened(value).summary


def _opened(value: str) -> _Sealed:
    if not value.startswith(MARK):
        return _Sealed()
    try:
        return _DECODER.decode(base64.urlsafe_b64decode(value[len(MARK) :]))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return _Sealed()
