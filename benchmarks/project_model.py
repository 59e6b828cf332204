"""Quality, speed and memory of the model `ghostd/project`, with a nested n-gram cache as the reference.

    python benchmarks/project_model.py [--places 60] [--no-reference]

Fetches its packages with pip into `.cache/`. Everything goes through the provider's port, as an editor's request
does; only the index is a list of the files in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import hashlib
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psutil
from completion_corpora import APART, REPORTED, Corpus, Place, fetch, files_of, places, split
from ngram_reference import NgramCache

from ghostd.config import ProjectModelConfig
from ghostd.project_model.provider import MODEL, ProjectModelProvider, project_model
from ghostd.testing.memory_index import MemoryIndex
from ghostd.types import FillRequest, IndexedFile

REFERENCE_FILES = 1000
"""Of a larger project the n-gram cache reads every second, third, … file: its dictionaries are large."""


@dataclass(frozen=True, slots=True)
class Result:
    """One place's outcome."""

    place: Place
    guess: str
    """What it says when it must answer."""
    shown: bool
    """Whether the default threshold shows it."""
    wall_ms: float
    cpu_ms: float

    @property
    def right(self) -> bool:
        """Exactly the removed rest of the line."""
        return self.guess == self.place.truth

    @property
    def similarity(self) -> float:
        """difflib's ratio."""
        return difflib.SequenceMatcher(None, self.guess, self.place.truth).ratio()


async def complete(model: ProjectModelProvider, root: Path, place: Place) -> Result:
    """Ask twice: as an editor does, by the default threshold, timed; then for an answer in any case."""
    request = FillRequest(MODEL, place.prefix, place.suffix, path=root / place.path, max_lines=1)
    cpu, wall = time.process_time(), time.perf_counter()
    shown = await _text(model, request)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    forced = FillRequest(MODEL, place.prefix, place.suffix, path=root / place.path, max_lines=1, min_confidence=0.0)
    guess = await _text(model, forced)
    return Result(place, (shown or guess).rstrip(), bool(shown), wall * 1000, cpu * 1000)


async def _text(model: ProjectModelProvider, request: FillRequest) -> str:
    async with aclosing(model.fill(request)) as deltas:
        return "".join([delta.text async for delta in deltas])


def indexed(root: Path, files: Sequence[str]) -> list[IndexedFile]:
    """What an index would say of these files."""
    found = []
    for file in files:
        content = (root / file).read_bytes()
        digest = hashlib.blake2b(content, digest_size=16).digest()
        found.append(IndexedFile(PurePosixPath(file), "", len(content), 0, digest))
    return found


async def measure(corpus: Corpus, count: int, folder: Path) -> list[Result]:
    """Learn the corpus without its held-out files and complete places in those."""
    root = fetch(corpus)
    learn, held_out = split(corpus, files_of(corpus, root))
    index = MemoryIndex(file_list=indexed(root, learn))
    await index.add_root(root)
    async with project_model(index, folder, ProjectModelConfig()) as model:
        await model.wait_learned(root)
        return [await complete(model, root, place) for place in places(root, held_out, count, f"{corpus.name}-report")]


def refer(corpus: Corpus, count: int) -> list[Result]:
    """The same places by the n-gram cache."""
    root = fetch(corpus)
    learn, held_out = split(corpus, files_of(corpus, root))
    learn = learn[:: 1 + len(learn) // REFERENCE_FILES]
    cache = NgramCache((root / file).read_text("utf-8", errors="replace") for file in learn)
    found = []
    for place in places(root, held_out, count, f"{corpus.name}-report"):
        cpu = time.process_time()
        guess, _ = cache.complete(place.prefix)
        found.append(Result(place, guess.rstrip(), False, 0.0, (time.process_time() - cpu) * 1000))
    return found


def share(results: Sequence[Result]) -> str:
    """Exact matches in per cent."""
    return f"{100 * sum(r.right for r in results) / max(len(results), 1):5.1f} %"


def row(name: str, results: Sequence[Result]) -> str:
    """A line of the table."""
    middle = [r for r in results if not r.place.line_start]
    start = [r for r in results if r.place.line_start]
    shown = [r for r in results if r.shown]
    similarity = sum(r.similarity for r in results) / max(len(results), 1)
    precision = f"{100 * len(shown) / max(len(results), 1):4.0f} % | {share(shown)}" if shown else "   – |      –"
    return (
        f"| {name:24} | {len(results):4} | {share(results)} | {share(middle)} | {share(start)} "
        f"| {similarity:.3f} | {precision} |"
    )


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which this part of them lies."""
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]


async def django_costs() -> None:
    """Training, restart, memory and latency on django, all its files learned."""
    corpus = REPORTED[0]
    root = fetch(corpus)
    files = files_of(corpus, root)
    index = MemoryIndex(file_list=indexed(root, files))
    await index.add_root(root)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = psutil.Process()
        for label in ("learn", "restart"):
            before = process.memory_info().rss
            children = resource.getrusage(resource.RUSAGE_CHILDREN)
            started, cpu = time.perf_counter(), time.process_time()
            async with project_model(index, folder, ProjectModelConfig()) as model:
                await model.wait_learned(root)
                wall, own = time.perf_counter() - started, time.process_time() - cpu
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                child = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
                _, held_out = split(corpus, files)
                for turn in ("first request in a document", "further requests"):
                    results = [await complete(model, root, place) for place in places(root, held_out, 60, "memory")]
                    for what, values in (("wall", [r.wall_ms for r in results]), ("CPU", [r.cpu_ms for r in results])):
                        print(
                            f"django {turn}, {what}: p50 {percentile(values, 0.5):.1f} ms, "
                            f"p95 {percentile(values, 0.95):.1f} ms"
                        )
                grown = process.memory_info().rss - before
                print(
                    f"django {label}: {len(files)} files, {wall:.2f} s, {child:.1f} CPU-s in the child process, "
                    f"{own:.2f} CPU-s in the daemon's; memory after 240 requests +{grown / 1e6:.0f} MB; "
                    f"trainings {model.trainings}"
                )
        (segment,) = folder.iterdir()
        print(f"django segment: {segment.stat().st_size / 1e6:.0f} MB (mapped)")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(f"django training process: peak {peak / 1024:.0f} MiB")


async def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--places", type=int, default=60, help="places in each package")
    parser.add_argument("--no-reference", action="store_true", help="leave the n-gram cache out")
    arguments = parser.parse_args()
    count: int = arguments.places
    print(f"load average {os.getloadavg()[0]:.1f}")
    print("| package                  |   n  |  exact  | mid-line | line start | similarity | shown | precision |")
    print("|---|---|---|---|---|---|---|---|")
    everything: list[Result] = []
    reference: list[Result] = []
    with tempfile.TemporaryDirectory() as name:
        for corpus in (*REPORTED, *APART):
            found = await measure(corpus, count, Path(name) / corpus.name)
            print(row(corpus.name, found), flush=True)
            shutil.rmtree(Path(name) / corpus.name)
            if corpus in APART:
                continue
            everything += found
            if not arguments.no_reference:
                reference += refer(corpus, count)
            if corpus == REPORTED[-1]:
                print(row("all of the above", everything), flush=True)
                if reference:
                    print(row("n-gram cache, same places", reference), flush=True)
    await django_costs()


if __name__ == "__main__":
    asyncio.run(main())
