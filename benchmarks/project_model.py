"""Quality, speed and memory of the model `ghostd/project`, with a nested n-gram cache as the reference.

    python benchmarks/project_model.py [--places 60] [--no-reference] [--only-costs]

Fetches its packages with pip into `.cache/`. Everything goes through the provider's port, as an editor's request
does; only the index is a list of the files in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import psutil
from completion_corpora import APART, REPORTED, Corpus, Place, fetch, files_of, places, split
from ngram_reference import NgramCache

from ghostd.config.completion import ProjectModelConfig
from ghostd.indexed import IndexedFile
from ghostd.local.client import Client
from ghostd.local.paths import find_paths
from ghostd.project_model.provider import MODEL, ProjectModelProvider, project_model
from ghostd.testing.memory_index import MemoryIndex
from ghostd.types import FillRequest

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

    @property
    def right(self) -> bool:
        """Exactly the removed rest of the line."""
        return self.guess == self.place.truth

    @property
    def similarity(self) -> float:
        """difflib's ratio."""
        return difflib.SequenceMatcher(None, self.guess, self.place.truth).ratio()


async def complete(model: ProjectModelProvider, root: Path, place: Place) -> Result:
    """Ask as an editor does, by the default threshold; if it is silent, for an answer in any case."""
    request = FillRequest(MODEL, place.prefix, place.suffix, path=root / place.path, max_lines=1)
    shown = await _text(model, request)
    guess = shown or await _text(model, replace(request, min_confidence=0.0))
    return Result(place, guess.rstrip(), bool(shown))


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
        guess, _ = cache.complete(place.prefix)
        found.append(Result(place, guess.rstrip(), False))
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


REQUESTS = 300


def by_document(found: Sequence[Place]) -> list[list[Place]]:
    """The places of one document after the other."""
    documents: dict[str, list[Place]] = {}
    for place in found:
        documents.setdefault(place.path, []).append(place)
    return list(documents.values())


async def django_costs() -> None:
    """Training, restart and latency on django, all its files learned; each document's places one after the other."""
    corpus = REPORTED[0]
    root = fetch(corpus)
    files = files_of(corpus, root)
    _, held_out = split(corpus, files)
    documents = by_document(places(root, held_out, REQUESTS, "memory"))
    index = MemoryIndex(file_list=indexed(root, files))
    await index.add_root(root)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for label in ("learn", "restart"):
            children = resource.getrusage(resource.RUSAGE_CHILDREN)
            started, cpu = time.perf_counter(), time.process_time()
            async with project_model(index, folder, ProjectModelConfig()) as model:
                await model.wait_learned(root)
                wall, own = time.perf_counter() - started, time.process_time() - cpu
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                child = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
                asked = [[await timed(model, root, place) for place in document] for document in documents]
            print(
                f"django {label}: {len(files)} files, {wall:.2f} s, {child:.1f} CPU-s in the child process, "
                f"{own:.2f} CPU-s in the daemon's; trainings {model.trainings}"
            )
            print_latency("first request in a document", [document[0] for document in asked])
            print_latency("further requests in it", [one for document in asked for one in document[1:]])
        (segment,) = folder.iterdir()
        print(f"django segment: {segment.stat().st_size / 1e6:.0f} MB (mapped)")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(f"django training process: peak {peak / 1024:.0f} MiB")


async def timed(model: ProjectModelProvider, root: Path, place: Place) -> tuple[float, float]:
    """Wall and CPU milliseconds of one request, asked as an editor does."""
    cpu, wall = time.process_time(), time.perf_counter()
    await _text(model, FillRequest(MODEL, place.prefix, place.suffix, path=root / place.path, max_lines=1))
    return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000


def print_latency(name: str, taken: Sequence[tuple[float, float]]) -> None:
    """Percentiles of (wall, CPU) milliseconds."""
    for what, values in zip(("wall", "CPU"), zip(*taken, strict=True), strict=True):
        print(
            f"  {name} ({len(values)}), {what}: p50 {percentile(values, 0.5):.1f} ms, "
            f"p95 {percentile(values, 0.95):.1f} ms, most {max(values):.1f} ms"
        )


def daemon_memory() -> None:
    """Memory of a whole daemon that has indexed and learned django, after REQUESTS completions over HTTP."""
    corpus = REPORTED[0]
    root = fetch(corpus)
    _, held_out = split(corpus, files_of(corpus, root))
    asked = [place for document in by_document(places(root, held_out, REQUESTS, "memory")) for place in document]
    with tempfile.TemporaryDirectory() as home:
        for label in ("new", "started again"):
            command = [sys.executable, "-m", "ghostd", "run", "--port=0", "--root", str(root)]
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "GHOSTD_HOME": home},
            )
            try:
                assert process.stdout
                port = next(
                    int(found[1]) for line in process.stdout if (found := re.search(r"127\.0\.0\.1:(\d+)", line))
                )
                Client(find_paths({"GHOSTD_HOME": home})).wait_root(root, timeout_s=300)
                time.sleep(5)  # for what did the indexing to end
                print(f"daemon on django, {label}: {memory_of(process.pid)}")
                walls = [over_http(port, root, place) for place in asked]
                print(f"  after {len(asked)} requests: {memory_of(process.pid)}")
                print(f"  over HTTP: p50 {percentile(walls, 0.5):.1f} ms, p95 {percentile(walls, 0.95):.1f} ms wall")
            finally:
                process.terminate()
                process.wait(30)


def over_http(port: int, root: Path, place: Place) -> float:
    """Wall milliseconds of one completion."""
    body = {"model": MODEL, "prompt": place.prefix, "suffix": place.suffix, "file_path": str(root / place.path)}
    started = time.perf_counter()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/completions",
        json.dumps({**body, "max_tokens": 64}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
    return (time.perf_counter() - started) * 1000


def memory_of(pid: int) -> str:
    """The memory of a process and of its children."""
    whole = psutil.Process(pid)
    own = whole.memory_full_info()
    mapped = sum(part.rss for part in whole.memory_maps() if part.path.endswith(".segment"))
    children = [child.memory_full_info() for child in whole.children(recursive=True)]
    return (
        f"RSS {own.rss / 1e6:.0f} MB, of which {mapped / 1e6:.0f} the mapped segment, PSS {own.pss / 1e6:.0f} MB; "
        f"{len(children)} child processes, RSS {sum(child.rss for child in children) / 1e6:.0f} MB, "
        f"PSS {sum(child.pss for child in children) / 1e6:.0f} MB"
    )


async def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--places", type=int, default=60, help="places in each package")
    parser.add_argument("--only-costs", action="store_true", help="latency and memory alone")
    parser.add_argument("--no-reference", action="store_true", help="leave the n-gram cache out")
    arguments = parser.parse_args()
    count: int = arguments.places
    print(f"load average {os.getloadavg()[0]:.1f}")
    if not arguments.only_costs:
        await qualities(count, not arguments.no_reference)
    await django_costs()
    await asyncio.to_thread(daemon_memory)


async def qualities(count: int, with_reference: bool) -> None:
    """Print the table of all packages."""
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
            if with_reference:
                reference += refer(corpus, count)
            if corpus == REPORTED[-1]:
                print(row("all of the above", everything), flush=True)
                if reference:
                    print(row("n-gram cache, same places", reference), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
