"""Whatever a body says, the answer is a reply or an OpenAI error object, and never a 5xx."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import aiohttp
import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ghostd.errors import InvalidRequest
from ghostd.gateway.body import check_depth
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedProvider

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)

FIELDS = (
    "model messages prompt input suffix stream stream_options n max_tokens max_completion_tokens stop temperature "
    "top_p presence_penalty frequency_penalty logit_bias seed response_format top_k min_p repeat_penalty "
    "repetition_penalty grammar json_schema logprobs top_logprobs tools tool_choice functions function_call "
    "modalities audio best_of echo file_path root min_confidence encoding_format dimensions parallel_tool_calls "
    "reasoning_effort verbosity prediction store metadata service_tier safety_identifier prompt_cache_key "
    "web_search_options chat_template_kwargs user"
)

VALUES = JSON | st.sampled_from(
    [
        "auto",
        "scripted-model",
        True,
        1,
        2,
        0.5,
        ["a"],
        [1, 2],
        [[1]],
        [{"role": "user", "content": "hi"}],
        [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        {"type": "json_object"},
        {"include_usage": True},
        {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        [{"type": "function", "function": {"name": "f"}}],
        [{"type": "custom", "custom": {"name": "f"}}],
        {"type": "function", "function": {"name": "f"}},
        {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [{"type": "custom", "custom": {"name": "f"}}]},
        },
        [
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f"}}]},
            {"role": "tool", "tool_call_id": "c"},
        ],
        {"1": 1},
    ]
)

BODIES = st.fixed_dictionaries(
    {"model": st.sampled_from(["auto", "scripted-model"]) | VALUES},
    optional={name: VALUES for name in FIELDS.split() if name != "model"},
)

PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")


async def _ask(body: bytes) -> list[tuple[int, bytes]]:
    async with serving(ScriptedProvider()) as served, aiohttp.ClientSession() as client:
        found = []
        for path in PATHS:
            headers = {"Content-Type": "application/json"}
            async with client.post(served.url + path, data=io.BytesIO(body), headers=headers) as reply:
                found.append((reply.status, await reply.read()))
        return found


def check(body: bytes) -> None:
    for status, reply in asyncio.run(_ask(body)):
        if status == 200:
            continue
        assert status in (400, 404), (status, reply)
        error: dict[str, Any] = msgspec.json.decode(reply)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(BODIES)
def test_any_json_object_gets_a_reply_or_an_openai_error(body: dict[str, Any]) -> None:
    check(msgspec.json.encode(body))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.binary(max_size=200) | JSON.map(msgspec.json.encode))
def test_any_bytes_get_an_openai_error(body: bytes) -> None:
    check(body)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


TRICKY = st.recursive(
    st.text(alphabet='[]{}"\\a', max_size=8) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[{"\\', max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(TRICKY, st.integers(0, 6))
def test_the_depth_check_is_exact(value: Any, limit: int) -> None:
    """Brackets in strings do not count, nor do escaped quotes end a string."""
    try:
        check_depth(msgspec.json.encode(value), limit)
    except InvalidRequest:
        assert _depth(value) > limit
    else:
        assert _depth(value) <= limit
