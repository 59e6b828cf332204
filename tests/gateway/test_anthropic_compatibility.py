"""What each parameter of the Messages API becomes before each kind of service: measured on what reaches the service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from compatibility import BEHIND
from gguf_fixtures import RECIPES, write_gguf
from obedient.places import KINDS, Place, place

from ghostd.config.local import LocalConfig
from ghostd.testing.gateway import serving
from ghostd.testing.scripted_upstream import Seen
from ghostd.workers.provider import local_provider

Fields = dict[str, Any]

PATH = "/v1/messages"
HI = {"role": "user", "content": "hi"}
WEATHER = {"name": "weather", "input_schema": {"type": "object", "properties": {}}}
WITH_TOOLS: Fields = {"tools": [WEATHER]}
USUAL: Fields = {"max_tokens": 2000, "messages": [HI]}
PNG = {"type": "base64", "media_type": "image/png", "data": "QUJD"}
SCHEMA = {"type": "json_schema", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}


def _said(*blocks: Fields) -> Fields:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, *blocks]}]}


def _results(*content: Fields) -> Fields:
    call = {"type": "tool_use", "id": "t1", "name": "weather", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": list(content)}
    messages = [HI, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return {"messages": messages, **WITH_TOOLS}


PARAMETERS: Mapping[str, Fields] = {
    "": {},
    "stream": {"stream": True},
    "system": {"system": "Be brief."},
    "system: blocks": {"system": [{"type": "text", "text": "Be brief."}]},
    "messages: system": {"messages": [HI, {"role": "system", "content": "Be brief."}]},
    "messages: a role twice": {"messages": [HI, HI]},
    "messages: prefill": {"messages": [HI, {"role": "assistant", "content": "The answer is"}]},
    "messages: image": _said({"type": "image", "source": PNG}),
    "messages: image by URL": _said({"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}),
    "messages: document, PDF": _said(
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "UERG"}}
    ),
    "messages: document, text": _said(
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Once."}}
    ),
    "messages: tool_use, tool_result": _results({"type": "text", "text": "sunny"}),
    "messages: image in a tool_result": _results({"type": "image", "source": PNG}),
    "messages: thinking": {
        "messages": [
            HI,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                    {"type": "text", "text": "Yes?"},
                ],
            },
            HI,
        ]
    },
    "max_tokens": {"max_tokens": 50},
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.5},
    "top_k": {"top_k": 5},
    "stop_sequences": {"stop_sequences": ["END"]},
    "metadata": {"metadata": {"user_id": "u"}},
    "service_tier": {"service_tier": "auto"},
    "cache_control": {"cache_control": {"type": "ephemeral"}},
    "context_management": {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
    "tools": WITH_TOOLS,
    "tools: strict": {"tools": [{**WEATHER, "strict": True}]},
    "tools: defer_loading": {"tools": [WEATHER, {**WEATHER, "name": "later", "defer_loading": True}]},
    "tools: of Anthropic's servers": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    "tool_choice: any": {**WITH_TOOLS, "tool_choice": {"type": "any"}},
    "tool_choice: tool": {**WITH_TOOLS, "tool_choice": {"type": "tool", "name": "weather"}},
    "tool_choice: none": {**WITH_TOOLS, "tool_choice": {"type": "none"}},
    "tool_choice: disable_parallel_tool_use": {
        **WITH_TOOLS,
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    },
    "thinking: enabled": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    "thinking: adaptive": {"thinking": {"type": "adaptive", "display": "summarized"}},
    "thinking: disabled": {"thinking": {"type": "disabled"}},
    "output_config: effort": {"output_config": {"effort": "low"}},
    "output_config: format": {"output_config": {"format": SCHEMA}},
    "output_format": {"output_format": SCHEMA},
    "mcp_servers": {"mcp_servers": [{"type": "url", "url": "https://x.test", "name": "x"}]},
}
_WITHIN: Mapping[str, Fields] = {
    **{name: WITH_TOOLS for name in PARAMETERS if name.startswith("tool_choice")},
    "tool_choice: disable_parallel_tool_use": {**WITH_TOOLS, "tool_choice": {"type": "auto"}},
    "tools: defer_loading": WITH_TOOLS,
}
"""What a parameter is compared with the absence of, where that is more than the plain request."""
_DONE_HERE = ("tool_choice: disable_parallel_tool_use", "tools: defer_loading", "stop_sequences")
"""What ghostd does itself where the service has no word for it."""

_STATES = {"P": "passed on", "T": "translated", "S": "served", "A": "accepted", "R": "refused"}
EXPECTED: Mapping[str, str] = {
    # A letter for each kind of BEHIND: openai, anthropic, gemini, ollama, local.
    "": "TPTTS",
    "stream": "TPTTS",
    "system": "TPTTS",
    "system: blocks": "TPTTS",
    "messages: system": "TPTTS",
    "messages: a role twice": "TPTTS",
    "messages: prefill": "TPTTS",
    "messages: image": "TPTTR",
    "messages: image by URL": "TPTRR",
    "messages: document, PDF": "RPTRR",
    "messages: document, text": "TPTTS",
    "messages: tool_use, tool_result": "TPTTS",
    "messages: image in a tool_result": "TPTTR",
    "messages: thinking": "TPTTS",
    "max_tokens": "TPTTS",
    "temperature": "TPTTS",
    "top_p": "TPTTS",
    "top_k": "APTTS",
    "stop_sequences": "SPSSS",
    "metadata": "TPAAA",
    "service_tier": "APAAA",
    "cache_control": "APAAA",
    "context_management": "APAAA",
    "tools": "TPTTS",
    "tools: strict": "TPTTS",
    "tools: defer_loading": "SPSSS",
    "tools: of Anthropic's servers": "RPRRR",
    "tool_choice: any": "TPTTS",
    "tool_choice: tool": "TPTTS",
    "tool_choice: none": "TPTTS",
    "tool_choice: disable_parallel_tool_use": "TPSSS",
    "thinking: enabled": "APTTS",
    "thinking: adaptive": "APTTS",
    "thinking: disabled": "APTTS",
    "output_config: effort": "APTTS",
    "output_config: format": "TPTTS",
    "output_format": "TPTTS",
    "mcp_servers": "RPRRR",
}


_COUNTED = {"anthropic": "passed on", "gemini": "translated"}
"""Services that count a prompt's tokens."""


