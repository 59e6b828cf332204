"""OpenAI's official SDK for Node and its Responses API, unchanged, in front of every kind of service."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from clients.npm import installed
from clients.tool_loop import run
from matrix.scenes import JSON_REPLY, ONE_CALL
from matrix.servers import KINDS, Place, place, spoken

from ghostd.testing.scripted_upstream import Answer, Seen
from ghostd.testing.upstream_dialect import Reply
from ghostd.types import Usage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
VERSION = "6.49.0"
HELLO = Reply(("Héllo", " wörld"), usage=Usage(12, 5))
SCRIPT = """
import OpenAI from 'openai';

const [, , baseURL, model] = process.argv;
const client = new OpenAI({ apiKey: 'any', baseURL, maxRetries: 0 });
const tools = [{ type: 'function', name: 'weather', strict: true, parameters: {
  type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false } }];
const said = {};

const called = await client.responses.create({ model, input: 'weather?', tools, store: false });
const call = called.output.find((item) => item.type === 'function_call');
said.call = [call.name, JSON.parse(call.arguments)];
const answered = await client.responses.create({ model, tools, store: false, input: [
  { role: 'user', content: 'weather?' }, ...called.output,
  { type: 'function_call_output', call_id: call.call_id, output: 'rain' } ] });
said.answer = answered.output_text;
said.types = [];
const stream = client.responses.stream({ model, input: 'hi' });
for await (const event of stream) said.types.push(event.type);
said.streamed = (await stream.finalResponse()).output_text;
said.parsed = (await client.responses.parse({ model, input: 'json', text: { format: { type: 'json_schema', name: 'w',
  schema: { type: 'object', properties: {}, additionalProperties: true } } } })).output_parsed;
try {
  await client.responses.create({ model: 'nobody', input: 'hi' });
} catch (error) {
  said.error = [error.constructor.name, error.status, error.code, error.requestID !== undefined];
}
console.log(JSON.stringify(said));
"""


@pytest.fixture(params=KINDS, ids=str)
async def there(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A gateway before one kind of service."""
    async with place(request.param, tmp_path / "store") as found:
        yield found


async def test_tool_loops_streams_and_parsed_replies(there: Place, tmp_path: Path) -> None:
    def serve(seen: Seen) -> Answer:
        reply = HELLO
        if b"json" in seen.body and b"weather" not in seen.body:
            reply = JSON_REPLY
        elif b"weather" in seen.body and b"rain" not in seen.body:
            reply = ONE_CALL
        return spoken(there.dialect, seen, reply)

    there.upstream.serve = serve
    said = await use(tmp_path, there)
    assert said["call"] == ["weather", {"city": "Köln"}]
    assert (said["answer"], said["streamed"]) == ("Héllo wörld", "Héllo wörld")
    assert (said["types"][0], said["types"][-1]) == ("response.created", "response.completed")
    assert said["types"].count("response.output_text.delta") == 2
    assert said["parsed"] == {"city": "Oslo", "degrees": 3}
    assert said["error"] == ["NotFoundError", 404, "model_not_found", True]


async def use(folder: Path, there: Place) -> Any:
    """What the script says, in a project that has the SDK."""
    node = shutil.which("node")
    assert node is not None
    packages = await installed(f"openai@{VERSION}")
    await asyncio.to_thread((folder / "node_modules").symlink_to, packages)
    await asyncio.to_thread((folder / "use.mjs").write_text, SCRIPT)
    command = (node, folder / "use.mjs", f"{there.served.url}/v1", there.model)
    ran = await run(command, cwd=folder, env={"PATH": "/usr/bin:/bin"})
    assert ran.code == 0, ran.err
    return json.loads(ran.out)
