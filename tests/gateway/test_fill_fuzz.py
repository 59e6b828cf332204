"""Whatever a body says at llama.cpp's, Mistral's and Tabby's doors, it is answered, or refused in their shape."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import msgspec
from gateway.test_fuzz import JSON
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ghostd.config.http import HttpConfig
from ghostd.gateway.dialects.llamacpp.completion import CompletionFields
from ghostd.gateway.dialects.llamacpp.infill import InfillFields
from ghostd.gateway.dialects.llamacpp.tokens import DetokenizeBody, TemplateBody, TokenizeBody
from ghostd.gateway.dialects.mistral_fim import FimBody
from ghostd.gateway.dialects.tabby.completions import Segments, TabbyBody
from ghostd.gateway.dialects.tabby.routes import EventBody
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedProvider

VALUES = JSON | st.sampled_from(
    ["a", "scripted-model", True, 0, 1, -1, 0.5, ["a"], [1, "a"], [[1]], {"prefix": "a"}, [["5", False]], {"1": 1}]
)
STRUCTS: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "/infill": (InfillFields,),
    "/completion": (CompletionFields,),
    "/tokenize": (TokenizeBody,),
    "/detokenize": (DetokenizeBody,),
    "/apply-template": (TemplateBody,),
    "/v1/fim/completions": (FimBody,),
    "/v1/completions": (TabbyBody,),
    "/v1/events": (EventBody,),
}


def bodies(path: str) -> st.SearchStrategy[Any]:
    fields: dict[str, st.SearchStrategy[Any]] = {
        name: VALUES for struct in STRUCTS[path] for name in struct.__struct_fields__
    }
    given_fields: dict[str, st.SearchStrategy[Any]] = {}
    if path == "/infill":
        given_fields = {name: st.just("a") | fields.pop(name) for name in ("input_prefix", "input_suffix")}
    elif path == "/v1/completions":
        inside = {name: VALUES for name in Segments.__struct_fields__ if name != "prefix"}
        given_fields["segments"] = st.fixed_dictionaries({"prefix": st.just("a")}, optional=inside)
        del fields["segments"]
    return st.fixed_dictionaries(given_fields, optional=fields)


async def _ask(path: str, body: bytes) -> tuple[int, Any]:
    config = HttpConfig(llamacpp_model="scripted-model")
    async with (
        serving(ScriptedProvider(), config=config) as served,
        aiohttp.ClientSession() as client,
        client.post(served.url + path, data=body, headers={"Content-Type": "application/json"}) as reply,
    ):
        data = await reply.read()
        return reply.status, None if reply.content_type == "text/event-stream" else msgspec.json.decode(data)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(STRUCTS)).flatmap(lambda path: st.tuples(st.just(path), bodies(path))))
def test_any_body_is_answered_or_refused(asked: tuple[str, Any]) -> None:
    path, body = asked
    status, reply = asyncio.run(_ask(path, msgspec.json.encode(body)))
    assert status in (200, 400, 404), (status, reply)
    if status == 200:
        return
    error = reply if path.startswith("/v1/fim") else reply["error"]
    assert isinstance(error["message"], str) and error["message"]
    assert "Traceback" not in error["message"]
    if not path.startswith("/v1/"):
        assert error["code"] == status
