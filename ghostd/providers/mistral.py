"""Mistral's API: OpenAI's dialect with differences, and fill-in-the-middle.

Source: https://docs.mistral.ai/api. It refuses members that it does not know.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping
from typing import Any

import msgspec

from ghostd.errors import UpstreamError, UpstreamRejected
from ghostd.providers.openai.embeddings import embed_body
from ghostd.providers.openai.provider import OpenAIProvider
from ghostd.types import ChatRequest, EmbedRequest

_ID_CHARS = string.ascii_letters + string.digits
_ID_LENGTH = 9
_CONTEXT_CODE = "3051"
"""Its `code` for a prompt that exceeds the model's context."""


class _Problem(msgspec.Struct):
    loc: list[str | int] = []
    msg: str = ""


class _Invalid(msgspec.Struct):
    """How it tells that a body does not fit its schema (status 422)."""

    detail: list[_Problem]


class MistralProvider(OpenAIProvider):
    """Made by the preset "mistral"."""

    def chat_body(self, request: ChatRequest) -> dict[str, Any]:
        """The body in Mistral's words."""
        body = super().chat_body(request)
        for message in body["messages"]:
            for call in message.get("tool_calls", ()):
                call["id"] = call_id(call["id"])
            if "tool_call_id" in message:
                message["tool_call_id"] = call_id(message["tool_call_id"])
            if isinstance(message["content"], list):
                message["content"] = [_part(part) for part in message["content"]]
        effort = body.pop("reasoning_effort", None)
        if effort is not None and "magistral" in request.model:  # these think always, unless told by the mode
            body["prompt_mode"] = None if effort == "none" else "reasoning"
        elif effort is not None:
            body["reasoning_effort"] = "none" if effort == "none" else "high"  # it knows no others
        return body

    def embed_body(self, request: EmbedRequest) -> bytes:
        """The body in Mistral's words."""
        return embed_body(request, dimensions="output_dimension")

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """Its error objects, and lists of what does not fit the schema."""
        error = super().refusal(status, headers, body)
        if not isinstance(error, UpstreamRejected):
            return error
        if error.code == _CONTEXT_CODE:
            error.reason = "context"
        elif status == 422 and (problem := _first_problem(body)):
            param = ".".join(str(step) for step in problem.loc if step != "body")[:200]
            return UpstreamRejected(
                f"{problem.msg[:500]}: '{param}'", status, param=param, body=body, operation=error.operation
            )
        return error


def call_id(given: str) -> str:
    """The id as it is if it is one of Mistral's, nine letters and digits; else always the same one for it."""
    if len(given) == _ID_LENGTH and given.isascii() and given.isalnum():
        return given
    number = int.from_bytes(hashlib.blake2b(given.encode(), digest_size=8).digest())
    made = ""
    for _ in range(_ID_LENGTH):
        number, digit = divmod(number, len(_ID_CHARS))
        made += _ID_CHARS[digit]
    return made


def _part(part: dict[str, Any]) -> dict[str, Any]:
    if part["type"] == "input_audio":
        return {"type": "input_audio", "input_audio": part["input_audio"]["data"]}
    if part["type"] != "file":
        return part
    file = part["file"]
    if "file_id" in file:
        return {"type": "file", "file_id": file["file_id"]}
    return {"type": "document_url", "document_url": file["file_data"], "document_name": file["filename"]}


def _first_problem(body: bytes) -> _Problem | None:
    try:
        return next(iter(msgspec.json.decode(body, type=_Invalid).detail), None)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
