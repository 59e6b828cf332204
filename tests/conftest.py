"""What all tests share: a GHOSTD_HOME of their own and a guard against blocking the event loop."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from compatibility import pytest_addoption, pytest_collection_finish, pytest_configure
from hypothesis import HealthCheck, settings

__all__ = ["pytest_addoption", "pytest_collection_finish", "pytest_configure"]

# How long an example takes, and how long making one takes, says more of the machine than of ghostd. The examples are
# the same each time; HYPOTHESIS_PROFILE=exploring looks for others.
settings.register_profile("exploring", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("exploring"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(autouse=True)
def blockbuster(request: pytest.FixtureRequest) -> Iterator[BlockBuster | None]:
    """A call that blocks the event loop, made by ghostd's own code, fails the test."""
    with blockbuster_ctx(["ghostd", "ghostd_lsp"]) as guard:
        yield guard


@pytest.fixture(autouse=True)
def ghostd_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a home of its own; nothing touches the user's, and no model of the user's is found."""
    home = tmp_path / "home"
    monkeypatch.setenv("GHOSTD_HOME", str(home))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "user" / ".ollama" / "models"))
    for variable in ("LLAMA_CACHE", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return home
