"""How much of what a hidden line needs is found by retrieval, beside BM25 alone, outlines of imports and chance.

Each package is indexed as a project; lines whose identifiers are defined in other files, and stand nowhere else in
their own, are hidden. The scorer's weights were trained on the projects of TRAINING, the table is of the others.

Run: python benchmarks/retrieval.py [--lines N] [--only NAME …]
     python benchmarks/retrieval.py --typing [--lines N]
     python benchmarks/retrieval.py --train [--lines N]     (fits ghostd/context/weights.json anew)
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from completion_corpora import Corpus, fetch
from plain_bm25 import PlainBm25
from retrieval_projects import GROUPS, HELD_OUT, LANGUAGES, TRAINING

from ghostd.config.projects import IndexConfig
from ghostd.context.evaluate import BUDGETS, METHODS, Recall, evaluate, hidden_lines, means, training_rows
from ghostd.context.names import FEATURES
from ghostd.context.retriever import Retriever
from ghostd.context.selection import ContextRequest
from ghostd.index.service import open_index
from ghostd.index.watch import NoWatch
from ghostd.resolve.resolver import Resolver

T = TypeVar("T")

WEIGHTS = Path(__file__).resolve().parent.parent / "ghostd" / "context" / "weights.json"
PLAIN = "plain bm25"
"""The textbook's: see plain_bm25.py. "bm25" is ghostd's own chunk search alone."""


async def on_project(root: Path, store: Path, work: Callable[[Retriever, Path], Awaitable[T]]) -> T:
    """What `work` makes of a retriever over this project."""
    async with open_index(store, IndexConfig(), NoWatch()) as index:
        await index.add_root(root)
        await index.wait_ready(root)
        resolver = Resolver(index)
        retriever = Retriever(index, resolver)
        try:
            return await work(retriever, root)
        finally:
            retriever.close()
            resolver.close()


async def measure(retriever: Retriever, root: Path, count: int, seed: int, languages: tuple[str, ...]) -> Recall:
    """The recall on one project."""
    index = retriever.parts.index
    lines = await hidden_lines(index, root, count, seed, languages)
    files = [file.path for file in await index.files(root) if file.language in languages]
    texts = {path: (await index.text(root, path) or b"").decode("utf-8", "replace") for path in files}
    peers = {PLAIN: PlainBm25(texts.items()).quote}
    *_, last = Recall(), *[report async for report in evaluate(retriever, root, lines, peers=peers)]
    return last


def row(name: str, report: Recall) -> str:
    """A line of the table."""
    cells = [
        " / ".join(f"{100 * report.recall[method][budget]:.0f}" for budget in BUDGETS) if report.recall else "–"
        for method in (*METHODS, PLAIN)
    ]
    cpu = sorted(report.cpu_ms) or [0.0]
    p95 = cpu[int(0.95 * (len(cpu) - 1))]
    return f"| {name} | {report.lines} | {' | '.join(cells)} | {statistics.median(cpu):.1f} | {p95:.1f} |"


def table(reports: dict[str, Recall]) -> str:
    """The table of the projects, with the mean."""
    heads = " | ".join(f"{method} @1k / 2k / 4k" for method in (*METHODS, PLAIN))
    lines = [f"| project | lines | {heads} | CPU ms p50 | p95 |", "|---" * (len(METHODS) + 5) + "|"]
    lines += [row(name, report) for name, report in reports.items()]
    if len(reports) > 1:
        lines.append(row("mean", means(reports)))
    return "\n".join(lines)


async def type_lines(retriever: Retriever, root: Path, count: int, seed: int) -> None:
    """What retrieval takes at each key, when hidden lines are typed in files that have been opened a moment ago."""
    lines = await hidden_lines(retriever.parts.index, root, count, seed, ("python",))
    took: dict[str, list[float]] = {
        "first of all, nothing made ready": [],
        "first in a file": [],
        "first of a word": [],
        "inside of a word": [],
    }
    for number, hidden in enumerate(lines):
        data = await retriever.parts.index.text(root, hidden.path) or b""
        line = data.decode("utf-8", "replace").split("\n")[hidden.line - 1]
        before = ""
        if number:  # the first line shows what the project's first question costs
            await retriever.prepare(root, hidden.path, f"typing {number}")
        for end in range(len(line) - len(line.lstrip()), len(line) + 1):
            request = ContextRequest(
                root, hidden.path, hidden.prefix + line[:end], hidden.suffix, 1_000, f"typing {number}", deadline_s=5.0
            )
            started = time.process_time()
            await retriever.select(request)
            spent = (time.process_time() - started) * 1e3
            inside = line[end - 1 : end].isalnum() and before.isalnum()
            before = line[end - 1 : end]
            first = end == len(line) - len(line.lstrip())
            if first and not number:
                took["first of all, nothing made ready"].append(spent)
                continue
            took["first in a file" if first else "inside of a word" if inside else "first of a word"].append(spent)
    took["all keys"] = [spent for values in took.values() for spent in values]
    print("| key | count | CPU ms p50 | p95 | max |\n|---|---|---|---|---|")
    for name, values in took.items():
        values.sort()
        p50, p95 = statistics.median(values), values[int(0.95 * (len(values) - 1))]
        print(f"| {name} | {len(values)} | {p50:.1f} | {p95:.1f} | {values[-1]:.1f} |")


def train(count: int, seed: int) -> None:
    """Fit the weights: a logistic regression of "is wanted", in which each language counts the same."""
    examples: list[tuple[np.ndarray, np.ndarray, float]] = []
    used = 0
    for group, projects in TRAINING.items():
        for name, find in projects.items():
            rows: list[np.ndarray] = []
            wanted: list[bool] = []

            async def collect(
                retriever: Retriever,
                root: Path,
                group: str = group,
                rows: list[np.ndarray] = rows,
                wanted: list[bool] = wanted,
            ) -> int:
                lines = await hidden_lines(retriever.parts.index, root, count, seed, LANGUAGES[group])
                async for features, labels in training_rows(retriever, root, lines):
                    rows.append(features)
                    wanted.extend(labels)
                return len(lines)

            with tempfile.TemporaryDirectory() as store:
                lines = asyncio.run(on_project(find(), Path(store), collect))
            if rows:
                examples.append((np.concatenate(rows), np.array(wanted, float), lines / len(projects)))
            used += lines
            print(f"{name}: {lines} lines, {len(wanted)} names of which {sum(wanted)} wanted", flush=True)
    weights = fit(examples)
    data = {
        "trained_on": {group: list(projects) for group, projects in TRAINING.items()},
        "lines": used,
        "weights": dict(zip(FEATURES, [round(float(x), 4) for x in weights], strict=True)),
    }
    WEIGHTS.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def fit(examples: list[tuple[np.ndarray, np.ndarray, float]], ridge: float = 1.0) -> np.ndarray:
    """The weights by Newton's method. Of each project: features, labels, and what it counts.

    A project counts by the square root of that, so that neither many small ones nor a few large ones decide.
    """
    x = np.concatenate([rows for rows, _, _ in examples])
    y = np.concatenate([labels for _, labels, _ in examples])
    counts = np.concatenate([np.full(len(labels), share**0.5 / max(labels.sum(), 1)) for _, labels, share in examples])
    counts *= y.sum() / (counts @ y)
    weights = np.zeros(x.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (counts * (p - y)) + ridge * weights
        hessian = (x * (counts * p * (1 - p))[:, None]).T @ x + ridge * np.eye(x.shape[1])
        step = np.linalg.solve(hessian, gradient)
        weights -= step
        if np.abs(step).max() < 1e-5:
            break
    return weights


def main() -> None:
    """Measure, or train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=100, help="hidden lines of each project (default: 100)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", action="append", help="only the projects whose name starts so; repeatable")
    parser.add_argument("--train", action="store_true", help="fit the scorer's weights anew, on the training projects")
    parser.add_argument("--typing", action="store_true", help="what each key takes, on django")
    options = parser.parse_args()
    if options.typing:

        async def typed(retriever: Retriever, root: Path) -> None:
            await type_lines(retriever, root, options.lines, options.seed)

        with tempfile.TemporaryDirectory() as store:
            asyncio.run(on_project(fetch(Corpus(HELD_OUT[0])), Path(store), typed))
        return
    if options.train:
        train(options.lines, options.seed)
        return
    for group, projects in GROUPS.items():
        reports: dict[str, Recall] = {}
        for name, find in projects.items():
            if options.only and not any(name.startswith(start) or group == start for start in options.only):
                continue
            with tempfile.TemporaryDirectory() as store:

                async def work(retriever: Retriever, root: Path, wanted: tuple[str, ...] = LANGUAGES[group]) -> Recall:
                    return await measure(retriever, root, options.lines, options.seed, wanted)

                reports[name] = asyncio.run(on_project(find(), Path(store), work))
            print(row(name, reports[name]), flush=True)
        if reports:
            print(f"\n{group}\n{table(reports)}\n", flush=True)


if __name__ == "__main__":
    main()
