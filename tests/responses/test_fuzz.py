"""Random bodies: the reply is a response or an error in OpenAI's shape, never a failure of ghostd's own."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from responses_harness import before
from routing_harness import USAGE, deltas, upstream

from ghostd.testing.scripted import Step
from ghostd.types import Relayed

ATOMS: list[Any] = [
    None, True, False, 0, -1, 2**40, 1.5, "", "x", "auto", "required", "function", "custom", "user", "assistant",
    "json_schema", "f", "c1", "resp_1", "namespace", "allowed_tools", "web_search", "ghostd1.abc", "ghostd1.e30=",
    "\u0000", "é" * 10, "{}", "data:text/plain;base64,!!",
]  # fmt: skip
KEYS = (
    "type", "id", "role", "content", "text", "name", "call_id", "arguments", "input", "output", "tools", "summary",
    "encrypted_content", "namespace", "format", "schema", "strict", "effort", "image_url", "file_data", "mode",
)  # fmt: skip
FIELDS = (
    "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning", "max_output_tokens",
    "temperature", "top_logprobs", "include", "metadata", "truncation", "user", "stream_options", "prompt", "store",
    "background", "previous_response_id", "conversation",
)  # fmt: skip
TYPES = (
    "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning",
    "item_reference", "tool_search_call", "tool_search_output", "additional_tools", "compaction", "unknown",
)  # fmt: skip
UPSTREAM = {"id": None, "status": "completed", "output": [{"type": "message", "id": None}], "usage": None}


class Maker:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def value(self, depth: int = 0) -> Any:
        kind = self.random.random()
        if depth > 4 or kind < 0.45:
            return self.random.choice(ATOMS)
        if kind < 0.7:
            return [self.value(depth + 1) for _ in range(self.random.randrange(4))]
        return {self.random.choice(KEYS): self.value(depth + 1) for _ in range(self.random.randrange(5))}

    def item(self) -> dict[str, Any]:
        choice = self.random.choice
        item = {
            "type": choice(TYPES),
            "id": choice(["m1", "rs_gh1", None, 5]),
            "role": choice(["user", "assistant", "x"]),
            "content": choice(["hi", [{"type": "input_text", "text": "x"}], None, 5]),
            "call_id": choice(["c1", "c2"]),
            "name": "f",
            "arguments": choice(["{}", {}, "x", 5]),
            "input": "x",
            "output": choice(["o", [{"type": "input_text", "text": "x"}], 5, None]),
            "encrypted_content": choice([None, "ghostd1.zz", "ghostd1.e30=", 5]),
            "tools": choice([[], None, [{"type": "function", "name": "g"}], [{"name": "x"}]]),
        }
        return {name: value for name, value in item.items() if name == "type" or self.random.random() < 0.65}

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"model": "r", "input": [self.item() for _ in range(self.random.randrange(1, 5))]}
        if self.random.random() < 0.3:
            body["input"] = "hi"
        for _ in range(self.random.randrange(3)):
            body[self.random.choice(FIELDS)] = self.value()
        return body


@pytest.mark.parametrize("relays", [("openai.chat",), ("openai.responses",)])
@pytest.mark.parametrize("seed", range(3))
async def test_nothing_in_a_body_makes_ghostd_fail(relays: tuple[str, ...], seed: int) -> None:
    make = Maker(seed)
    relayed: list[Step] = [Relayed(json.dumps(UPSTREAM).encode(), True, USAGE, "completed")]
    script = relayed if relays == ("openai.responses",) else deltas("ok")
    statuses = set()
    async with before(upstream("a", script, relays=relays)) as d:
        for _ in range(150):
            body = make.body()
            status, reply = await d.post(**body)
            assert status in (200, 400, 404), (body, reply)
            assert status == 200 or set(reply["error"]) == {"message", "type", "param", "code"}
            statuses.add(status)
    assert statuses >= {200, 400}
