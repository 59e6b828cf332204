"""Every parameter of OpenAI's doors with a value that shows, and what becomes of it before a service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aiohttp
from obedient.places import Place

from ghostd.testing.scripted_upstream import Seen

Fields = dict[str, Any]

_TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
_WITH_TOOLS: Fields = {"tools": [_TOOL]}


def _content(**part: Any) -> Fields:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, part]}]}


CHAT: Mapping[str, Fields] = {
    "": {},
    "stream": {"stream": True},
    "stream_options": {"stream": True, "stream_options": {"include_usage": True}},
    "messages: system, developer": {
        "messages": [{"role": "developer", "content": "Be short."}, {"role": "user", "content": "hi"}]
    },
    "messages: image_url": _content(type="image_url", image_url={"url": "data:image/png;base64,QUJD"}),
    "messages: file": _content(
        type="file", file={"file_data": "data:application/pdf;base64,UERG", "filename": "a.pdf"}
    ),
    "messages: input_audio": _content(type="input_audio", input_audio={"data": "QUJD", "format": "wav"}),
    "messages: tool_calls, tool": {
        "messages": [
            {"role": "user", "content": "weather?"},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", **_TOOL, "function": {"name": "weather", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "sunny"},
        ],
        **_WITH_TOOLS,
    },
    "max_tokens": {"max_tokens": 50},
    "max_completion_tokens": {"max_completion_tokens": 50},
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.5},
    "stop": {"stop": ["END"]},
    "n": {"n": 2},
    "seed": {"seed": 7},
    "presence_penalty": {"presence_penalty": 0.5},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "logit_bias": {"logit_bias": {"5": 1}},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"logprobs": True, "top_logprobs": 2},
    "tools": _WITH_TOOLS,
    "tools: custom": {"tools": [{"type": "custom", "custom": {"name": "shell"}}]},
    "tools: strict": {"tools": [{"type": "function", "function": {**_TOOL["function"], "strict": True}}]},  # type: ignore[dict-item]
    "tool_choice: none": {**_WITH_TOOLS, "tool_choice": "none"},
    "tool_choice: required": {**_WITH_TOOLS, "tool_choice": "required"},
    "tool_choice: a tool": {**_WITH_TOOLS, "tool_choice": {"type": "function", "function": {"name": "weather"}}},
    "tool_choice: allowed_tools": {
        "tools": [_TOOL, {"type": "function", "function": {"name": "clock"}}],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [_TOOL]}},
    },
    "parallel_tool_calls": {**_WITH_TOOLS, "parallel_tool_calls": False},
    "functions": {"functions": [{"name": "weather"}], "function_call": "auto"},
    "response_format: json_object": {"response_format": {"type": "json_object"}},
    "response_format: json_schema": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": _SCHEMA, "strict": True}}
    },
    "reasoning_effort": {"reasoning_effort": "low"},
    "verbosity": {"verbosity": "low"},
    "prediction": {"prediction": {"type": "content", "content": "hi"}},
    "store": {"store": True},
    "metadata": {"metadata": {"a": "b"}},
    "service_tier": {"service_tier": "default"},
    "safety_identifier": {"safety_identifier": "u"},
    "prompt_cache_key": {"prompt_cache_key": "k"},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "user": {"user": "u"},
    "modalities": {"modalities": ["text", "audio"]},
    "audio": {"audio": {"voice": "alloy", "format": "wav"}},
    "web_search_options": {"web_search_options": {"search_context_size": "low"}},
    "top_k": {"top_k": 5},
    "min_p": {"min_p": 0.1},
    "repetition_penalty": {"repetition_penalty": 1.1},
    "grammar": {"grammar": 'root ::= "a"'},
    "chat_template_kwargs": {"chat_template_kwargs": {"enable_thinking": False}},
}
COMPLETIONS: Mapping[str, Fields] = {
    "": {},
    "stream": {"stream": True},
    "stream_options": {"stream": True, "stream_options": {"include_usage": True}},
    "prompt: texts": {"prompt": ["a", "b"]},
    "prompt: token ids": {"prompt": [1, 2]},
    "suffix": {"suffix": "b"},
    "max_tokens": {"max_tokens": 50},
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.5},
    "stop": {"stop": "END"},
    "n": {"n": 2},
    "best_of": {"best_of": 2},
    "echo": {"echo": True},
    "echo with logprobs": {"echo": True, "logprobs": 1},
    "logprobs": {"logprobs": 2},
    "seed": {"seed": 7},
    "presence_penalty": {"presence_penalty": 0.5},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "logit_bias": {"logit_bias": {"5": 1}},
    "user": {"user": "u"},
}
EMBEDDINGS: Mapping[str, Fields] = {
    "": {},
    "input: texts": {"input": ["a", "b"]},
    "input: token ids": {"input": [1, 2]},
    "dimensions": {"dimensions": 4},
    "encoding_format: base64": {"encoding_format": "base64"},
    "user": {"user": "u"},
}
_DOORS: Mapping[str, tuple[str, Fields]] = {
    "chat": ("/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    "completions": ("/completions", {"prompt": "a"}),
    "embeddings": ("/embeddings", {"input": "a"}),
}


_WITHIN: Mapping[str, Fields] = {
    **{name: _WITH_TOOLS for name in CHAT if name.startswith("tool_choice")},
    "tool_choice: allowed_tools": {"tools": [_TOOL, {"type": "function", "function": {"name": "clock"}}]},
    "parallel_tool_calls": _WITH_TOOLS,
}
"""What a parameter is compared with the absence of, where that is more than the plain request."""
_IN_REPLIES = ("stream_options", "parallel_tool_calls", "echo", "encoding_format: base64")
"""What only the reply shows; ghostd does it itself unless it passes it on."""


HINTS = frozenset(
    (
        "verbosity", "prediction", "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key",
        "prompt_cache_retention", "user",
    )
)  # fmt: skip
"""What a model on this machine has no use for."""


async def measured_here(
    url: str, client: aiohttp.ClientSession, door: str, name: str, fields: Fields, model: str
) -> str:
    """The same of a model on this machine: "served", "accepted" or "refused"."""
    path, usual = _DOORS[door]
    async with client.post(f"{url}/v1{path}", json={"model": model, "max_tokens": 4, **usual, **fields}) as reply:
        raw = await reply.read()
    if reply.status == 400:
        assert json.loads(raw)["error"]["param"], raw
        return "refused"
    assert reply.status == 200, raw
    return "accepted" if name in HINTS else "served"


async def measured(there: Place, client: aiohttp.ClientSession, door: str, name: str, fields: Fields) -> str:
    """What becomes of it: "passed on", "translated", "served" (by ghostd itself), "accepted" or "refused"."""
    model = there.embed_model if door == "embeddings" else there.chat_model
    usual = await _ask(there, client, door, _WITHIN.get(name, {}), model)
    found = await _ask(there, client, door, fields, model)
    if isinstance(found, str) or isinstance(usual, str):
        return "refused"
    if len(found) > len(usual):
        return "served"
    asked, plain = json.loads(found[-1].body), json.loads(usual[-1].body)
    if found[-1].path.endswith(_DOORS[door][0]) and asked.items() >= fields.items():
        return "passed on"
    if asked != plain or name in ("", "stream"):
        return "translated"
    return "served" if name in _IN_REPLIES else "accepted"


async def _ask(
    there: Place, client: aiohttp.ClientSession, door: str, fields: Fields, model: str | None
) -> list[Seen] | str:
    """The requests that reached the service, or "refused"."""
    path, usual = _DOORS[door]
    before = len(there.upstream.requests)
    body = {"model": model or there.chat_model, **usual, **fields}
    async with client.post(there.base_url + path, json=body) as reply:
        raw = await reply.read()
    if reply.status == 400:
        assert json.loads(raw)["error"]["param"], raw
        assert len(there.upstream.requests) == before
        return "refused"
    assert reply.status == 200, raw
    assert not fields.get("stream") or raw.endswith(b"data: [DONE]\n\n")
    return list(there.upstream.requests[before:])
