"""Index throughput: a cold pass, a warm start, a saved file, searches, a branch switch.

Against universal-ctags and bare py-tree-sitter.

Run: python benchmarks/index_throughput.py [--root DIR] [--runs N]

Without --root it takes django's source distribution from PyPI and keeps it in .cache/. CPU seconds are user plus
system of all processes: the median of the runs, and the best, since other load only adds. Two trees are measured: the
distribution as it is, and its .py files alone. The floor "bare" parses the .py files with py-tree-sitter in one process
and runs the same query, and neither keeps nor writes what it finds; it is measured anew before each cold pass, and what
is told of both is the median of the quotients. ctags writes its tag file for the same .py files (definitions only).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path, PurePosixPath
from statistics import median

from ghostd.config.projects import IndexConfig
from ghostd.index.service import index_once, open_index

DJANGO = "django==5.2"
QUERY_WORDS = 80
SWITCHED = 300
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


async def save_latencies(root: Path, store: Path, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds from a save until a query finds the new definition, and until a search finds its words, too."""
    found: list[float] = []
    searched: list[float] = []
    target = root / "benchmark_saved_file.py"
    async with open_index(store, IndexConfig()) as index:
        await index.add_root(root)
        await index.wait_ready(root)
        await index.search(root, {"saved": 1.0})  # loads numpy
        try:
            for number in range(count):
                committed = asyncio.Event()
                end = index.subscribe(lambda _, event=committed: event.set())  # type: ignore[misc]
                began = time.perf_counter()
                target.write_text(f"def saved_{number}():\n    return {number}\n")
                await asyncio.wait_for(committed.wait(), 10)
                assert await index.definitions(root, f"saved_{number}")
                found.append((time.perf_counter() - began) * 1000)
                assert (await index.search(root, {f"saved_{number}": 1.0}))[0].chunk.path.name == target.name
                searched.append((time.perf_counter() - began) * 1000)
                end()
                await asyncio.sleep(0.05)
        finally:
            target.unlink()
    return sorted(found), sorted(searched)


async def search_costs(root: Path, store: Path, count: int) -> list[float]:
    """CPU milliseconds of searches for the words around random lines."""
    rng = random.Random(7)
    files = [path for path in sorted(root.rglob("*.py")) if path.stat().st_size > 5_000]
    queries: list[tuple[PurePosixPath, dict[str, float]]] = []
    while len(queries) < count:
        path = rng.choice(files)
        lines = path.read_text(encoding="utf-8").splitlines()
        at = rng.randrange(len(lines))
        near = {word: 1.0 for line in lines[max(at - 60, 0) : at + 20] for word in re.findall(r"[A-Za-z_]\w+", line)}
        if len(near) >= QUERY_WORDS:
            queries.append((PurePosixPath(path.relative_to(root)), dict(list(near.items())[:QUERY_WORDS])))
    costs: list[float] = []
    async with open_index(store, IndexConfig()) as index:
        await index.add_root(root)
        await index.wait_ready(root)
        await index.search(root, {"first": 1.0})
        for own, words in queries:
            began = time.process_time()
            assert len(await index.search(root, words, 50, leave_out=own)) == 50
            costs.append((time.process_time() - began) * 1000)
    return sorted(costs)


def switch_costs(root: Path, store: Path, count: int) -> tuple[float, float, float]:
    """CPU seconds of passes after so many files have changed and changed back, and of one without any change."""
    paths = sorted(root.rglob("*.py"), key=lambda path: (-path.stat().st_size, path))[::9][:count]
    before = {path: path.read_bytes() for path in paths}
    for path, text in before.items():
        path.write_bytes(text + b"\n\ndef of_the_other_branch():\n    return 1\n")
    time.sleep(0.1)  # so that a file is not looked at once more for having just been written
    there = one_pass(root, store)["cpu_s"]
    for path, text in before.items():
        path.write_bytes(text)
    time.sleep(0.1)
    back = one_pass(root, store)["cpu_s"]
    return there, back, one_pass(root, store)["cpu_s"]


