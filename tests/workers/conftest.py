"""Tiny models, and providers over them that end with their test."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from gguf_fixtures import ModelFile, model_file, models_dir
from workers.opening import ENGINES, EngineName, Install, Opener

__all__ = ["model_file", "models_dir"]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("llama-cpp-python", marks=pytest.mark.local_model),
        pytest.param("xllamacpp", marks=pytest.mark.local_model),
    ],
)
def engine(request: pytest.FixtureRequest) -> EngineName:
    """Each engine in turn."""
    name: EngineName = request.param
    if importlib.util.find_spec(ENGINES[name]) is None:
        pytest.skip(f"{name} is not installed")
    return name


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


@pytest.fixture
def open_provider(exits: AsyncExitStack, models_dir: Path) -> Opener:
    """See Opener."""
    return Opener(exits, models_dir)
