"""The store passes its port's contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ghostd.config.responses import ResponsesConfig
from ghostd.ports import ResponseStore
from ghostd.responses.service import open_responses
from ghostd.testing.response_store_contract import ResponseStoreContract


class TestResponseService(ResponseStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[ResponseStore]:
        async with open_responses(tmp_path, ResponsesConfig()) as service:
            yield service