def expected(kind: str) -> dict[str, str]:
    at = list(BEHIND).index(kind)
    return {name: _STATES[letters[at]] for name, letters in EXPECTED.items()}


def claims(kind: str) -> list[pytest.MarkDecorator]:
    counted = _COUNTED.get(kind, "served")
    return [
        *(
            pytest.mark.covers("anthropic.messages", name, behind=kind, state=state)
            for name, state in expected(kind).items()
        ),
        pytest.mark.covers("anthropic.count_tokens", behind=kind, state=counted),
        pytest.mark.covers("anthropic.models", behind=kind, state="served"),
    ]


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=claims(kind)) for kind in KINDS])
async def test_every_parameter_becomes_what_the_table_says(kind: str) -> None:
    async with place(kind) as there, aiohttp.ClientSession() as client:
        found = {name: await _measured(there, client, name, fields) for name, fields in PARAMETERS.items()}
        before = len(there.upstream.requests)
        counted = await _post(client, there.served.url, {"model": there.chat_model, "messages": [HI]}, "/count_tokens")
        assert json.loads(counted[1])["input_tokens"] > 0
        assert (len(there.upstream.requests) > before) == (kind in _COUNTED)
        await _check_models(client, there.served.url, there.chat_model)
    assert found == expected(kind)


@pytest.mark.local_model
@pytest.mark.parametrize("kind", [pytest.param("local", marks=claims("local"))])
async def test_every_parameter_becomes_what_the_table_says_on_this_machine(kind: str, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for name in ("caller", "thinker"):
        write_gguf(models / f"{name}.gguf", RECIPES[name])
    async with (
        local_provider(LocalConfig(), models, tmp_path) as provider,
        serving(provider) as served,
        aiohttp.ClientSession() as client,
    ):
        await provider.refresh()
        found = {name: await _measured_here(served.url, client, name, fields) for name, fields in PARAMETERS.items()}
        counted = await _post(client, served.url, {"model": "caller", "messages": [HI]}, "/count_tokens")
        assert json.loads(counted[1])["input_tokens"] > 0
        await _check_models(client, served.url, "caller")
    assert found == expected(kind)


async def _check_models(client: aiohttp.ClientSession, url: str, name: str) -> None:
    async with client.get(f"{url}/v1/models?limit=1000", headers={"anthropic-version": "2023-06-01"}) as reply:
        assert name in [model["id"] for model in (await reply.json())["data"]]


async def _post(client: aiohttp.ClientSession, url: str, body: Fields, more: str = "") -> tuple[int, bytes]:
    async with client.post(url + PATH + more, json=body) as reply:
        return reply.status, await reply.read()


async def _measured_here(url: str, client: aiohttp.ClientSession, name: str, fields: Fields) -> str:
    """What a model on this machine makes of it."""
    thinks = name.startswith(("thinking", "output_config: effort"))
    model = "thinker" if thinks else "caller"
    status, raw = await _post(client, url, {"model": model, **USUAL, "max_tokens": 40, **fields})
    if status == 400:
        assert json.loads(raw)["error"]["type"] == "invalid_request_error"
        return "refused"
    assert status == 200, raw
    if name in ("thinking: enabled", "thinking: adaptive"):
        assert [block["type"] for block in json.loads(raw)["content"]] == ["thinking", "text"]
    elif thinks:
        assert [block["type"] for block in json.loads(raw)["content"]] == ["text"]
    return "accepted" if name in ("metadata", "service_tier", "cache_control", "context_management") else "served"


async def _measured(there: Place, client: aiohttp.ClientSession, name: str, fields: Fields) -> str:
    """What becomes of it before a service."""
    usual = await _ask(there, client, _WITHIN.get(name, {}))
    found = await _ask(there, client, fields)
    if found is None:
        return "refused"
    assert usual is not None
    asked, plain = json.loads(found.body), json.loads(usual.body)
    if found.path.endswith(PATH) and asked.items() >= fields.items():
        return "passed on"
    if asked != plain or found.path != usual.path or name in ("", "stream"):
        return "translated"
    return "served" if name in _DONE_HERE else "accepted"


async def _ask(there: Place, client: aiohttp.ClientSession, fields: Fields) -> Seen | None:
    """The request that reached the service; None if it was refused before."""
    before = len(there.upstream.requests)
    status, raw = await _post(client, there.served.url, {"model": there.chat_model, **USUAL, **fields})
    if status == 400:
        assert json.loads(raw)["error"]["type"] == "invalid_request_error"
        assert len(there.upstream.requests) == before
        return None
    assert status == 200, raw
    assert not fields.get("stream") or b"event: message_stop" in raw
    return there.upstream.requests[-1]
