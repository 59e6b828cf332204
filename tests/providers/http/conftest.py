"""The HTTP client runs on both event loops: uvloop is the daemon's, asyncio's own is everybody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from ghostd.config.providers import UpstreamConfig
from ghostd.providers.http.client import HttpClient, http_client


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with http_client(UpstreamConfig(proxy="")) as client:
        yield client
