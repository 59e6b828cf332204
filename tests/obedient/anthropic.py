"""An obedient server of Anthropic's Messages API."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from obedient.mind import Asked, AskedTool, Said, answer, words
from providers.anthropic_dialect import MODEL, AnthropicDialect

from ghostd.testing.scripted_upstream import Answer, Seen, json_answer

Json = dict[str, Any]

_DIALECT = AnthropicDialect()


def serve(seen: Seen) -> Answer:
    """Answer one request."""
    if seen.method == "GET":
        return _DIALECT.models((MODEL,))
    body = seen.json
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        return _DIALECT.error(400, "messages: Input should be a valid list")
    if seen.path.endswith("/count_tokens"):
        return json_answer({"input_tokens": asked_of(body).size})
    if not seen.path.endswith("/messages"):
        return _DIALECT.error(404, f"no such path: {seen.path}")
    if not body.get("max_tokens"):
        return _DIALECT.error(400, "max_tokens: Field required")
    said = answer(asked_of(body))
    found = _DIALECT.chat(said.reply) if body.get("stream") else _DIALECT.whole_chat(said.reply)
    return _stopped(found, said)


def _stopped(found: Answer, said: Said) -> Answer:
    """The answer with the stop sequence at which it ended."""
    if said.stopped_at is None:
        return found
    told = json.dumps(said.stopped_at).encode()
    pieces = []
    for piece in found.pieces:
        for spaces in (b"", b" "):
            piece = piece.replace(b'"stop_reason":%b"end_turn"' % spaces, b'"stop_reason":"stop_sequence"')  # noqa: PLW2901
            if b'"stop_sequence"' in piece and b'"stop_reason":"stop_sequence"' in piece:
                piece = piece.replace(b'"stop_sequence":%bnull' % spaces, b'"stop_sequence":' + told)  # noqa: PLW2901
        pieces.append(piece)
    return replace(found, pieces=tuple(pieces))


def asked_of(body: Json) -> Asked:
    """A body in no dialect's words."""
    messages = body["messages"]
    prompt, said, results, continues = "", "", [], ""
    size = words(_texts(body.get("system")))
    for message in messages:
        blocks = _blocks(message["content"])
        texts = _texts(message["content"])
        size += words(texts) + 3
        if message["role"] == "user":
            found = [_result(block) for block in blocks if block["type"] == "tool_result"]
            size += words(found)
            if found:
                results += found
            else:
                said += prompt
                prompt, results = "\n".join(texts), []
        continues = "\n".join(texts) if message["role"] == "assistant" else ""
    choice = body.get("tool_choice") or {}
    names = {"any": "required", "none": "none", "tool": f"tool:{choice.get('name')}"}
    return Asked(
        prompt=prompt,
        size=size,
        said=said,
        results=tuple(results),
        tools=tuple(
            AskedTool(tool["name"], tool.get("description", ""), tool.get("input_schema", {}))
            for tool in body.get("tools") or ()
        ),
        choice=names.get(choice.get("type", ""), "auto"),
        parallel=not choice.get("disable_parallel_tool_use"),
        schema=((body.get("output_config") or {}).get("format") or body.get("output_format") or {}).get("schema"),
        stop=tuple(body.get("stop_sequences") or ()),
        max_tokens=body.get("max_tokens"),
        think=(body.get("thinking") or {}).get("type") in ("enabled", "adaptive"),
        continues=continues,
    )


def _blocks(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def _texts(content: Any) -> list[str]:
    return [str(block.get("text", "")) for block in _blocks(content) if block["type"] == "text"]


def _result(block: Json) -> str:
    return "\n".join(_texts(block.get("content")))
