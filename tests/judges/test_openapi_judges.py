"""What openapi-spec-validator and schemathesis say of `/openapi.json`, and of the gateway that serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from judges.tools import python_with, run

from ghostd.config.settings import Config
from ghostd.engine import Engine
from ghostd.routing.registry import Registry
from ghostd.testing.gateway import Served, serving
from ghostd.testing.scripted import ScriptedProvider

REQUIREMENTS = ("schemathesis==4.32.5", "openapi-spec-validator==0.9.0")

pytestmark = [pytest.mark.slow, pytest.mark.representative, pytest.mark.timeout(600)]


@asynccontextmanager
async def gateway() -> AsyncIterator[Served]:
    """A gateway before a scripted provider, to which every name of a model leads, so that bodies are looked into."""
    settings = msgspec.convert({"routing": {"unknown_model": "fallback"}}, Config)
    engine = Engine(registry=Registry(settings, (ScriptedProvider(),)))
    async with serving(engine=engine) as served:
        yield served
    await engine.router.close()


async def test_the_document_is_valid_openapi(tmp_path: Path) -> None:
    python = python_with("openapi", *REQUIREMENTS)
    async with (
        gateway() as served,
        aiohttp.ClientSession() as client,
        client.get(f"{served.url}/openapi.json") as reply,
    ):
        (tmp_path / "openapi.json").write_bytes(await reply.read())
    assert "OK" in await run(python.with_name("openapi-spec-validator"), tmp_path / "openapi.json")


@pytest.mark.parametrize(
    ("phases", "operations", "examples"),
    [("fuzzing", ".", 8), ("coverage", "^/v1/(chat/completions|completions|embeddings)$", 10)],
)
async def test_schemathesis_finds_nothing(phases: str, operations: str, examples: int, tmp_path: Path) -> None:
    """No 5xx, what is wrong is refused, replies and errors are as documented, other methods are a 405 with Allow."""
    python = python_with("openapi", *REQUIREMENTS)
    async with gateway() as served:
        printed = await run(
            python.with_name("schemathesis"), "run", f"{served.url}/openapi.json", "--include-path-regex", operations,
            "--phases", phases, "-n", str(examples), "--seed", "1", "--no-shrink", "--workers", "2",
            "--checks", "all", "--exclude-checks", "positive_data_acceptance",  # combinations are no schema's to tell
            "--continue-on-failure", "--generation-database", "none", "--warnings", "off", "--request-timeout", "20",
            cwd=tmp_path,
        )  # fmt: skip
    assert "No issues found" in printed
