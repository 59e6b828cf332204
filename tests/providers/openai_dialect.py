"""How a healthy server of OpenAI's dialect speaks. Shapes: the OpenAI API reference."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ghostd.config.providers import ProviderConfig
from ghostd.conversation import Message, ToolCall
from ghostd.providers.presets import Preset, llama_server, mistral, openai_compatible, tgi
from ghostd.testing.scripted_upstream import Answer, Seen, json_answer, sse_answer
from ghostd.testing.upstream_dialect import Call, ErrorKind, Reply, UpstreamDialect
from ghostd.types import ChatRequest, Sampling, Usage

_CODES = {
    "model": "model_not_found",
    "context": "context_length_exceeded",
    "quota": "insufficient_quota",
    "other": None,
}


class OpenAIDialect(UpstreamDialect):
    relay = "openai.chat"
    complete_model: str | None = "model-1"
    embed_model: str | None = "text-embedding-3-small"

    def __init__(self, preset: Preset = openai_compatible, *, base64_vectors: bool = False) -> None:
        self.factory = preset
        self.preset = preset
        self._base64 = base64_vectors
        self.unsupported = self._refused()

    def _refused(self) -> Sequence[tuple[ChatRequest, str]]:
        quirks = self.preset.quirks
        asked = ChatRequest(self.chat_model, (Message("user", "hi"),))
        found: list[tuple[ChatRequest, str]] = []
        samples: tuple[tuple[str, Sampling, str], ...] = (
            ("top_k", Sampling(top_k=40), "top_k"),
            ("min_p", Sampling(min_p=0.1), "min_p"),
            ("repeat_penalty", Sampling(repeat_penalty=1.1), "repetition_penalty"),
            ("seed", Sampling(seed=7), "seed"),
        )
        for field, sampling, param in samples:
            if field not in quirks.samplers:
                found.append((replace(asked, sampling=sampling), param))
        if quirks.grammar == "none":
            found.append((replace(asked, sampling=Sampling(grammar='root ::= "a"')), "grammar"))
        return found

    def settings(self) -> ProviderConfig:
        return ProviderConfig(models=self.names())

    def call(self, seen: Seen) -> Call:
        endings: tuple[tuple[str, Call], ...] = (
            ("/chat/completions", "chat"),
            ("/fim/completions", "fill"),
            ("/infill", "fill"),
            ("/completions", "complete"),
            ("/embeddings", "embed"),
            ("/models", "models"),
        )
        found: Call = next((call for ending, call in endings if seen.path.endswith(ending)), "other")
        return "fill" if found == "complete" and b'"suffix"' in seen.body else found

    def key(self, seen: Seen) -> str | None:
        return seen.headers.get("authorization", "").removeprefix("Bearer ") or None

    def model(self, seen: Seen) -> str:
        return str(seen.json["model"])

    def chat(self, reply: Reply) -> Answer:
        chunks: list[object] = [_chunk({"role": "assistant", "content": ""})]
        chunks += [_chunk({"reasoning_content": text}) for text in reply.reasoning]
        chunks += [_chunk({"content": text}) for text in reply.text]
        for index, call in enumerate(reply.tool_calls):
            chunks += [_chunk({"tool_calls": [piece]}) for piece in _pieces(index, call)]
        chunks.append(_chunk({}, reply.finish))
        chunks.append({**_chunk({}), "choices": [], "usage": wire_usage(reply.usage)})
        return sse_answer(chunks, done=True)

    def whole_chat(self, reply: Reply) -> Answer:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(reply.text) or None}
        if reply.reasoning:
            message["reasoning_content"] = "".join(reply.reasoning)
        if reply.tool_calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in reply.tool_calls
            ]
        return json_answer(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1760000000,
                "model": "model-1-2026",
                "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}],
                "usage": wire_usage(reply.usage),
            }
        )

    def relay_body(self, model: str, text: str, *, stream: bool) -> dict[str, object]:
        body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": text}]}
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body

    def error(
        self, status: int, message: str, *, kind: ErrorKind = "other", headers: Mapping[str, str] | None = None
    ) -> Answer:
        type_ = "server_error" if status >= 500 else "invalid_request_error"
        error = {"message": message, "type": type_, "param": None, "code": _CODES[kind]}
        return json_answer({"error": error}, status, headers)

    def models(self, names: Sequence[str]) -> Answer:
        return json_answer(
            {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "acme"} for name in names]}
        )

    def complete(self, reply: Reply) -> Answer:
        shell = {"id": "cmpl-1", "object": "text_completion", "created": 1760000000, "model": "model-1-2026"}
        chunks: list[object] = [
            {**shell, "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": None}]}
            for text in reply.text
        ]
        chunks.append({**shell, "choices": [{"index": 0, "text": "", "finish_reason": reply.finish}]})
        chunks.append({**shell, "choices": [], "usage": wire_usage(reply.usage)})
        return sse_answer(chunks, done=True)

    def fill(self, reply: Reply) -> Answer:
        return self.complete(reply)

    def embed(self, vectors: Sequence[Sequence[float]], tokens: int) -> Answer:
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
                if self._base64
                else list(vector),
            }
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return json_answer({"object": "list", "data": data[::-1], "model": "e", "usage": usage})


def wire_usage(usage: Usage) -> dict[str, object]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _chunk(delta: dict[str, object], finish: str | None = None) -> dict[str, object]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": "model-1-2026",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
    }


def _pieces(index: int, call: ToolCall) -> list[dict[str, object]]:
    middle = len(call.arguments) // 2
    return [
        {"index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}},
        {"index": index, "function": {"arguments": call.arguments[:middle]}},
        {"index": index, "function": {"arguments": call.arguments[middle:]}},
    ]


class MistralDialect(OpenAIDialect):
    """Shapes: https://docs.mistral.ai/api."""

    complete_model = None
    fill_model = "codestral-latest"
    embed_model = "mistral-embed"

    def __init__(self) -> None:
        super().__init__(mistral)

    def chat(self, reply: Reply) -> Answer:
        chunks: list[object] = [_chunk({"role": "assistant", "content": ""})]
        chunks += [
            _chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]})
            for text in reply.reasoning
        ]
        chunks += [_chunk({"content": text}) for text in reply.text]
        calls = [
            {"id": call.id, "function": {"name": call.name, "arguments": call.arguments}, "index": index}
            for index, call in enumerate(reply.tool_calls)
        ]
        end: dict[str, object] = {"content": "", "tool_calls": calls} if calls else {"content": ""}
        chunks.append({**_chunk(end, reply.finish), "usage": wire_usage(reply.usage)})
        return sse_answer(chunks, done=True)

    def relay_body(self, model: str, text: str, *, stream: bool) -> dict[str, object]:
        return {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}

    def fill(self, reply: Reply) -> Answer:
        return self.chat(reply)

    def error(
        self, status: int, message: str, *, kind: ErrorKind = "other", headers: Mapping[str, str] | None = None
    ) -> Answer:
        code = {"model": "1500", "context": "3051", "quota": "insufficient_quota", "other": "1100"}[kind]
        error = {"object": "error", "message": message, "type": "invalid_request_error", "param": None, "code": code}
        return json_answer(error, status, headers)

    def error_event(self, message: str) -> bytes:
        return b'data: {"error": {"message": "overloaded", "type": "internal_server_error"}}\n\n'


