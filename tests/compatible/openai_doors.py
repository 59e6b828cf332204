"""Every parameter of OpenAI's calls, with a value that shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compatible.measure import Door, Fields

_TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
_WITH_TOOLS: Fields = {"tools": [_TOOL]}


def _content(**part: Any) -> Fields:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, part]}]}


_CHAT: Mapping[str, Fields] = {
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
_COMPLETIONS: Mapping[str, Fields] = {
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
_EMBEDDINGS: Mapping[str, Fields] = {
    "": {},
    "input: texts": {"input": ["a", "b"]},
    "input: token ids": {"input": [1, 2]},
    "dimensions": {"dimensions": 4},
    "encoding_format: base64": {"encoding_format": "base64"},
    "user": {"user": "u"},
}
_HINTS = frozenset(
    (
        "verbosity", "prediction", "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key",
        "prompt_cache_retention", "user",
    )
)  # fmt: skip
CHAT = Door(
    "openai.chat",
    "/v1/chat/completions",
    {"messages": [{"role": "user", "content": "hi"}]},
    _CHAT,
    within={
        **{name: _WITH_TOOLS for name in _CHAT if name.startswith("tool_choice")},
        "tool_choice: allowed_tools": {"tools": [_TOOL, {"type": "function", "function": {"name": "clock"}}]},
        "parallel_tool_calls": _WITH_TOOLS,
    },
    own=frozenset(("stream_options", "parallel_tool_calls")),
    hints=_HINTS,
    short={"max_tokens": 4},
)
COMPLETIONS = Door(
    "openai.completions",
    "/v1/completions",
    {"prompt": "a"},
    _COMPLETIONS,
    own=frozenset(("stream_options", "echo")),
    hints=_HINTS,
    short={"max_tokens": 4},
)
EMBEDDINGS = Door(
    "openai.embeddings",
    "/v1/embeddings",
    {"input": "a"},
    _EMBEDDINGS,
    own=frozenset(("encoding_format: base64",)),
    hints=_HINTS,
    embeds=True,
)
