"""How Anthropic's servers speak, for the contract tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ghostd.conversation import Message, Reasoning
from ghostd.providers.native import anthropic
from ghostd.testing.scripted_upstream import Answer, Seen, json_answer, sse_answer
from ghostd.testing.upstream_dialect import Call, ErrorKind, Reply, UpstreamDialect
from ghostd.types import ChatRequest, Sampling, Usage

MODEL = "claude-sonnet-4-5"
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 529: "overloaded_error",
}  # fmt: skip


def _asking(sampling: Sampling) -> ChatRequest:
    return ChatRequest(MODEL, (Message("user", "Say hello."),), sampling)


def written(event: Mapping[str, Any]) -> bytes:
    """An event as the API writes it: named, and without spaces."""
    data = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
    return f"event: {event['type']}\ndata: {data}\n\n".encode()


class AnthropicDialect(UpstreamDialect):
    """The Messages API."""

    factory = anthropic
    relay = "anthropic.messages"
    chat_model = MODEL
    garbage = b'event: content_block_delta\ndata: {"cut": \n\n'
    broken_text = b'event: content_block_delta\ndata: {"type":"content_block_delta","x":"\xff\xfe"}\n\n'
    unsupported = (
        (_asking(Sampling(seed=1)), "seed"),
        (_asking(Sampling(logit_bias={5: 1.0})), "logit_bias"),
        (_asking(Sampling(logprobs=0)), "logprobs"),
        (_asking(Sampling(presence_penalty=0.5)), "presence_penalty"),
        (_asking(Sampling(frequency_penalty=0.5)), "frequency_penalty"),
        (_asking(Sampling(repeat_penalty=1.1)), "repetition_penalty"),
        (_asking(Sampling(min_p=0.1)), "min_p"),
        (_asking(Sampling(grammar="root ::= [a]")), "grammar"),
        (_asking(Sampling(json_schema="{}")), "response_format"),
        (_asking(Sampling(temperature=1.5)), "temperature"),
        (_asking(Sampling(temperature=0.5, top_p=0.5)), "top_p"),
        (
            ChatRequest("claude-opus-5", (Message("user", "hi"),), reasoning=Reasoning(budget_tokens=2048)),
            "thinking.budget_tokens",
        ),
        (ChatRequest("claude-opus-5", (Message("user", "hi"),), Sampling(temperature=0.2)), "temperature"),
        (ChatRequest("claude-3-5-haiku", (Message("user", "hi"),), reasoning=Reasoning("high")), "reasoning_effort"),
    )

    def call(self, seen: Seen) -> Call:
        """By the path."""
        if seen.path == "/base/v1/messages":
            return "chat"
        return "models" if seen.path == "/base/v1/models" else "other"

    def key(self, seen: Seen) -> str | None:
        """From `x-api-key`."""
        assert seen.headers["anthropic-version"] == "2023-06-01"
        return seen.headers.get("x-api-key")

    def model(self, seen: Seen) -> str:
        """In the body."""
        return str(seen.json["model"])

    def chat(self, reply: Reply) -> Answer:
        """A block after another."""
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": _message(usage={**_usage(reply.usage), "output_tokens": 1})},
        ]
        blocks = _blocks(reply)
        for index, (block, deltas) in enumerate(blocks):
            events.append({"type": "content_block_start", "index": index, "content_block": block})
            if index == 0:
                events.append({"type": "ping"})
            events.extend({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
            events.append({"type": "content_block_stop", "index": index})
        ending = {"stop_reason": _STOP_REASONS[reply.finish], "stop_sequence": None}
        events.append({"type": "message_delta", "delta": ending, "usage": _usage(reply.usage)})
        events.append({"type": "message_stop"})
        return sse_answer([written(event) for event in events])

    def serve(self, seen: Seen) -> Answer:
        """A whole message where no stream is asked for."""
        if self.call(seen) == "chat" and not seen.json["stream"]:
            return self.whole_chat(Reply())
        return super().serve(seen)

    def whole_chat(self, reply: Reply) -> Answer:
        """A message."""
        content: list[dict[str, Any]] = []
        if reply.reasoning:
            content.append({"type": "thinking", "thinking": "".join(reply.reasoning), "signature": "EqQBCgIYAhIM"})
        if reply.text:
            content.append({"type": "text", "text": "".join(reply.text)})
        content += [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.arguments)}
            for call in reply.tool_calls
        ]
        return json_answer(
            _message(content=content, stop_reason=_STOP_REASONS[reply.finish], usage=_usage(reply.usage))
        )

    def relay_body(self, model: str, text: str, *, stream: bool) -> dict[str, object]:
        """A client's body."""
        return {
            "model": model,
            "max_tokens": 100,
            "messages": [{"role": "user", "content": text}],
            "stream": stream,
        }

    def error(
        self, status: int, message: str, *, kind: ErrorKind = "other", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The error object, in the words that the API has for a prompt too long and for credit."""
        if kind == "context":
            message = "prompt is too long: 210000 tokens > 200000 maximum"
        if kind == "quota":
            status = 402
        error = {"type": _TYPES.get(status, "api_error"), "message": message}
        return json_answer({"type": "error", "error": error, "request_id": "req_1"}, status, headers)

    def error_event(self, message: str) -> bytes:
        """An `error` event."""
        return (
            b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"%b"}}\n\n'
            % message.encode()
        )

    def models(self, names: Sequence[str]) -> Answer:
        """A page of the list."""
        data = [
            {"type": "model", "id": name, "display_name": name, "created_at": "2025-09-29T00:00:00Z"} for name in names
        ]
        return json_answer({"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]})


def _message(
    *, usage: Mapping[str, object], content: Sequence[object] = (), stop_reason: str | None = None
) -> dict[str, object]:
    return {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }


def _usage(usage: Usage) -> dict[str, object]:
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }


def _blocks(reply: Reply) -> list[tuple[dict[str, object], list[dict[str, object]]]]:
    blocks: list[tuple[dict[str, object], list[dict[str, object]]]] = []
    if reply.reasoning:
        thoughts: list[dict[str, object]] = [{"type": "thinking_delta", "thinking": text} for text in reply.reasoning]
        thoughts.append({"type": "signature_delta", "signature": "EqQBCgIYAhIM"})
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, thoughts))
    if reply.text:
        blocks.append(({"type": "text", "text": ""}, [{"type": "text_delta", "text": text} for text in reply.text]))
    for call in reply.tool_calls:
        block: dict[str, object] = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        half = len(call.arguments) // 2
        pieces = ("", call.arguments[:half], call.arguments[half:])
        blocks.append((block, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]))
    return blocks
