"""What a thinking block of another provider's model must bring back, and what becomes of it in a later request.

Clients of the Messages API send thinking blocks back as they came, `signature` included, since Anthropic's models want
that. Other models have no such proof of their thoughts, but some have things that must come back in a tool loop: the
thoughts themselves where they were not to be shown, or Gemini's signature of a call. They travel in the `signature`,
which no other part of the protocol reads.
"""

from __future__ import annotations

import base64
import binascii
import re

import msgspec

_PREFIX = "ghostd."
_FIRST = re.compile(rb'"signature"\s*:\s*"ghostd\.')
"""In the JSON text of a request: at least one block is ours."""


class Kept(msgspec.Struct, omit_defaults=True, frozen=True):
    """What one signature carries."""

    thoughts: str = ""
    """Thoughts that the client did not want to see."""
    call: str = ""
    """The proof that goes back with the tool call behind the block."""


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Kept)
_MESSAGES = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_BLOCKS = msgspec.json.Decoder(list[msgspec.Raw])
_NOTHING = msgspec.Raw(b"[]")


class _Head(msgspec.Struct):
    type: str = ""
    signature: str = ""


_HEAD = msgspec.json.Decoder(_Head)


def written(kept: Kept) -> str:
    """The signature that carries it; never empty, since clients take an empty one for a cut stream."""
    return _PREFIX + base64.urlsafe_b64encode(_ENCODER.encode(kept)).decode("ascii").rstrip("=")


def read(signature: str) -> Kept | None:
    """What a signature carries; None for one of Anthropic's. One of ours that was spoilt carries nothing."""
    if not signature.startswith(_PREFIX):
        return None
    packed = signature.removeprefix(_PREFIX)
    try:
        return _DECODER.decode(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return Kept()


def without_ours(messages: bytes) -> bytes:
    """The member `messages` as Anthropic takes it: without the thinking blocks of other providers' models.

    All that stays is the client's text; what cannot be read is left for the upstream to judge.
    """
    if not _FIRST.search(messages):
        return messages
    try:
        kept = []
        for message in _MESSAGES.decode(messages):
            cleaned = {name: _cleaned(value) if name == "content" else value for name, value in message.items()}
            if cleaned.get("content") != _NOTHING:  # the API refuses messages that say nothing
                kept.append(cleaned)
    except msgspec.DecodeError:
        return messages
    return _ENCODER.encode(kept)


def _cleaned(content: msgspec.Raw) -> msgspec.Raw:
    if not bytes(content).startswith(b"["):
        return content
    blocks = _BLOCKS.decode(content)
    kept = [block for block in blocks if not _is_ours(block)]
    return content if len(kept) == len(blocks) else msgspec.Raw(_ENCODER.encode(kept))


def _is_ours(block: msgspec.Raw) -> bool:
    if b"ghostd." not in bytes(block):
        return False
    head = _HEAD.decode(block)
    return head.type == "thinking" and head.signature.startswith(_PREFIX)
