"""How fast the search over vectors is, and what their 8 bits cost: `python benchmarks/vector_search.py`.

Compares the daemon's search (8-bit codes, all of them) with a float32 matrix product over the same vectors, and tells
how many of the ten closest by float32 it finds. "random": each number by itself, the hardest case, as all distances
are about the same. "clustered": what vectors of code look like: one large common part, clusters of files within
clusters of folders, and numbers that differ in their spread by dimension. Queries are further draws from the same.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ghostd.vectors.codes import best, coded, cosines

Floats = npt.NDArray[np.float32]


def random_vectors(count: int, dimensions: int, generator: np.random.Generator) -> Floats:
    """Each number by itself."""
    return unit(generator.standard_normal((count, dimensions), np.float32))


def clustered_vectors(count: int, dimensions: int, generator: np.random.Generator) -> Floats:
    """Files within folders, with a part that all share."""
    spread = (1 / np.sqrt(np.arange(1, dimensions + 1))).astype(np.float32)
    generator.shuffle(spread)
    folders = generator.standard_normal((60, dimensions), np.float32)
    folder = generator.integers(0, len(folders), 4_000)
    files = folders[folder] + 0.7 * generator.standard_normal((4_000, dimensions), np.float32)
    numbers = files[generator.integers(0, len(files), count)]
    numbers += 0.7 * generator.standard_normal((count, dimensions), np.float32)
    common = generator.standard_normal(dimensions, np.float32)
    return unit((numbers + common) * spread)


def unit(numbers: Floats) -> Floats:
    """Each row at length 1."""
    return np.asarray(numbers / np.linalg.norm(numbers, axis=1, keepdims=True), np.float32)


def timed(work: Callable[[], object], times: int) -> tuple[float, float]:
    """Median milliseconds of CPU and of the clock."""
    cpu, wall = [], []
    for _ in range(times):
        start, start_wall = time.process_time(), time.perf_counter()
        work()
        cpu.append(time.process_time() - start)
        wall.append(time.perf_counter() - start_wall)
    return 1000 * float(np.median(cpu)), 1000 * float(np.median(wall))


def compared(name: str, drawn: Floats, queries: int, times: int) -> str:
    """One line of figures; the last `queries` of what was drawn are looked for among the rest."""
    vectors, wanted = drawn[:-queries], drawn[-queries:]
    parts = [coded(vectors[start : start + 10_000].tolist()) for start in range(0, len(vectors), 10_000)]
    codes = np.concatenate([part.codes for part in parts])
    scales = np.concatenate([part.scales for part in parts])
    asked = wanted.tolist()

    def ours(number: int) -> npt.NDArray[np.int64]:
        return best(cosines(codes, scales, asked[number]), 10)

    def exact(number: int) -> npt.NDArray[np.int64]:
        return best(np.asarray(vectors @ wanted[number], np.float32), 10)

    found = [len({*ours(each).tolist()} & {*exact(each).tolist()}) / 10 for each in range(queries)]
    cpu, wall = timed(lambda: ours(0), times)
    cpu_exact, wall_exact = timed(lambda: exact(0), times)
    return (
        f"{name:<10} 8-bit {cpu:5.1f} ms CPU ({wall:5.1f} ms), float32 {cpu_exact:5.1f} ms CPU ({wall_exact:5.1f} ms),"
        f" ratio {cpu / cpu_exact:.2f}; recall@10 {np.mean(found):.3f};"
        f" {codes.nbytes / 2**20:.0f} MiB instead of {vectors.nbytes / 2**20:.0f}"
    )


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--chunks", type=int, default=100_000)
    options.add_argument("--dimensions", type=int, default=768)
    options.add_argument("--queries", type=int, default=100)
    options.add_argument("--times", type=int, default=31)
    asked = options.parse_args()
    print(f"{asked.chunks} vectors of {asked.dimensions} dimensions, numpy {np.__version__}, {os.cpu_count()} CPUs,")
    print(f"{platform.machine()}; medians of {asked.times} searches after one that warms up")
    for name, make in (("random", random_vectors), ("clustered", clustered_vectors)):
        drawn = make(asked.chunks + asked.queries, asked.dimensions, np.random.default_rng(1))
        print(compared(name, drawn, asked.queries, asked.times), flush=True)


if __name__ == "__main__":
    main()
