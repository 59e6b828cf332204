"""Files and batches over a gateway before a scripted OpenAI service, with the official SDK before it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
from openai.types import Batch
from providers.openai_dialect import OpenAIDialect

from ghostd.batches.service import BatchService, open_batches
from ghostd.config.files import BatchesConfig, FilesConfig
from ghostd.config.http import HttpConfig
from ghostd.config.providers import ProviderConfig
from ghostd.config.routing import RoutingConfig
from ghostd.config.settings import Config
from ghostd.engine import Engine
from ghostd.files.service import open_files
from ghostd.gateway.doors import api_routes, batch_doors, file_doors
from ghostd.gateway.inside import Inside
from ghostd.providers import presets
from ghostd.routing.registry import Registry
from ghostd.testing.gateway import Served, serving
from ghostd.testing.memory_ledger import MemoryLedger
from ghostd.testing.scripted_upstream import Answer, ScriptedUpstream, Seen, json_answer, scripted_upstream
from ghostd.testing.upstream_dialect import PROVIDER, opened

MODEL = f"{PROVIDER}/gpt-4.1"
CHAT = "/v1/chat/completions"
ENDED = ("failed", "completed", "expired", "cancelled")


def chat_line(custom_id: str, text: str = "hi", **changes: Any) -> dict[str, Any]:
    """A request for a chat; `changes` are of the body."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], **changes}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


def jsonl(lines: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def said(seen: Seen) -> str:
    """What the user of a chat says."""
    text: str = seen.json["messages"][-1]["content"]
    return text


def echo(seen: Seen) -> Answer:
    """A chat's reply that repeats what was said, pretty-printed as some services do."""
    message = {"role": "assistant", "content": f"you said {said(seen)}"}
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4.1",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }
    return Answer((json.dumps(body, indent=2).encode(),), 200, {"content-type": "application/json"}, "length")


def limited(after_s: float = 0.05) -> Answer:
    """A 429."""
    told = {"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}}
    return json_answer(told, 429, {"retry-after-ms": str(int(after_s * 1000))})


@dataclass(frozen=True, slots=True)
class World:
    upstream: ScriptedUpstream
    engine: Engine
    ledger: MemoryLedger
    batches: BatchService
    served: Served
    client: openai.AsyncOpenAI
    folder: Path

    async def upload(self, content: bytes) -> str:
        return (await self.client.files.create(file=("in.jsonl", content), purpose="batch")).id

    async def begin(self, lines: Sequence[Mapping[str, Any]] | bytes, endpoint: Any = CHAT, **more: Any) -> Batch:
        file = await self.upload(lines if isinstance(lines, bytes) else jsonl(lines))
        return await self.client.batches.create(
            input_file_id=file, endpoint=endpoint, **{"completion_window": "24h", **more}
        )

    async def until(self, batch_id: str, *statuses: str) -> Batch:
        """Wait until the batch has one of these, or has ended."""
        async with asyncio.timeout(30):
            while True:
                batch = await self.client.batches.retrieve(batch_id)
                if batch.status in (statuses or ENDED):
                    return batch
                assert batch.status not in ENDED, batch
                await asyncio.sleep(0.01)

    async def content(self, file_id: str | None) -> list[dict[str, Any]]:
        assert file_id is not None
        text = (await self.client.files.content(file_id)).text
        assert text.endswith("\n")
        return [json.loads(line) for line in text.splitlines()]

    async def outputs(self, batch: Batch) -> list[dict[str, Any]]:
        return await self.content(batch.output_file_id)

    async def errors(self, batch: Batch) -> list[dict[str, Any]]:
        return await self.content(batch.error_file_id)

    async def until_clean(self) -> None:
        """Wait until the folders of all batches are gone."""
        async with asyncio.timeout(10):
            while any(path.is_dir() for path in (self.folder / "batches").iterdir()):
                await asyncio.sleep(0.01)


@asynccontextmanager
async def world(
    folder: Path,
    serve: Callable[[Seen], Answer] = echo,
    config: BatchesConfig | None = None,
    files_config: FilesConfig | None = None,
    clock: Callable[[], float] = time.time,
    provider_settings: Mapping[str, Any] | None = None,
    http: HttpConfig | None = None,
) -> AsyncIterator[World]:
    settings = ProviderConfig(models=("gpt-4.1", "text-embedding-3-small"), **(provider_settings or {}))
    files_config, http = files_config or FilesConfig(), http or HttpConfig()
    async with AsyncExitStack() as parts:
        enter = parts.enter_async_context
        upstream = await enter(scripted_upstream(serve))
        provider = await enter(opened(OpenAIDialect(presets.openai), upstream, settings, keys=("env:FIRST",)))
        routing = RoutingConfig(max_backoff_s=0.01, max_attempts=1, rest_s=0.01, max_rest_s=0.05)
        ledger = MemoryLedger()
        whole = Config(providers={PROVIDER: settings}, routing=routing)
        engine = Engine(registry=Registry(whole, (), {PROVIDER: [provider]}), ledger=ledger)
        parts.push_async_callback(engine.router.close)
        files = await enter(open_files(folder / "files", files_config, clock))
        inside = Inside(api_routes(engine, dict), http)
        batches = await enter(open_batches(folder / "batches", config or BatchesConfig(), files, inside.ask, now=clock))
        doors = [file_doors(files, files_config), batch_doors(batches)]
        served = await enter(serving(engine=engine, config=http, doors=doors))
        client = await enter(
            openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="unused", max_retries=0, timeout=20)
        )
        yield World(upstream, engine, ledger, batches, served, client, folder)
