"""How Ollama's servers speak, for the contract tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ghostd.conversation import Message, Reasoning, Tool, Tools
from ghostd.providers.native import ollama
from ghostd.testing.scripted_upstream import Answer, Seen, json_answer, ndjson_answer
from ghostd.testing.upstream_dialect import Call, ErrorKind, Reply, UpstreamDialect
from ghostd.types import ChatRequest, Sampling, Usage

MODEL = "qwen3:8b"
_CALLS: dict[str, Call] = {
    "/base/api/chat": "chat",
    "/base/api/embed": "embed",
    "/base/api/tags": "models",
}
_CREATED = "2026-11-20T10:00:00.123456789Z"


def _with(tools: Tools) -> ChatRequest:
    return ChatRequest(MODEL, (Message("user", "hi"),), tools=tools)


def _asking(sampling: Sampling) -> ChatRequest:
    return ChatRequest(MODEL, (Message("user", "hi"),), sampling)


class OllamaDialect(UpstreamDialect):
    """Ollama's own API."""

    factory = ollama
    relay = "ollama.chat"
    chat_model = MODEL
    complete_model = MODEL
    fill_model = "qwen2.5-coder:1.5b"
    embed_model = "nomic-embed-text:latest"
    lacks = frozenset(("cached_tokens", "reasoning_tokens", "content_filter"))
    garbage = b'{"cut": \n'
    broken_text = b'{"model":"x\xff\xfe","done":false,"message":{"role":"assistant","content":""}}\n'
    unsupported = (
        (_asking(Sampling(logit_bias={5: 1.0})), "logit_bias"),
        (_asking(Sampling(grammar="root ::= [a]")), "grammar"),
        (_with(Tools((Tool("f", strict=True),))), "tools.strict"),
        (
            ChatRequest(MODEL, (Message("user", "hi"),), reasoning=Reasoning(budget_tokens=2048)),
            "thinking.budget_tokens",
        ),
    )

    def call(self, seen: Seen) -> Call:
        """By the path."""
        if seen.path == "/base/api/generate":
            return "fill" if "suffix" in seen.json else "complete"
        return _CALLS.get(seen.path, "other")

    def key(self, seen: Seen) -> str | None:
        """A server behind a proxy, or ollama.com."""
        scheme, _, value = seen.headers.get("authorization", "").partition(" ")
        return value if scheme == "Bearer" else None

    def model(self, seen: Seen) -> str:
        """In the body."""
        return str(seen.json["model"])

    def chat(self, reply: Reply) -> Answer:
        """A line each."""
        messages: list[dict[str, object]] = [{"content": "", "thinking": text} for text in reply.reasoning]
        messages.extend({"content": text} for text in reply.text)
        messages.extend(
            {
                "content": "",
                "tool_calls": [{"function": {"name": call.name, "arguments": json.loads(call.arguments)}}],
            }
            for call in reply.tool_calls
        )
        lines: list[object] = [_line({"message": {"role": "assistant", **message}}) for message in messages]
        return ndjson_answer([*lines, _last({"message": {"role": "assistant", "content": ""}}, reply)])

    def serve(self, seen: Seen) -> Answer:
        """A whole reply where no stream is asked for."""
        if self.call(seen) == "chat" and not seen.json["stream"]:
            return self.whole_chat(Reply())
        return super().serve(seen)

    def whole_chat(self, reply: Reply) -> Answer:
        """One object."""
        message: dict[str, object] = {"role": "assistant", "content": "".join(reply.text)}
        if reply.reasoning:
            message["thinking"] = "".join(reply.reasoning)
        if reply.tool_calls:
            message["tool_calls"] = [
                {"function": {"name": call.name, "arguments": json.loads(call.arguments)}} for call in reply.tool_calls
            ]
        return json_answer(_last({"message": message}, reply))

    def relay_body(self, model: str, text: str, *, stream: bool) -> dict[str, object]:
        """A client's body."""
        return {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}

    def error(
        self, status: int, message: str, *, kind: ErrorKind = "other", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The error object; used up credit is a 402 of ollama.com."""
        if kind == "context":
            message = "the input length exceeds the context length"
        return json_answer({"error": message}, 402 if kind == "quota" else status, headers)

    def error_event(self, message: str) -> bytes:
        """An error line."""
        return json.dumps({"error": message}).encode() + b"\n"

    def models(self, names: Sequence[str]) -> Answer:
        """The list."""
        return json_answer({"models": [{"name": name, "model": name} for name in names]})

    def complete(self, reply: Reply) -> Answer:
        """A line each."""
        lines: list[object] = [_line({"response": text}) for text in reply.text]
        return ndjson_answer([*lines, _last({"response": ""}, reply)])

    def fill(self, reply: Reply) -> Answer:
        """Likewise."""
        return self.complete(reply)

    def embed(self, vectors: Sequence[Sequence[float]], tokens: int) -> Answer:
        """All vectors."""
        return json_answer(
            {"model": self.embed_model, "embeddings": [list(vector) for vector in vectors], "prompt_eval_count": tokens}
        )


def _line(content: Mapping[str, object]) -> dict[str, object]:
    return {"model": MODEL, "created_at": _CREATED, **content, "done": False}


def _last(content: Mapping[str, object], reply: Reply) -> dict[str, object]:
    usage: Usage = reply.usage
    return {
        "model": MODEL,
        "created_at": _CREATED,
        **content,
        "done": True,
        "done_reason": "length" if reply.finish == "length" else "stop",
        "total_duration": 1043500667,
        "load_duration": 5025959,
        "prompt_eval_count": usage.prompt_tokens,
        "prompt_eval_duration": 325953000,
        "eval_count": usage.completion_tokens,
        "eval_duration": 709213000,
    }
