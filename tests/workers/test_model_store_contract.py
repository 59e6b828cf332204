"""The ModelStore contract, by the double in memory and by the files of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cli.hub_server import hub_server
from gguf_fixtures import ModelFile, model_file, models_dir
from workers.opening import Install

from ghostd.config.local import LocalConfig, LocalModelConfig
from ghostd.testing.memory_models import MemoryModels
from ghostd.testing.model_store_contract import ModelStoreContract, Subject
from ghostd.workers.model_store import LocalModelStore
from ghostd.workers.provider import local_provider

__all__ = ["model_file", "models_dir"]

REPOSITORY = "org/coder-GGUF"


class TestMemoryModels(ModelStoreContract):
    @pytest.fixture
    async def subject(self) -> Subject:
        store = MemoryModels(["mine"], ["theirs"], {"hf.co/org/coder": "coder"})
        return Subject(store, "mine", "theirs", "hf.co/org/coder", "elsewhere")


@pytest.mark.local_model
class TestLocalModelStore(ModelStoreContract):
    @pytest.fixture
    async def subject(
        self,
        install: Install,
        model_file: ModelFile,
        models_dir: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> AsyncIterator[Subject]:
        pytest.importorskip("huggingface_hub")
        install("qwen")
        config = LocalConfig(models={"theirs": LocalModelConfig(path=str(model_file("chat-only")))})
        files = {"coder-q4_k_m.gguf": model_file("random").read_bytes()}
        async with hub_server(REPOSITORY, files) as hub, local_provider(config, models_dir, tmp_path) as provider:
            monkeypatch.setenv("HF_ENDPOINT", hub.url)
            store = await asyncio.to_thread(LocalModelStore, provider, models_dir, tmp_path / "pulled.json")
            yield Subject(store, "qwen", "theirs", f"hf.co/{REPOSITORY}", "llama3")
