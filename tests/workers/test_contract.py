"""The Provider contract, by the scripted double and by local models on both engines."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from gguf_fixtures import ModelFile
from workers.opening import EngineName

from ghostd.config.local import LocalConfig, LocalModelConfig
from ghostd.testing.provider_contract import ProviderContract, Subject
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import CompletionRequest, Sampling
from ghostd.workers.provider import local_provider


class TestScriptedProvider(ProviderContract):
    @pytest.fixture
    async def subject(self) -> Subject:
        provider = ScriptedProvider()
        model = provider.model
        return Subject(
            provider, model, model, model, endless=CompletionRequest(model, ("x",)), honours_max_tokens=False
        )


class TestLocalProvider(ProviderContract):
    @pytest.fixture
    async def subject(
        self, engine: EngineName, model_file: ModelFile, tmp_path_factory: pytest.TempPathFactory
    ) -> AsyncIterator[Subject]:
        folder = tmp_path_factory.mktemp("none")
        models = {"tiny": LocalModelConfig(path=str(model_file("qwen")))}
        async with local_provider(LocalConfig(engine=engine, models=models), folder, folder) as provider:
            endless = CompletionRequest("tiny", ("abc",), sampling=Sampling(temperature=0.0))
            yield Subject(provider, chat="tiny", complete="tiny", embed="tiny", tools="tiny", endless=endless)
