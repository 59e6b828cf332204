"""The Messages API: any body gets a message or the error object; whatever a model says comes in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import aiohttp
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostd.conversation import ToolCallDelta
from ghostd.gateway.dialects.anthropic.blocks import Blocks, Thoughts
from ghostd.gateway.dialects.anthropic.errors import ErrorReply
from ghostd.gateway.dialects.anthropic.replies import CountReply, MessageReply
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import Delta

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
NAMES = (
    "type text source content title context id name input tool_use_id is_error thinking signature data "
    "tool_name tool cache_control media_type url file_id ttl definition budget_tokens display effort "
    "format schema input_schema strict defer_loading disable_parallel_tool_use user_id"
)
WORDS = (
    "text image document tool_use tool_result thinking redacted_thinking search_result tool_reference "
    "tool_addition tool_removal compaction fallback server_tool_use base64 url file content ephemeral 5m "
    "enabled adaptive disabled omitted auto any tool none json_schema tool_definition object ghostd.e30 "
    "https://x.test image/png custom"
)
LEAVES = JUNK | st.sampled_from(WORDS.split()) | st.integers(0, 5000)
PARTS = st.recursive(
    st.dictionaries(st.sampled_from(NAMES.split()), LEAVES, max_size=4),
    lambda inner: st.dictionaries(
        st.sampled_from(NAMES.split()), inner | st.lists(inner, max_size=3) | LEAVES, max_size=5
    ),
    max_leaves=8,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant", "system"]),
            "content": st.text(max_size=9) | st.lists(PARTS, max_size=4),
        }
    ),
    max_size=4,
)
MEMBERS = (
    "system stream stop_sequences temperature top_p top_k tools tool_choice thinking output_config "
    "output_format metadata service_tier speed cache_control mcp_servers context_management hologram"
)
BODIES = st.fixed_dictionaries(
    {"model": st.just("auto"), "max_tokens": st.just(5) | LEAVES, "messages": MESSAGES | JUNK},
    optional={name: PARTS | st.lists(PARTS, max_size=3) | LEAVES for name in MEMBERS.split()},
)


async def _ask(body: bytes) -> list[tuple[str, int, str, bytes]]:
    async with serving(ScriptedProvider()) as served, aiohttp.ClientSession() as client:
        found = []
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            headers = {"Content-Type": "application/json"}
            async with client.post(served.url + path, data=body, headers=headers) as reply:
                found.append((path, reply.status, reply.headers["content-type"], await reply.read()))
        return found


@settings(max_examples=60, deadline=None)
@given(BODIES)
def test_any_body_gets_a_message_or_an_error_in_the_dialect(body: dict[str, Any]) -> None:
    for path, status, kind, reply in asyncio.run(_ask(json.dumps(body).encode())):
        if status == 200 and kind == "text/event-stream":
            assert reply.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
        elif status == 200:
            msgspec.json.decode(reply, type=MessageReply if path == "/v1/messages" else CountReply)
        else:
            assert status in (400, 404), (status, reply)
            assert msgspec.json.decode(reply, type=ErrorReply).error.message


# --- what models say -------------------------------------------------------------------------------

ARGUMENTS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=8), max_size=4).map(json.dumps)


@st.composite
def turns(draw: st.DrawFn) -> tuple[list[Delta], list[str]]:
    """The pieces of a turn, of which those of several calls may be interleaved, and the calls' whole arguments."""
    arguments = draw(st.lists(ARGUMENTS, max_size=4))
    waiting = []
    for index, text in enumerate(arguments):
        cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
        pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        first = ToolCallDelta(index, pieces[0], f"c{index}", f"f{index}", draw(st.sampled_from([None, "sig"])))
        waiting.append(
            [Delta(tool_calls=(first,)), *(Delta(tool_calls=(ToolCallDelta(index, p),)) for p in pieces[1:])]
        )
    said = draw(
        st.lists(st.sampled_from([Delta("x"), Delta("\n"), Delta(reasoning="t"), Delta(refusal="r")]), max_size=5)
    )
    waiting.append(said)
    mixed = []
    while any(waiting):
        index = draw(st.sampled_from([number for number, left in enumerate(waiting) if left]))
        mixed.append(waiting[index].pop(0))
    return mixed, arguments


def walked(deltas: Sequence[Delta], thoughts: Thoughts) -> Iterator[tuple[str, str, str]]:
    """The whole blocks: kind, id, text. AssertionError where one begins within another."""
    blocks = Blocks(thoughts)
    steps = [step for delta in deltas for step in blocks.add(delta)] + list(blocks.finish())
    current, text = None, ""
    for what, block, piece in steps:
        if what == "open":
            assert current is None
            current, text = block, ""
        else:
            assert block is current
            text += piece
            if what == "close":
                yield block.kind, block.id, text
                current = None
    assert current is None


@pytest.mark.parametrize("thoughts", ["shown", "omitted", "dropped"])
@settings(max_examples=150, deadline=None)
@given(turn=turns())
def test_any_order_of_pieces_becomes_whole_blocks_one_after_the_other(
    thoughts: Thoughts, turn: tuple[list[Delta], list[str]]
) -> None:
    deltas, arguments = turn
    blocks = list(walked(deltas, thoughts))
    assert sorted((identifier, text) for kind, identifier, text in blocks if kind == "tool_use") == [
        (f"c{index}", text) for index, text in enumerate(arguments)
    ]
    said = "".join(delta.text + delta.refusal for delta in deltas)
    shown = "".join(text for kind, _, text in blocks if kind == "text")
    assert "".join(shown.split()) == "".join(said.split())
    thought = "".join(text for kind, _, text in blocks if kind == "thinking")
    assert thought == ("".join(delta.reasoning for delta in deltas) if thoughts == "shown" else "")
    assert all(text.strip() for kind, _, text in blocks if kind == "text") or len(blocks) == 1