def percentiles(values: list[float]) -> str:
    """Of sorted values."""
    return f"p50 {values[len(values) // 2]:.1f}, p95 {values[int(len(values) * 0.95)]:.1f}"


def timed_child(command: list[str], text: str) -> float:
    """CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, input=text, text=True, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def bare_parse(names: list[str]) -> float:
    """CPU seconds of the floor."""
    command = [sys.executable, "-c", BARE]
    return float(subprocess.run(command, input="\0".join(names), text=True, check=True, capture_output=True).stdout)


def show_passes(name: str, root: Path, names: list[str], runs: int, work: Path) -> float:
    """Print a tree's figures, `names` being its .py files; the median cold pass's CPU seconds."""
    bare: list[float] = []
    cold: list[dict[str, float]] = []
    warm: list[dict[str, float]] = []
    for number in range(runs):
        store = work / f"{root.name}-{number}"
        store.mkdir()
        bare.append(bare_parse(names))
        cold.append(one_pass(root, store))
        warm.append(one_pass(root, store))
    last = cold[-1]
    print(
        f"{name}: {last['files']:.0f} files, {last['source_bytes'] / 1e6:.1f} MB, {last['symbols']:.0f} symbols, ",
        end="",
    )
    print(f"{last['references']:.0f} references, {last['imports']:.0f} imports, {last['skips']:.0f} skips")
    for what, figures in (("cold pass ", cold), ("warm start", warm)):
        costs = [figure["cpu_s"] for figure in figures]
        print(f"  {what}         {median(costs):.2f} CPU-s (best {min(costs):.2f}), ", end="")
        print(f"{median(figure['wall_s'] for figure in figures):.2f} s")
    times = median(figure["cpu_s"] / floor for figure, floor in zip(cold, bare, strict=True))
    print(
        f"  bare parse + query {median(bare):.2f} CPU-s (best {min(bare):.2f}); the cold pass is {times:.2f} times that"
    )
    print(f"  store / source     {last['store_bytes'] / last['source_bytes']:.2f} ({last['store_bytes'] / 1e6:.1f} MB)")
    print(f"  peak RSS           daemon's side {last['own_rss_mb']:.0f} MB, worker {last['worker_rss_mb']:.0f} MB")
    return median(figure["cpu_s"] for figure in cold)


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
        python = python_files_of(root, work / "py")
        names = [str(path) for path in python.rglob("*.py")]
        show_passes(root.name, root, names, arguments.runs, work)
        cold = show_passes(f"{root.name}, .py files", python, names, arguments.runs, work)
        if shutil.which("ctags"):
            command = ["ctags", "-L", "-", "-f", os.devnull]
            ctags = min(timed_child(command, "\n".join(names)) for _ in range(arguments.runs))
            print(
                f"  ctags              {ctags:.2f} CPU-s, definitions only; ghostd's is {cold / ctags:.1f} times that"
            )
        else:
            print("  ctags              not installed (Debian: universal-ctags)")
        defined, searched = asyncio.run(save_latencies(python, work / "py-0", 40))
        print(f"  saved → defined    {percentiles(defined)} ms (40 saves)")
        print(f"  saved → searched   {percentiles(searched)} ms, both since the save")
        costs = asyncio.run(search_costs(python, work / "py-0", 200))
        print(f"  search             {percentiles(costs)} CPU-ms (200 searches for {QUERY_WORDS} words)")
        there, back, warm = switch_costs(python, work / "py-0", SWITCHED)
        print(f"  branch switch      {SWITCHED} files: {there - warm:.2f} CPU-s more than a warm start", end="")
        print(f", back {back - warm:.2f} ({100 * (back - warm) / cold:.1f} % of the cold pass)")


if __name__ == "__main__":
    main()
