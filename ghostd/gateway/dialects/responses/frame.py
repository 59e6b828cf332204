"""The response object: what a request asked for, repeated, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from ghostd.types import Usage

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]

_NULL = msgspec.Raw(b"null")
_DEFAULTS: Mapping[str, object] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Members that repeat the request's, and what they say where it is silent."""


class Frame:
    """All of a response but its output."""

    def __init__(
        self, response_id: str, fields: Mapping[str, bytes], *, stored: bool, left_out: Sequence[str] = ()
    ) -> None:
        """`fields` are the request's; tools of the types `left_out` were not offered to the model."""
        self.id = response_id
        self.created_s = int(time.time())
        self.model = ""
        self._asked: dict[str, object] = {}
        for name, default in _DEFAULTS.items():
            given = fields.get(name, b"null")
            self._asked[name] = default if given == b"null" else msgspec.Raw(given)
        self._asked["service_tier"] = "default"
        for name in ("text", "reasoning"):
            self._asked[name] = _filled_in(name, fields.get(name, b"null"))
        self._asked["store"] = stored
        self._asked["tools"] = tools_in_force(fields.get("tools", b"null"), left_out)
        self.previous_id: str | None = None
        self.conversation_id: str | None = None

    def response(
        self,
        status: Status,
        output: Sequence[object] = (),
        *,
        usage: Usage | None = None,
        incomplete: str | None = None,
        error: Mapping[str, object] | None = None,
    ) -> dict[str, object]:
        """The object; `incomplete` is the reason why the output was cut off."""
        ended = status in ("completed", "incomplete", "failed", "cancelled")
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_s,
            "completed_at": int(time.time()) if ended else None,
            "status": status,
            "error": error,
            "incomplete_details": None if incomplete is None else {"reason": incomplete},
            "model": self.model,
            "output": list(output),
            "previous_response_id": self.previous_id,
            "conversation": None if self.conversation_id is None else {"id": self.conversation_id},
            **self._asked,
            "usage": None if usage is None else usage_fields(usage),
        }


def usage_fields(usage: Usage) -> dict[str, object]:
    """`usage`."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def tools_in_force(raw: bytes, left_out: Sequence[str]) -> list[object]:
    """The request's tools as the reply repeats them, without those that were left out."""
    if raw == b"null":
        return []
    try:
        tools: list[Any] = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return []
    found: list[object] = []
    for tool in tools:
        if not isinstance(tool, dict) or tool.get("type") in left_out:
            continue
        if tool.get("type") == "function":
            tool = {"description": None, "parameters": None, "strict": False, **tool}  # noqa: PLW2901
        found.append(tool)
    return found


def _filled_in(name: str, raw: bytes) -> object:
    """A member that is an object, with its own members where the request is silent."""
    default = _DEFAULTS[name]
    if raw == b"null":
        return default
    given: Any = msgspec.json.decode(raw)
    return {**default, **given} if isinstance(default, dict) and isinstance(given, dict) else given


def replaced(body: bytes, members: Mapping[str, object]) -> bytes:
    """A response object as JSON with these members in place of its own."""
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    for name, value in members.items():
        fields[name] = value if isinstance(value, msgspec.Raw) else msgspec.Raw(msgspec.json.encode(value))
    return msgspec.json.encode(fields)
