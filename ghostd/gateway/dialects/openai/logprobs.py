"""Log probabilities in both of OpenAI's forms."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from ghostd.types import TokenLogprob

_LEAST = -9999.0
"""What OpenAI sends for a probability of zero; JSON has no infinity."""


def chat_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, object]:
    """`choices[].logprobs` of a chat reply."""
    return {
        "content": [
            {
                **_chat_token(token.token, token.logprob),
                "top_logprobs": [_chat_token(other, logprob) for other, logprob in token.top],
            }
            for token in tokens
        ],
        "refusal": None,
    }


def _chat_token(token: bytes, logprob: float) -> dict[str, object]:
    return {
        "token": token.decode("utf-8", "replace"),
        "logprob": max(logprob, _LEAST),
        "bytes": list(token),
    }


class LegacyLogprobs:
    """`choices[].logprobs` of a completion, piece by piece: `text_offset` counts characters of the choice's text."""

    def __init__(self, offset: int = 0) -> None:
        self._offset = offset
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def block(self, tokens: Sequence[TokenLogprob]) -> dict[str, object]:
        """The block for the next tokens."""
        offsets = []
        for token in tokens:
            offsets.append(self._offset)
            self._offset += len(self._decoder.decode(token.token))
        return {
            "tokens": [_legacy_token(token.token) for token in tokens],
            "token_logprobs": [max(token.logprob, _LEAST) for token in tokens],
            "top_logprobs": [
                {_legacy_token(other): max(logprob, _LEAST) for other, logprob in token.top} for token in tokens
            ],
            "text_offset": offsets,
        }


def _legacy_token(token: bytes) -> str:
    """The token's text or, for a part of a character, OpenAI's `bytes:\\xe2\\x80`."""
    try:
        return token.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token)
