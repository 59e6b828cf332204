"""How Google's servers speak, for the contract tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from ghostd.conversation import Message, Reasoning
from ghostd.providers.native import gemini
from ghostd.testing.scripted_upstream import Answer, Seen, json_answer, sse_answer
from ghostd.testing.upstream_dialect import Call, ErrorKind, Reply, UpstreamDialect
from ghostd.types import ChatRequest, Sampling, Usage

MODEL = "gemini-2.5-flash"
_REASONS = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}
_STATUSES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip


def _asking(sampling: Sampling) -> ChatRequest:
    return ChatRequest(MODEL, (Message("user", "Say hello."),), sampling)


class GeminiDialect(UpstreamDialect):
    """The Gemini API."""

    factory = gemini
    relay = "gemini.generate"
    chat_model = MODEL
    embed_model = "gemini-embedding-001"
    unsupported = (
        (_asking(Sampling(logit_bias={5: 1.0})), "logit_bias"),
        (_asking(Sampling(repeat_penalty=1.1)), "repetition_penalty"),
        (_asking(Sampling(min_p=0.1)), "min_p"),
        (_asking(Sampling(grammar="root ::= [a]")), "grammar"),
        (ChatRequest("gemini-2.5-pro", (Message("user", "hi"),), reasoning=Reasoning("none")), "reasoning_effort"),
        (ChatRequest("gemini-2.0-flash", (Message("user", "hi"),), reasoning=Reasoning("low")), "reasoning_effort"),
    )

    def call(self, seen: Seen) -> Call:
        """By the path."""
        if seen.path == "/base/v1beta/models":
            return "models"
        _, _, method = seen.path.rpartition(":")
        if method in ("generateContent", "streamGenerateContent"):
            return "chat"
        return "embed" if method == "batchEmbedContents" else "other"

    def key(self, seen: Seen) -> str | None:
        """From `x-goog-api-key`; never in the URL."""
        assert "key=" not in seen.target
        return seen.headers.get("x-goog-api-key")

    def model(self, seen: Seen) -> str:
        """In the path."""
        return unquote(seen.path.removeprefix("/base/v1beta/models/").rpartition(":")[0])

    def chat(self, reply: Reply) -> Answer:
        """Chunks, each with the usage so far; the last one has the reason and no text."""
        parts: list[dict[str, object]] = [{"text": text, "thought": True} for text in reply.reasoning]
        parts.extend({"text": text} for text in reply.text)
        parts.extend(
            {
                "functionCall": {"id": call.id, "name": call.name, "args": json.loads(call.arguments)},
                "thoughtSignature": "c2lnbmF0dXJl",
            }
            for call in reply.tool_calls
        )
        usage = _usage(reply.usage)
        chunks: list[object] = [
            _chunk([part], {"promptTokenCount": usage["promptTokenCount"], "totalTokenCount": 1}) for part in parts
        ]
        chunks.append(_chunk([{"text": ""}], usage, _REASONS[reply.finish]))
        return sse_answer(chunks)

    def serve(self, seen: Seen) -> Answer:
        """A whole reply where no stream is asked for."""
        if seen.path.endswith(":generateContent"):
            return self.whole_chat(Reply())
        return super().serve(seen)

    def whole_chat(self, reply: Reply) -> Answer:
        """All in one."""
        parts: list[dict[str, object]] = [{"text": "".join(reply.text)}]
        return json_answer(_chunk(parts, _usage(reply.usage), _REASONS[reply.finish]))

    def relay_body(self, model: str, text: str, *, stream: bool) -> dict[str, object]:
        """A client's body; the model's name and the streaming are the URL's."""
        return {"contents": [{"role": "user", "parts": [{"text": text}]}]}

    def error(
        self, status: int, message: str, *, kind: ErrorKind = "other", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The error object, in the words that the API has for a prompt too long; used up credit is a daily quota."""
        if kind == "context":
            message = "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576)."
        error: dict[str, object] = {"code": status, "message": message, "status": _STATUSES.get(status, "UNKNOWN")}
        if kind == "quota":
            error["details"] = [
                {
                    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
                }
            ]
        return json_answer({"error": error}, status, headers)

    def models(self, names: Sequence[str]) -> Answer:
        """The list."""
        return json_answer({"models": [_model(name) for name in names]})

    def embed(self, vectors: Sequence[Sequence[float]], tokens: int) -> Answer:
        """A batch."""
        return json_answer(
            {
                "embeddings": [{"values": list(vector)} for vector in vectors],
                "usageMetadata": {"promptTokenCount": tokens},
            }
        )


def _model(name: str) -> dict[str, object]:
    methods = ["embedContent"] if "embedding" in name else ["generateContent", "countTokens"]
    return {
        "name": f"models/{name}",
        "displayName": name,
        "inputTokenLimit": 1048576,
        "outputTokenLimit": 65536,
        "supportedGenerationMethods": methods,
    }


def _chunk(parts: Sequence[object], usage: Mapping[str, object], reason: str | None = None) -> dict[str, object]:
    candidate: dict[str, object] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if reason is not None:
        candidate["finishReason"] = reason
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": MODEL,
        "responseId": "kTPaaLnLHZ6Lz7IPzNiLqQ4",
    }


def _usage(usage: Usage) -> dict[str, object]:
    return {
        "promptTokenCount": usage.prompt_tokens,
        "cachedContentTokenCount": usage.cached_tokens,
        "candidatesTokenCount": usage.completion_tokens - usage.reasoning_tokens,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "totalTokenCount": usage.prompt_tokens + usage.completion_tokens,
    }
