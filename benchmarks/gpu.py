"""What a GPU brings: one model with no layer on it and with all of them, through LocalProvider and a worker process.

    python benchmarks/gpu.py [--model 0.5b 1.5b 7b] [--runs 7] [--folder DIR]

The models have the shapes of Qwen2.5-Coder's 0.5, 1.5 and 7 billion parameters at Q8_0, and random weights, which take
the time of trained ones. Needs an engine that is built for the GPU (docs/models.md says how); ends with 2 without one.

- first token: of a new prompt of so many tokens, nothing of it kept;
- reply: tokens a second of one reply, and of four at once;
- key: a prompt of 1,024 tokens is kept, three are new, 16 are written: what one key costs;
- cancelled: until the next answer begins, from a cancel inside a prompt of 4,000 tokens and inside a reply.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from gguf_fixtures import QWEN, Recipe, write_gguf
from worker_overhead import cancel_latency, prompt, request

from ghostd.config.local import LocalConfig
from ghostd.workers.capacity import choose_engine
from ghostd.workers.gpus import find_gpus
from ghostd.workers.provider import LocalProvider, local_provider

_SHAPE = replace(QWEN, weights="random-q8_0", context=32_768, extra_tokens=151_000)
MODELS: dict[str, Recipe] = {
    "0.5b": replace(_SHAPE, layers=24, dim=896, ffn=4864, heads=14, kv_heads=2),
    "1.5b": replace(_SHAPE, layers=28, dim=1536, ffn=8960, heads=12, kv_heads=2),
    "7b": replace(_SHAPE, layers=28, dim=3584, ffn=18_944, heads=28, kv_heads=4),
}
CONTEXT_TOKENS = 8192
PROMPTS = (256, 1024, 4096)
REPLY_TOKENS = 64
KEPT, NEW, SHORT_REPLY = 1024, 3, 16


@dataclass(slots=True)
class Figures:
    """Medians by name; seconds or tokens a second, as UNITS says."""

    values: dict[str, float] = field(default_factory=dict)
    detail: str = ""


async def timed(provider: LocalProvider, ids: tuple[int, ...], tokens: int) -> tuple[float, float, int]:
    """Seconds to the first and to the last token, and how many there were."""
    began = time.perf_counter()
    times: list[float] = []
    async with aclosing(provider.complete(request(ids, tokens))) as deltas:
        async for delta in deltas:
            if delta.text:
                times.append(time.perf_counter())
    return times[0] - began, times[-1] - began, len(times)


async def rate(provider: LocalProvider, numbers: Iterator[int], together: int) -> float:
    """Tokens a second of so many replies at once, from the first token of all."""
    runs = await asyncio.gather(*(timed(provider, prompt(next(numbers), 16), REPLY_TOKENS) for _ in range(together)))
    return sum(tokens - 1 for _, _, tokens in runs) / (max(run[1] for run in runs) - min(run[0] for run in runs))


async def keys(provider: LocalProvider, number: int, runs: int) -> list[float]:
    """Seconds of whole answers while a prompt grows."""
    ids = prompt(number, KEPT)
    await timed(provider, ids, 1)
    taken = []
    for key in range(4 * runs):
        ids = (*ids, *(30 + (key + place) % 200 for place in range(NEW)))
        taken.append((await timed(provider, ids, SHORT_REPLY))[1])
    return taken


async def measure(folder: Path, layers: int, runs: int, n_batch: int | None) -> Figures:
    """One model, with so many layers on the GPU."""
    config = LocalConfig(context_tokens=CONTEXT_TOKENS, n_gpu_layers=layers, n_batch=n_batch)
    numbers = count(1)
    figures = Figures()
    async with local_provider(config, folder, folder) as provider:
        began = time.perf_counter()
        await timed(provider, prompt(0, 16), 2)
        figures.values["load"] = time.perf_counter() - began
        figures.detail = provider.models()[0].detail
        for length in PROMPTS:
            few = min(runs, 3) if length > 1024 and layers == 0 else runs
            firsts = [(await timed(provider, prompt(next(numbers), length), 1))[0] for _ in range(few)]
            figures.values[f"first token of {length}"] = statistics.median(firsts)
        for together in (1, 4):
            rates = [await rate(provider, numbers, together) for _ in range(runs)]
            figures.values[f"reply, {together} at once"] = statistics.median(rates)
        taken = sorted(await keys(provider, next(numbers), runs))
        figures.values["key"] = statistics.median(taken)
        figures.values["key, p95"] = taken[int(len(taken) * 0.95)]
        for where, length in (("prompt", 4000), ("reply", 16)):
            ends = [await cancel_latency(provider, prompt(next(numbers), length), 0.05) for _ in range(runs)]
            figures.values[f"cancelled in a {where}"] = statistics.median(ends)
    return figures


def table(name: str, cpu: Figures, gpu: Figures) -> None:
    """Print both, and how many times better the GPU is."""
    print(f"{name}: CPU: {cpu.detail}\n{name}: GPU: {gpu.detail}")
    for key, before in cpu.values.items():
        after, is_rate = gpu.values[key], key.startswith("reply")
        times = after / before if is_rate else before / after
        unit, scale = ("tokens/s", 1.0) if is_rate else ("ms", 1e3)
        print(f"  {key:24} CPU {before * scale:10.1f} {unit:9} GPU {after * scale:10.1f} {unit:9} {times:6.1f} times")


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", nargs="*", choices=MODELS, default=["0.5b", "1.5b"])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--n-batch", type=int, help="tokens of a prompt that are computed at once (local.n_batch)")
    parser.add_argument("--folder", type=Path, help="where the models are written, and kept")
    arguments = parser.parse_args()
    if not (gpus := find_gpus(choose_engine(LocalConfig()))):
        print("The engine can use no GPU here; docs/models.md says how to build it for one.")
        return 2
    print("\n".join(f"{gpu.name}: {gpu.free_bytes / 1e9:.1f} of {gpu.total_bytes / 1e9:.1f} GB free" for gpu in gpus))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        for model in arguments.model:
            folder = (arguments.folder or Path(name)) / model
            folder.mkdir(exist_ok=True)
            if not (file := folder / "model.gguf").exists():
                write_gguf(file, MODELS[model])
            gpu = asyncio.run(measure(folder, -1, arguments.runs, arguments.n_batch))
            cpu = asyncio.run(measure(folder, 0, arguments.runs, arguments.n_batch))
            table(f"{model}, {file.stat().st_size / 1e9:.2f} GB", cpu, gpu)
    return 0


if __name__ == "__main__":
    sys.exit(main())
