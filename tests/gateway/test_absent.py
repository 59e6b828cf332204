"""OpenAI's API has more calls than ghostd offers; none of them looks like a misspelt path."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import aiohttp
import openai
import pytest

from ghostd.gateway.dialects.openai.absent import ABSENT
from ghostd.testing.gateway import serving

BODIES: dict[str, object] = {"GET": None, "POST": {}, "DELETE": None}
_SDK = Path(openai.__file__).parent / "resources"


def sdk_paths() -> list[str]:
    """Every path that the official SDK calls, ids filled in."""
    found: set[str] = set()
    for source in _SDK.rglob("*.py"):
        for path in re.findall(r'"(/[a-z_]+(?:/[^"\s]*)?)"', source.read_text("utf-8")):
            found.add(re.sub(r"{[^}]*}", "x", path))
    return sorted(found)


async def test_every_call_of_the_sdk_is_known() -> None:
    """By one method or another: nothing that the SDK calls is an unknown URL."""
    elsewhere = (
        "/files",
        "/uploads",
        "/batches",
        "/responses",
        "/conversations",
    )  # doors that this gateway was not given
    stored = "/chat/completions/"  # nothing is stored, so that nothing is there
    paths = [path for path in sdk_paths() if not path.startswith((*elsewhere, stored))]
    assert len(paths) > 100
    unknown = []
    async with serving() as served, aiohttp.ClientSession() as client:
        for path in paths:
            codes = set()
            for method in ("GET", "POST", "DELETE"):
                async with client.request(method, f"{served.url}/v1{path}", json=BODIES[method]) as reply:
                    error = (await reply.json()).get("error") or {}
                    codes.add(error.get("code") or reply.status)
            if codes <= {"unknown_url"}:
                unknown.append(path)
    assert unknown == []


@pytest.mark.covers("openai.absent", state="not offered")
async def test_what_is_not_offered_says_so_in_openais_shape() -> None:
    paths = [
        target for path in ABSENT for target in ([path + "x"] if path.endswith("/") else [path, f"{path}/x/y?a=b"])
    ]
    async with serving() as served, aiohttp.ClientSession() as client:
        for target, method in itertools.product(paths, ("GET", "POST", "DELETE")):
            async with client.request(method, served.url + target, json=BODIES[method]) as reply:
                error = (await reply.json())["error"]
                assert (reply.status, error["code"], error["type"]) == (501, "not_offered", "server_error")
                assert error["message"].startswith("ghostd does not offer ")
                assert reply.headers["x-should-retry"] == "false"


async def test_an_sdk_gets_the_error_at_once() -> None:
    async with serving() as served, openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="x") as client:
        with pytest.raises(openai.InternalServerError, match="does not offer fine-tuning"):
            await client.fine_tuning.jobs.create(model="m", training_file="f")
        with pytest.raises(openai.InternalServerError, match="does not offer vector stores"):
            await client.vector_stores.list()


async def test_a_misspelt_path_stays_unknown_and_a_wrong_method_says_the_right_ones() -> None:
    async with serving() as served, aiohttp.ClientSession() as client:
        async with client.get(f"{served.url}/v1/assistant") as reply:
            assert (reply.status, (await reply.json())["error"]["code"]) == (404, "unknown_url")
        async with client.delete(f"{served.url}/v1/audio/transcriptions") as reply:
            assert (reply.status, reply.headers["Allow"]) == (405, "POST")
