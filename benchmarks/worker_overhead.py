"""What the worker process costs: tokens per second and time to first token through LocalProvider, against
llama-cpp-python's low-level calls in a bare loop in one process; and how soon a cancelled request frees its worker.

Both sides run the same scripted-weight models with the same threads, batch and greedy sampling, in turn, and every
prompt is new to the cache. Medians; the ratio is the median over neighbouring runs, since other load comes and goes.

Run: python benchmarks/worker_overhead.py [--runs N] [--engine NAME …]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from gguf_fixtures import QWEN, Recipe, write_gguf

from ghostd.config.local import LocalConfig
from ghostd.types import CompletionRequest, Sampling
from ghostd.workers.provider import LocalProvider, local_provider

MODELS: dict[str, Recipe] = {
    "tiny": QWEN,
    "medium": replace(QWEN, layers=8, dim=512, ffn=2048, heads=8, extra_tokens=30_000),
}
PROMPT_TOKENS = 256
REPLY_TOKENS = 128
CONTEXT_TOKENS = 2048
N_BATCH = 128
LETTER_A = 9 + ord("a")  # after the special tokens, ids are bytes

DIRECT = """
import ctypes, sys, time
import llama_cpp.llama_cpp as lib
silent = lib.llama_log_callback(lambda *_: None)
lib.llama_log_set(silent, ctypes.c_void_p(0))
lib.llama_backend_init()
path, threads, n_ctx, n_batch, reply = sys.argv[1], *map(int, sys.argv[2:6])
model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
params = lib.llama_context_default_params()
params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, n_batch, n_batch
params.n_threads = params.n_threads_batch = threads
context = lib.llama_init_from_model(model, params)
memory = lib.llama_get_memory(context)
vocab = lib.llama_model_get_vocab(model)
one = (lib.llama_token * 1)()
piece = ctypes.create_string_buffer(64)
for line in sys.stdin:
    prompt = [int(token) for token in line.split()]
    lib.llama_memory_clear(memory, True)
    began = time.perf_counter()
    sampler = lib.llama_sampler_init_greedy()
    for start in range(0, len(prompt), n_batch):
        part = prompt[start : start + n_batch]
        buffer = (lib.llama_token * len(part))(*part)
        lib.llama_decode(context, lib.llama_batch_get_one(buffer, len(part)))
    first = None
    text = b""
    for _ in range(reply):
        token = lib.llama_sampler_sample(sampler, context, -1)
        first = first or time.perf_counter()
        size = lib.llama_token_to_piece(vocab, token, piece, 64, 0, False)
        text += piece.raw[:size]
        one[0] = token
        last = time.perf_counter()
        lib.llama_decode(context, lib.llama_batch_get_one(one, 1))
    lib.llama_sampler_free(sampler)
    print(first - began, (reply - 1) / (last - first), flush=True)
"""


def prompt(number: int, length: int = PROMPT_TOKENS) -> tuple[int, ...]:
    """Token ids whose first one differs from run to run, so that no cache helps; the last one starts the loop."""
    middle = (20 + (number * 7 + index * 13) % 200 for index in range(length - 2))
    return (20 + number % 200, *middle, LETTER_A)


class Direct:
    """The bare loop in a process of its own."""

    def __init__(self, model: Path, threads: int) -> None:
        arguments = [str(model), str(threads), str(CONTEXT_TOKENS), str(N_BATCH), str(REPLY_TOKENS)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", DIRECT, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, ids: tuple[int, ...]) -> tuple[float, float]:
        """Seconds to the first token, and tokens per second after it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, ids)) + "\n")
        self._process.stdin.flush()
        first, rate = self._process.stdout.readline().split()
        return float(first), float(rate)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def request(ids: tuple[int, ...], max_tokens: int | None) -> CompletionRequest:
    """A greedy completion of the model under test."""
    return CompletionRequest("model", ids, sampling=Sampling(temperature=0.0), max_tokens=max_tokens)


async def through_provider(provider: LocalProvider, ids: tuple[int, ...]) -> tuple[float, float]:
    """As Direct.run, seen by the daemon's side."""
    began = time.perf_counter()
    times: list[float] = []
    async with aclosing(provider.complete(request(ids, REPLY_TOKENS))) as deltas:
        async for delta in deltas:
            if delta.text:
                times.append(time.perf_counter())
    return times[0] - began, (len(times) - 1) / (times[-1] - times[0])


async def cancel_latency(provider: LocalProvider, ids: tuple[int, ...], after_s: float) -> float:
    """Seconds from a cancellation until a waiting request of one prompt token and one reply token is answered."""

    async def read() -> None:
        async with aclosing(provider.complete(request(ids, None))) as deltas:
            async for _ in deltas:
                pass

    async def short() -> None:
        async with aclosing(provider.complete(request((19,), 1))) as deltas:
            async for _ in deltas:
                pass

    reader = asyncio.create_task(read())
    await asyncio.sleep(after_s)
    waiting = asyncio.create_task(short())
    await asyncio.sleep(0)
    began = time.perf_counter()
    reader.cancel()
    await waiting
    elapsed = time.perf_counter() - began
    await asyncio.gather(reader, return_exceptions=True)
    return elapsed


def row(name: str, direct: list[float], ours: list[float], unit: str, scale: float = 1.0) -> str:
    """A line of the table."""
    a, b = statistics.median(direct) * scale, statistics.median(ours) * scale
    ratio = statistics.median(y / x for x, y in zip(direct, ours, strict=True))
    return f"  {name:24} direct {a:9.2f} {unit:9} ghostd {b:9.2f} {unit:9} ratio {ratio:.2f}"


async def measure(engine: str, size: str, folder: Path, runs: int, threads: int) -> None:
    """Print one engine's and one model's figures."""
    config = LocalConfig(engine=engine, context_tokens=CONTEXT_TOKENS, n_batch=N_BATCH, threads=threads)  # type: ignore[arg-type]
    direct = Direct(folder / "model.gguf", threads)
    try:
        async with local_provider(config, folder, folder) as provider:
            await through_provider(provider, prompt(0))
            direct.run(prompt(0))
            bare, ours = [], []
            for number in range(1, runs + 1):
                bare.append(direct.run(prompt(2 * number)))
                ours.append(await through_provider(provider, prompt(2 * number + 1)))
            decode = [await cancel_latency(provider, prompt(900 + n, 8), 0.1) for n in range(runs)]
            prefill = [await cancel_latency(provider, prompt(500 + n, 2000), 0.05) for n in range(runs)]
    finally:
        direct.close()
    print(f"{engine}, {size} ({(folder / 'model.gguf').stat().st_size / 1e6:.1f} MB), {threads} thread(s), {runs} runs")
    print(row("time to first token", [a for a, _ in bare], [a for a, _ in ours], "ms", 1e3))
    print(row("decode", [b for _, b in bare], [b for _, b in ours], "tokens/s"))
    for where, times in (("decode", decode), ("the prompt", prefill)):
        middle, worst = statistics.median(times) * 1e3, max(times) * 1e3
        print(f"  {'cancelled in ' + where:24} next answer after {middle:.1f} ms (worst {worst:.1f})")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--engine", nargs="*", default=["llama-cpp-python", "xllamacpp"])
    parser.add_argument("--threads", type=int, default=max((os.cpu_count() or 2) - 1, 1))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for size, recipe in MODELS.items():
            folder = Path(name) / size
            folder.mkdir()
            write_gguf(folder / "model.gguf", recipe)
            for engine in arguments.engine:
                asyncio.run(measure(engine, size, folder, arguments.runs, arguments.threads))


if __name__ == "__main__":
    main()
