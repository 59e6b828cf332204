"""The service runs on a clock of its own, which is also the one that it reads."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from own_clock import pytest_asyncio_loop_factories

from ghostd.suggestions import generation, service, work

__all__ = ["pytest_asyncio_loop_factories"]


@pytest.fixture(autouse=True)
def read_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """`time.monotonic` in the service is the loop's clock."""
    clock = SimpleNamespace(monotonic=lambda: asyncio.get_running_loop().time())
    for module in (generation, service, work):
        monkeypatch.setattr(module, "time", clock)
