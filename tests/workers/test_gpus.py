"""How much of a model goes on GPUs, and who makes room there. The engine here has none: what is asked of it is seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gguf_fixtures import CHAT_TEXT, ModelFile
from workers.opening import EngineName, Install, Opener, chat, text_of
from workers.test_lifetimes import info

from ghostd.config.local import LocalConfig, LocalModelConfig
from ghostd.workers import capacity, gpus, model_process
from ghostd.workers.engines.devices import _only_gpus, names_of
from ghostd.workers.gguf_header import read_header
from ghostd.workers.gpus import Gpu, find_gpus, offload
from ghostd.workers.memory import MemoryEstimate
from ghostd.workers.messages import Load

pytestmark = pytest.mark.local_model

MB = 1024 * 1024
MODEL = MemoryEstimate(weights=2800 * MB, cache=100 * MB, compute=100 * MB)
"""Of 28 blocks and the output: 100 MB each; around them 100 MB for a batch and 512 for the driver."""


@pytest.mark.parametrize(
    ("room_mb", "wanted", "layers"),
    [
        pytest.param(100_000, -1, 29, id="all fit"),
        pytest.param(2000, -1, 12, id="as many as fit into 95 % of it"),
        pytest.param(700, -1, 0, id="not one fits"),
        pytest.param(2000, 20, 20, id="a number is taken at its word"),
        pytest.param(100_000, 99, 29, id="no more than there are"),
        pytest.param(None, -1, 29, id="the machine's own memory"),
    ],
)
def test_as_many_layers_go_on_a_gpu_as_fit(room_mb: int | None, wanted: int, layers: int) -> None:
    found = offload(MODEL, 28, wanted, None if room_mb is None else room_mb * MB)
    assert found.layers == layers
    if room_mb is None or layers == 0:
        assert (found.need.host, found.need.gpu) == (MODEL.total, 0)
    else:
        assert found.need.gpu == layers * 100 * MB + 612 * MB
        assert found.need.host == MODEL.total + 256 * MB - layers * 100 * MB


def test_the_integrated_gpu_counts_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    cpu, card, integrated = (0, "Xeon", 5, 9), (1, "L4", 4, 8), (2, "Iris", 3, 7)
    assert _only_gpus([card, integrated, cpu, card]) == [Gpu("L4", 4, 8, True)] * 2
    assert _only_gpus([integrated, cpu]) == [Gpu("Iris", 3, 7, False)]
    assert names_of([Gpu("L4", 4, 8, True)] * 2 + [Gpu("T4", 4, 8, True)]) == "2 × L4 and T4"


def test_a_build_for_the_cpu_has_no_gpus(engine: EngineName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_has_driver", lambda: True)
    assert find_gpus(engine) == ()


def test_an_engine_that_cannot_be_asked_is_told_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gpus, "_has_driver", lambda: True)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=b"ggml: no such driver\n"))
    assert find_gpus("llama-cpp-python") == ()
    assert "cannot ask llama-cpp-python for its GPUs" in caplog.text


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Load]:
    """What workers are told to load."""
    told: list[Load] = []
    make = model_process.ModelProcess._load_message

    def seen(*arguments: Any) -> Load:
        told.append(make(*arguments))
        return told[-1]

    monkeypatch.setattr(model_process.ModelProcess, "_load_message", seen)
    return told


def pretend(monkeypatch: pytest.MonkeyPatch, free_mb: float) -> None:
    """A GPU with so much memory left."""
    found = (Gpu("Pretended", int(free_mb * MB), 80_000 * MB, True),)
    monkeypatch.setattr(capacity, "find_gpus", lambda _: found)


async def test_a_worker_is_told_how_many_layers_fit_and_reads_in_larger_steps(
    install: Install, open_provider: Opener, monkeypatch: pytest.MonkeyPatch, loads: list[Load]
) -> None:
    install("qwen")
    pretend(monkeypatch, 8000)
    provider = await open_provider(LocalConfig())
    assert await text_of(provider.chat(chat("qwen", "hi"))) == CHAT_TEXT
    assert (loads[0].n_gpu_layers, loads[0].n_batch) == (3, 512)


async def test_a_full_gpu_leaves_a_model_to_the_cpu_and_its_small_steps(
    install: Install, open_provider: Opener, monkeypatch: pytest.MonkeyPatch, loads: list[Load]
) -> None:
    install("qwen")
    pretend(monkeypatch, 100)
    provider = await open_provider(LocalConfig())
    assert await text_of(provider.chat(chat("qwen", "hi"))) == CHAT_TEXT
    assert (loads[0].n_gpu_layers, loads[0].n_batch) == (0, 128)


async def test_gpus_are_not_asked_for_a_model_that_is_to_stay_off_them(
    model_file: ModelFile, open_provider: Opener, monkeypatch: pytest.MonkeyPatch, loads: list[Load]
) -> None:
    pretend(monkeypatch, 8000)
    models = {"off": LocalModelConfig(path=str(model_file("qwen")), n_gpu_layers=0)}
    provider = await open_provider(LocalConfig(models=models))
    assert await text_of(provider.chat(chat("off", "hi"))) == CHAT_TEXT
    assert (loads[0].n_gpu_layers, loads[0].n_batch) == (0, 128)


async def test_an_idle_model_makes_room_on_the_gpu(
    model_file: ModelFile, models_dir: Path, open_provider: Opener, monkeypatch: pytest.MonkeyPatch, loads: list[Load]
) -> None:
    for name in ("a", "b"):
        (models_dir / f"{name}.gguf").write_bytes(model_file("qwen").read_bytes())
    provider = await open_provider(LocalConfig())
    pretend(monkeypatch, 900)
    assert await text_of(provider.chat(chat("a", "hi"))) == CHAT_TEXT
    pretend(monkeypatch, 300)  # the rest is what `a` holds
    assert await text_of(provider.chat(chat("b", "hi"))) == CHAT_TEXT
    assert [load.n_gpu_layers for load in loads] == [3, 3]
    assert [info(provider, name).state for name in ("a", "b")] == ["unloaded", "ready"]


def test_blocks_are_read_from_the_header(model_file: ModelFile) -> None:
    assert read_header(model_file("qwen")).blocks == 2