class LlamaServerDialect(OpenAIDialect):
    """Shapes: llama.cpp, tools/server/README.md."""

    fill_model = "model-1"

    def __init__(self) -> None:
        super().__init__(llama_server)

    def fill(self, reply: Reply) -> Answer:
        events: list[object] = [{"index": 0, "content": text, "stop": False, "tokens": [1]} for text in reply.text]
        end = {
            "content": "",
            "stop": True,
            "stop_type": {"stop": "eos", "length": "limit"}[reply.finish],
            "tokens_evaluated": reply.usage.prompt_tokens,
            "tokens_predicted": reply.usage.completion_tokens,
            "tokens_cached": 17,
            "truncated": False,
        }
        return sse_answer([*events, end])

    def error(
        self, status: int, message: str, *, kind: ErrorKind = "other", headers: Mapping[str, str] | None = None
    ) -> Answer:
        types: dict[ErrorKind, str] = {"context": "exceed_context_size_error", "quota": "insufficient_quota"}
        type_ = types.get(kind, "server_error" if status >= 500 else "invalid_request_error")
        return json_answer({"error": {"code": status, "message": message, "type": type_}}, status, headers)


class TgiDialect(OpenAIDialect):
    """Shapes: text-generation-inference, docs/openapi.json."""

    embed_model = None

    def __init__(self) -> None:
        super().__init__(tgi)

    def call(self, seen: Seen) -> Call:
        return "complete" if seen.path.endswith("/generate_stream") else super().call(seen)

    def complete(self, reply: Reply) -> Answer:
        events: list[object] = [
            {
                "index": number,
                "token": {"id": number, "text": text, "logprob": -0.5, "special": False},
                "generated_text": None,
                "details": None,
            }
            for number, text in enumerate(reply.text)
        ]
        events.append(
            {
                "index": len(events),
                "token": {"id": 2, "text": "</s>", "logprob": -0.1, "special": True},
                "generated_text": "".join(reply.text),
                "details": {
                    "finish_reason": {"stop": "eos_token", "length": "length"}[reply.finish],
                    "generated_tokens": reply.usage.completion_tokens,
                    "input_length": reply.usage.prompt_tokens,
                    "seed": None,
                },
            }
        )
        return sse_answer(events)
