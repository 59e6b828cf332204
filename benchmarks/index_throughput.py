"""Index throughput: a cold pass, a warm start and a saved file, against universal-ctags and bare py-tree-sitter.

Run: python benchmarks/index_throughput.py [--root DIR] [--runs N]

Without --root it takes django's source distribution from PyPI and keeps it in .cache/. CPU seconds are user plus
system of all processes; the best of the runs, since other load only adds. Two trees are measured: the distribution
as it is, and its .py files alone. The floor "bare" parses the same .py files with py-tree-sitter in one process and
runs the same query, and neither keeps nor writes what it finds. ctags writes its tag file for the same .py files
(definitions only).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from ghostd.config import IndexConfig
from ghostd.index.service import index_once, open_index

DJANGO = "django==5.2"
CACHE = Path(__file__).resolve().parent.parent / ".cache"

BARE = """
import sys, time
from pathlib import Path
from tree_sitter import QueryCursor
from ghostd.index import parse
sources = [Path(line).read_bytes() for line in sys.stdin.read().split("\\0") if line]
parser, query = parse._grammar("python")
began = time.process_time()
for source in sources:
    tree = parser.parse(source)
    QueryCursor(query).captures(tree.root_node)
print(time.process_time() - began)
"""


def django() -> Path:
    """The unpacked distribution."""
    found = sorted(CACHE.glob("[Dd]jango-5.2/"))
    if found:
        return found[0]
    CACHE.mkdir(exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(CACHE), DJANGO]
    subprocess.run(pip, check=True)
    with tarfile.open(next(CACHE.glob("[Dd]jango-5.2.tar.gz"))) as archive:
        archive.extractall(CACHE, filter="data")
    return next(CACHE.glob("[Dd]jango-5.2/"))


def python_files_of(root: Path, target: Path) -> Path:
    """A copy of the tree with its .py files only."""
    for path in root.rglob("*.py"):
        (target / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target / path.relative_to(root))
    return target


def cpu_s() -> float:
    """User and system time of this process and its ended children."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def measure(root: Path, store: Path) -> None:
    """One pass in a process of its own; prints its figures as JSON."""
    began, wall = cpu_s(), time.perf_counter()
    report = asyncio.run(index_once(store, root, IndexConfig()))
    figures = {
        "cpu_s": cpu_s() - began,
        "wall_s": time.perf_counter() - wall,
        "files": report.files,
        "symbols": report.symbols,
        "references": report.references,
        "imports": report.imports,
        "skips": len(report.skips),
        "source_bytes": report.size_bytes,
        "store_bytes": sum(path.stat().st_size for path in store.iterdir()),
        "own_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "worker_rss_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }
    print(json.dumps(figures))


def one_pass(root: Path, store: Path) -> dict[str, float]:
    """`measure` in a fresh process."""
    command = [sys.executable, __file__, "--measure", str(store), "--root", str(root)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


async def save_latencies(root: Path, store: Path, count: int) -> list[float]:
    """Milliseconds from a save until a query finds the new definition."""
    found: list[float] = []
    target = root / "benchmark_saved_file.py"
    async with open_index(store, IndexConfig()) as index:
        await index.add_root(root)
        await index.wait_ready(root)
        try:
            for number in range(count):
                committed = asyncio.Event()
                end = index.subscribe(lambda _, event=committed: event.set())  # type: ignore[misc]
                began = time.perf_counter()
                target.write_text(f"def saved_{number}():\n    return {number}\n")
                await asyncio.wait_for(committed.wait(), 10)
                assert await index.definitions(root, f"saved_{number}")
                found.append((time.perf_counter() - began) * 1000)
                end()
                await asyncio.sleep(0.05)
        finally:
            target.unlink()
    return sorted(found)


def timed_child(command: list[str], text: str) -> float:
    """CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, input=text, text=True, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def show_passes(name: str, root: Path, runs: int, work: Path) -> float:
    """Print a tree's figures; the best cold pass's CPU seconds."""
    cold: list[dict[str, float]] = []
    warm: list[dict[str, float]] = []
    for number in range(runs):
        store = work / f"{root.name}-{number}"
        store.mkdir()
        cold.append(one_pass(root, store))
        warm.append(one_pass(root, store))
    best, again = (min(figures, key=lambda f: f["cpu_s"]) for figures in (cold, warm))
    print(
        f"{name}: {best['files']:.0f} files, {best['source_bytes'] / 1e6:.1f} MB, {best['symbols']:.0f} symbols, ",
        end="",
    )
    print(f"{best['references']:.0f} references, {best['imports']:.0f} imports, {best['skips']:.0f} skips")
    print(f"  cold pass          {best['cpu_s']:.2f} CPU-s, {best['wall_s']:.2f} s")
    print(f"  warm start         {again['cpu_s']:.2f} CPU-s, {again['wall_s']:.2f} s")
    print(f"  store / source     {best['store_bytes'] / best['source_bytes']:.2f} ({best['store_bytes'] / 1e6:.1f} MB)")
    print(f"  peak RSS           daemon's side {best['own_rss_mb']:.0f} MB, worker {best['worker_rss_mb']:.0f} MB")
    return best["cpu_s"]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    root = arguments.root or django()
    if arguments.measure:
        measure(root, arguments.measure)
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        show_passes(root.name, root, arguments.runs, work)
        python = python_files_of(root, work / "py")
        cold = show_passes(f"{root.name}, .py files", python, arguments.runs, work)
        names = [str(path) for path in python.rglob("*.py")]
        bare = min(
            float(subprocess.run([sys.executable, "-c", BARE], input="\0".join(names), text=True, check=True,
                                 capture_output=True).stdout)
            for _ in range(arguments.runs)
        )  # fmt: skip
        print(f"  bare parse + query {bare:.2f} CPU-s; ghostd's cold pass is {cold / bare:.2f} times that")
        if shutil.which("ctags"):
            command = ["ctags", "-L", "-", "-f", os.devnull]
            ctags = min(timed_child(command, "\n".join(names)) for _ in range(arguments.runs))
            print(
                f"  ctags              {ctags:.2f} CPU-s, definitions only; ghostd's is {cold / ctags:.1f} times that"
            )
        else:
            print("  ctags              not installed (Debian: universal-ctags)")
        latencies = asyncio.run(save_latencies(python, work / "py-0", 40))
        p50, p95 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.95)]
        print(f"  saved → found      p50 {p50:.0f} ms, p95 {p95:.0f} ms (40 saves)")


if __name__ == "__main__":
    main()
