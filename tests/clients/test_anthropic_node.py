"""Anthropic's official SDK for Node, unchanged, in front of every kind of service."""

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
from matrix.servers import KINDS, Place, place, spoken

from ghostd.conversation import ToolCall
from ghostd.testing.scripted_upstream import Answer, Seen, json_answer
from ghostd.testing.upstream_dialect import Reply
from ghostd.types import Usage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
VERSION = "1.14.0"
SCRIPT = """
import Anthropic from '@anthropic-ai/sdk';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';

const [, , baseURL, model] = process.argv;
const client = new Anthropic({ apiKey: 'any', baseURL, maxRetries: 0 });
const messages = [{ role: 'user', content: 'hi' }];
const tools = [{ name: 'weather', input_schema: { type: 'object', properties: { city: { type: 'string' } } } }];
const asked = { model, max_tokens: 2000, messages, tools };
const said = {};

said.plain = await client.messages.create(asked);
const texts = [];
const stream = client.messages.stream({ ...asked, thinking: { type: 'adaptive', display: 'summarized' } });
stream.on('text', (text) => texts.push(text));
said.streamed = await stream.finalMessage();
said.texts = texts;
said.beta = await client.beta.messages.create({ ...asked, betas: ['newer-2031-01-01'] });
said.count = await client.messages.countTokens({ model, messages, tools });
said.models = [];
for await (const { id } of client.models.list({ limit: 2 })) said.models.push(id);
const temperature = betaTool({
  name: 'weather', description: 'Tells the temperature.', inputSchema: tools[0].input_schema,
  run: ({ city }) => `${city}: -3`,
});
said.ran = await client.beta.messages.toolRunner({ model, max_tokens: 2000, messages, tools: [temperature] });
try {
  await client.messages.create({ ...asked, model: 'nobody' });
} catch (error) {
  said.error = [error.constructor.name, error.status, error.requestID !== undefined];
}
console.log(JSON.stringify(said));
"""


@pytest.fixture(params=KINDS, ids=str)
async def there(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A gateway before one kind of service."""
    async with place(request.param, tmp_path) as found:
        yield found


async def use(folder: Path, there: Place) -> Any:
    """What the script says, in a project that has the SDK."""
    node = shutil.which("node")
    assert node is not None
    packages = await installed(f"@anthropic-ai/sdk@{VERSION}")
    await asyncio.to_thread((folder / "node_modules").symlink_to, packages)
    await asyncio.to_thread((folder / "use.mjs").write_text, SCRIPT)
    command = (node, folder / "use.mjs", there.served.url, there.model)
    ran = await run(command, cwd=folder, env={"PATH": "/usr/bin:/bin"})
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


async def test_messages_streams_tools_counts_and_models(there: Place, tmp_path: Path) -> None:
    call = ToolCall("call_1", "weather", '{"city":"Oslo"}')
    reply = Reply(("Let me ", "see."), "tool_calls", Usage(12, 5), (call,), ("Hm.",))
    there.answers(reply)
    answer = there.upstream.serve
    assert answer is not None
    counted = json_answer({"input_tokens": 33})
    last = Reply(("Cold.",))

    def serve(seen: Seen) -> Answer:
        if seen.path.endswith("count_tokens"):
            return counted
        return spoken(there.dialect, seen, last) if b"Oslo: -3" in seen.body else answer(seen)

    there.upstream.serve = serve
    said = await use(tmp_path, there)
    wanted = [("text", "Let me see."), ("tool_use", {"city": "Oslo"})]
    for name in ("plain", "streamed", "beta"):
        message = said[name]
        blocks = [(block["type"], block.get("text") or block.get("input")) for block in message["content"]]
        assert [block for block in blocks if block[0] != "thinking"] == wanted, name
        assert (message["stop_reason"], message["usage"]["output_tokens"]) == ("tool_use", 5)
    assert said["texts"] == ["Let me ", "see."]
    if there.kind.name != "openai":
        assert said["streamed"]["content"][0]["thinking"] == "Hm."
    assert said["count"]["input_tokens"] == 33 if there.kind.name == "anthropic" else said["count"]["input_tokens"] > 1
    assert said["ran"]["content"][-1]["text"] == "Cold."
    if there.kind.name != "anthropic":  # which holds the thread of the tool runner itself
        assert [(past.name, past.result) for past in there.asked.past] == [("weather", "Oslo: -3")]
    assert there.model in said["models"]
    assert said["error"] == ["NotFoundError", 404, True]
