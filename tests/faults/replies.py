"""The answers of the scripted upstreams: each request gets a text of its own, so that a mix-up shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

MODEL = "scripted"
PROMPT_TOKENS = 11
_WORDS = (
    "the quick",
    " brown fox",
    " jumps",
    " over",
    " the",
    " the",
    " lazy dög",
    " 速い",
    " 🦊",
    "\n\nand",
    ' "rests"',
    ".",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request for a scripted reply said."""

    nonce: str
    stream: bool
    with_usage: bool
    """Whether a stream should end with its usage; a plain reply always has it."""


def pieces(nonce: str) -> tuple[str, ...]:
    """The right answer, in the pieces of a stream."""
    return (f"<{nonce}>", *_WORDS)


def text(nonce: str) -> str:
    """The right answer."""
    return "".join(pieces(nonce))


def usage(nonce: str) -> dict[str, int]:
    """What the right answer costs: one token a piece."""
    tokens = len(pieces(nonce))
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": tokens,
        "total_tokens": PROMPT_TOKENS + tokens,
    }


def completion(asked: Asked) -> dict[str, Any]:
    """The right answer as a whole."""
    return {
        "id": f"chatcmpl-{asked.nonce}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text(asked.nonce)},
                "finish_reason": "stop",
            }
        ],
        "usage": usage(asked.nonce),
    }


def chunk(asked: Asked, delta: dict[str, Any], finish: str | None = None) -> bytes:
    """One event of a stream."""
    return event(_chunk(asked, [{"index": 0, "delta": delta, "finish_reason": finish}]))


def role(asked: Asked) -> bytes:
    """The first event."""
    return chunk(asked, {"role": "assistant", "content": ""})


def contents(asked: Asked) -> list[bytes]:
    """The events that hold the text."""
    return [chunk(asked, {"content": piece}) for piece in pieces(asked.nonce)]


def finish(asked: Asked) -> bytes:
    """The event that ends the text."""
    return chunk(asked, {}, "stop")


DONE = b"data: [DONE]\n\n"


def ending(asked: Asked) -> list[bytes]:
    """What comes behind the text: finish reason, usage if asked for, end mark."""
    last = [event(_chunk(asked, []) | {"usage": usage(asked.nonce)})] if asked.with_usage else []
    return [finish(asked), *last, DONE]


def events(asked: Asked) -> list[bytes]:
    """The right answer as a stream."""
    return [role(asked), *contents(asked), *ending(asked)]


def event(value: object) -> bytes:
    """One event of a stream."""
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def failure(message: str, kind: str = "server_error", code: str | None = None) -> dict[str, Any]:
    """An error object as OpenAI writes it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _chunk(asked: Asked, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{asked.nonce}",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": choices,
        **({"usage": None} if asked.with_usage else {}),
    }
