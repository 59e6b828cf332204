"""Every parameter of the Responses API's and Ollama's calls, with a value that shows."""

from __future__ import annotations

from typing import Any

from compatible.measure import Door, Fields

_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_EMPTY = {"type": "object", "properties": {}}


_FUNCTION = {"type": "function", "name": "weather", "parameters": _EMPTY, "strict": False}
RESPONSES = Door(
    "openai.responses",
    "/v1/responses",
    {"input": "hi", "store": False},
    {
        "": {},
        "stream": {"stream": True},
        "instructions": {"instructions": "Be short."},
        "input: image": {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "hi"},
                        {"type": "input_image", "image_url": f"data:image/png;base64,{_PIXEL}"},
                    ],
                }
            ]
        },
        "input: function_call, its output": {
            "input": [
                {"role": "user", "content": "weather?"},
                {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "sunny"},
            ]
        },
        "max_output_tokens": {"max_output_tokens": 50},
        "temperature": {"temperature": 0.5},
        "top_p": {"top_p": 0.5},
        "tools: function": {"tools": [_FUNCTION]},
        "tool_choice: required": {"tools": [_FUNCTION], "tool_choice": "required"},
        "tool_choice: a tool": {"tools": [_FUNCTION], "tool_choice": {"type": "function", "name": "weather"}},
        "parallel_tool_calls": {"tools": [_FUNCTION], "parallel_tool_calls": False},
        "text: json_schema": {
            "text": {"format": {"type": "json_schema", "name": "x", "schema": _SCHEMA, "strict": True}}
        },
        "reasoning: effort": {"reasoning": {"effort": "low"}},
        "metadata": {"metadata": {"a": "b"}},
        "store": {"store": True},
        "top_logprobs": {"top_logprobs": 2, "include": ["message.output_text.logprobs"]},
        "user": {"user": "u"},
        "truncation": {"truncation": "disabled"},
        "service_tier": {"service_tier": "default"},
    },
    within={
        name: {"tools": [_FUNCTION]} for name in ("tool_choice: required", "tool_choice: a tool", "parallel_tool_calls")
    },
    own=frozenset(("parallel_tool_calls", "metadata", "store")),
    hints=frozenset(("user", "service_tier", "truncation")),
    short={"max_output_tokens": 20},
)
_OLLAMA_TOOL = {"type": "function", "function": {"name": "weather", "description": "", "parameters": _EMPTY}}


_SHORT = {"num_predict": 20}


def _options(**options: Any) -> Fields:
    return {"options": {**_SHORT, **options}}


_GENERATION: dict[str, Fields] = {
    "": {},
    "stream": {"stream": True},
    "options: num_predict": _options(num_predict=19),
    "options: temperature": _options(temperature=0.5),
    "options: top_p": _options(top_p=0.5),
    "options: top_k": _options(top_k=5),
    "options: min_p": _options(min_p=0.1),
    "options: repeat_penalty": _options(repeat_penalty=1.1),
    "options: presence_penalty": _options(presence_penalty=0.5),
    "options: seed": _options(seed=7),
    "options: stop": _options(stop=["END"]),
    "options: num_ctx": _options(num_ctx=2048),
    "format: json": {"format": "json"},
    "format: a schema": {"format": _SCHEMA},
    "think": {"think": True, "options": {"num_predict": 2000}},
    "logprobs": {"logprobs": True},
    "keep_alive": {"keep_alive": "5m"},
}
OLLAMA_CHAT = Door(
    "ollama.chat",
    "/api/chat",
    {"messages": [{"role": "user", "content": "hi"}], "stream": False, "options": _SHORT},
    {
        **_GENERATION,
        "messages: images": {"messages": [{"role": "user", "content": "hi", "images": [_PIXEL]}]},
        "messages: tool_calls, tool": {
            "messages": [
                {"role": "user", "content": "weather?"},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"function": {"name": "weather", "arguments": {}}}],
                },
                {"role": "tool", "tool_name": "weather", "content": "sunny"},
            ],
            "tools": [_OLLAMA_TOOL],
        },
        "tools": {"tools": [_OLLAMA_TOOL]},
    },
    within={"think": _options(num_predict=2000)},
    hints=frozenset(("options: num_ctx",)),
)
OLLAMA_GENERATE = Door(
    "ollama.generate",
    "/api/generate",
    {"prompt": "hi", "stream": False, "options": _SHORT},
    {
        **_GENERATION,
        "system": {"system": "Be short."},
        "images": {"images": [_PIXEL]},
        "suffix": {"suffix": "b"},
        "raw": {"raw": True},
    },
    within={"think": _options(num_predict=2000)},
    hints=frozenset(("options: num_ctx",)),
)
OLLAMA_EMBED = Door(
    "ollama.embed",
    "/api/embed",
    {"input": "a"},
    {"": {}, "input: texts": {"input": ["a", "b"]}, "dimensions": {"dimensions": 4}, "truncate": {"truncate": False}},
    embeds=True,
    own=frozenset(("dimensions",)),
    hints=frozenset(("truncate",)),
)
