"""Ollama's official package for Node, unchanged, in front of every kind of service."""

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
from matrix.servers import KINDS, Place, place

from ghostd.conversation import ToolCall
from ghostd.testing.upstream_dialect import Reply
from ghostd.types import Usage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
VERSION = "0.6.4"
SCRIPT = """
import { Ollama } from 'ollama';

const [, , host, model] = process.argv;
const client = new Ollama({ host });
const messages = [{ role: 'user', content: 'hi' }];
const parameters = { type: 'object', properties: { city: { type: 'string' } } };
const tools = [{ type: 'function', function: { name: 'weather', description: 'd', parameters } }];
const said = {};

said.plain = await client.chat({ model, messages, tools, options: { temperature: 0, num_predict: 100 } });
said.parts = [];
for await (const part of await client.chat({ model, messages, tools, stream: true })) said.parts.push(part);
said.generated = await client.generate({ model, prompt: 'hi', system: 'Be short.' });
said.shown = await client.show({ model });
said.models = (await client.list()).models.map(({ model }) => model);
said.running = await client.ps();
said.version = await client.version();
try {
  await client.chat({ model: 'nobody', messages });
} catch (error) {
  said.error = [error.name, error.status_code, error.message];
}
const left = await client.chat({ model, messages, stream: true });
try {
  for await (const part of left) left.abort();
} catch (error) {
  if (error.name !== 'AbortError') throw error;
}
console.log(JSON.stringify(said));
process.exit(0);
"""


@pytest.fixture(params=KINDS, ids=str)
async def there(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A gateway before one kind of service."""
    async with place(request.param, tmp_path) as found:
        yield found


async def use(folder: Path, there: Place) -> Any:
    """What the script says, in a project that has the package."""
    node = shutil.which("node")
    assert node is not None
    packages = await installed(f"ollama@{VERSION}")
    await asyncio.to_thread((folder / "node_modules").symlink_to, packages)
    await asyncio.to_thread((folder / "use.mjs").write_text, SCRIPT)
    command = (node, folder / "use.mjs", there.served.url, there.model)
    ran = await run(command, cwd=folder, env={"PATH": "/usr/bin:/bin"})
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


async def test_chats_streams_tools_prompts_and_lists(there: Place, tmp_path: Path) -> None:
    call = ToolCall("call_1", "weather", '{"city":"Oslo"}')
    there.answers(Reply(("Let me ", "see."), "tool_calls", Usage(12, 5), (call,)))
    said = await use(tmp_path, there)
    message = said["plain"]["message"]
    calls = [(called["function"]["name"], called["function"]["arguments"]) for called in message["tool_calls"]]
    assert (message["content"], calls) == ("Let me see.", [("weather", {"city": "Oslo"})])
    assert (said["plain"]["done"], said["plain"]["eval_count"]) == (True, 5)
    texts = [part["message"]["content"] for part in said["parts"]]
    called = [called for part in said["parts"] for called in part["message"].get("tool_calls", [])]
    assert ("".join(texts), [one["function"]["arguments"] for one in called]) == ("Let me see.", [{"city": "Oslo"}])
    assert [part["done"] for part in said["parts"]] == [False] * (len(texts) - 1) + [True]
    assert (said["generated"]["response"], said["generated"]["done"]) == ("Let me see.", True)
    assert "completion" in said["shown"]["capabilities"]
    assert there.model in said["models"]
    assert said["running"] == {"models": []}
    assert said["version"]["version"]
    name, status, text = said["error"]
    assert (name, status) == ("ResponseError", 404)
    assert "not found" in text
