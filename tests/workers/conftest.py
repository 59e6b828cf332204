"""Tiny models, and providers over them that end with their test."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal

import pytest
from gguf_fixtures import ModelFile, model_file, models_dir

from ghostd.config import LocalConfig
from ghostd.workers.provider import LocalProvider, local_provider

__all__ = ["model_file", "models_dir"]

EngineName = Literal["llama-cpp-python", "xllamacpp"]
IMPORT_NAMES = {"llama-cpp-python": "llama_cpp", "xllamacpp": "xllamacpp"}


@pytest.fixture(
    params=[
        pytest.param("llama-cpp-python", marks=pytest.mark.local_model),
        pytest.param("xllamacpp", marks=pytest.mark.local_model),
    ]
)
def engine(request: pytest.FixtureRequest) -> EngineName:
    """Each engine in turn."""
    name: EngineName = request.param
    if importlib.util.find_spec(IMPORT_NAMES[name]) is None:
        pytest.skip(f"{name} is not installed")
    return name


@pytest.fixture
def any_engine() -> LocalConfig:
    """Settings for tests that are about the pool: whichever engine there is."""
    if all(importlib.util.find_spec(name) is None for name in IMPORT_NAMES.values()):
        pytest.skip("no local engine is installed")
    return LocalConfig()


Install = Callable[[str], Path]


@pytest.fixture
def install(model_file: ModelFile, models_dir: Path) -> Install:
    """A function that puts a copy of a tiny model into the models folder."""

    def put(name: str) -> Path:
        return Path(shutil.copy(model_file(name), models_dir / f"{name}.gguf"))

    return put


@pytest.fixture
async def exits() -> AsyncIterator[AsyncExitStack]:
    """Closes at the test's end what was entered."""
    async with AsyncExitStack() as stack:
        yield stack


class Opener:
    """Opens providers over the models folder."""

    def __init__(self, exits: AsyncExitStack, models_dir: Path) -> None:
        self._exits = exits
        self._models_dir = models_dir

    async def __call__(self, config: LocalConfig) -> LocalProvider:
        """A provider that lives as long as the test."""
        return await self._exits.enter_async_context(local_provider(config, self._models_dir, self._models_dir.parent))


@pytest.fixture
def open_provider(exits: AsyncExitStack, models_dir: Path) -> Opener:
    """See Opener."""
    return Opener(exits, models_dir)
