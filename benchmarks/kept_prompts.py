"""What it is worth to keep prompts across restarts: the first request of a freshly loaded model, with and without.

    python benchmarks/kept_prompts.py [--runs 3] [--model medium large] [--tokens 500 2000 3900]

Each run reads a prompt, stops, starts again and asks for the same prompt with one token more. Stated are the worker's
own times to read the prompt and its own count of cached tokens, the time from the stop to the worker's end without and
with a prompt to save, the time of a load without and with one to find, and the file's size. Before a start the kept
files are dropped from the system's cache, so that they come from the disk. Medians. Weights are random; `large` has the
width of a model with 1.5 billion parameters, four of its 28 layers (both times grow with the layers), and keys and
values three times as wide.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from gguf_fixtures import QWEN, write_gguf

from ghostd.completion.fill import collect
from ghostd.config.local import LocalConfig
from ghostd.types import CompletionRequest, Delta, Sampling
from ghostd.workers.provider import LocalProvider, local_provider

MODELS = {
    "medium": replace(QWEN, layers=8, dim=512, ffn=2048, heads=8, context=4096, weights="random"),
    "large": replace(QWEN, layers=4, dim=1536, ffn=8960, heads=12, context=4096, weights="random"),
}


@dataclass(slots=True)
class Seen:
    """Figures of one prompt length: milliseconds, and counts."""

    read: list[float] = field(default_factory=list)
    brought_back: list[float] = field(default_factory=list)
    cached: set[int] = field(default_factory=set)
    stop_saving: list[float] = field(default_factory=list)
    stop: list[float] = field(default_factory=list)
    load_finding: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)
    file_mb: float = 0.0


def prompt(number: int, length: int) -> tuple[int, ...]:
    """Token ids that begin unlike those of any other number."""
    return (20 + number % 200, *(20 + (number * 7 + index * (index + 13)) % 200 for index in range(length - 1)))


async def ask(provider: LocalProvider, ids: tuple[int, ...]) -> Delta:
    """One token behind the prompt."""
    request = CompletionRequest("model", ids, sampling=Sampling(temperature=0.0), max_tokens=1)
    return await collect(provider.complete(request))


@asynccontextmanager
async def started(folder: Path, cache: Path, loads: list[float], stops: list[float]) -> AsyncIterator[LocalProvider]:
    """One start with the model loaded; how long the load and the stop took."""
    config = LocalConfig(engine="llama-cpp-python")
    async with local_provider(config, folder, folder, cache=cache) as provider:
        began_s = time.perf_counter()
        await provider.load("model")
        loads.append((time.perf_counter() - began_s) * 1e3)
        yield provider
        began_s = time.perf_counter()
    stops.append((time.perf_counter() - began_s) * 1e3)


def drop(cache: Path) -> float:
    """Let the system forget the kept files' content; how large they are, in MB."""
    total = 0
    for path in (cache / "prompts").iterdir():
        total += path.stat().st_size
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return total / 1e6


def prefill_ms(reply: Delta) -> float:
    """By the worker."""
    assert reply.timings is not None
    return reply.timings.prefill_ms


async def measure(folder: Path, tokens: int, runs: int) -> Seen:
    """One prompt length."""
    seen = Seen()
    for number in range(runs):
        with tempfile.TemporaryDirectory() as name:
            cache, ids = Path(name), prompt(number, tokens)
            async with started(folder, cache, seen.load, seen.stop_saving) as provider:
                seen.read.append(prefill_ms(await ask(provider, ids)))
            seen.file_mb = drop(cache)
            async with started(folder, cache, seen.load_finding, []) as provider:
                reply = await ask(provider, (*ids, 21))
                seen.brought_back.append(prefill_ms(reply))
                assert reply.usage is not None
                seen.cached.add(reply.usage.cached_tokens)
            async with started(folder, cache, [], seen.stop) as provider:
                await ask(provider, (21,))
    return seen


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", nargs="*", default=list(MODELS))
    parser.add_argument("--tokens", nargs="*", type=int, default=[500, 2000, 3900])
    arguments = parser.parse_args()
    print("| model | prompt | read | brought back | cached tokens | file | stop, saving | load, finding |")
    print("|---|---|---|---|---|---|---|---|")
    for model in arguments.model:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_gguf(folder / "model.gguf", MODELS[model])
            for tokens in arguments.tokens:
                seen = asyncio.run(measure(folder, tokens, arguments.runs))
                read, back, saving, stop, finding, load = (
                    statistics.median(times)
                    for times in (
                        seen.read, seen.brought_back, seen.stop_saving, seen.stop, seen.load_finding, seen.load
                    )
                )  # fmt: skip
                print(
                    f"| {model} | {tokens} | {read:,.0f} ms | {back:.0f} ms | {sorted(seen.cached)} of {tokens + 1} | "
                    f"{seen.file_mb:.1f} MB | {stop:.0f} → {saving:.0f} ms | {load:.0f} → {finding:.0f} ms |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
