"""How much of what a hidden line needs stands in the repo map, beside aider's at equal tokens.

Lines whose identifiers are defined in other files, and stand nowhere else in their own, are hidden; the map is made
for the file without the line. The weights of ghostd's map were trained on the packages of PYTHON_TRAINING, the table
is of HELD_OUT. Both maps are cut to the budget by the same count, 4 bytes a token. aider is asked for it by that count,
too.

Run: python benchmarks/repo_map.py [--lines N] [--only NAME …] [--aider PYTHON]
     python benchmarks/repo_map.py --train        (fits ghostd/analysis/map_weights.json anew)

PYTHON is the interpreter of an environment with aider-chat==0.86.2 in it, outside of the repository.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from completion_corpora import Corpus, fetch
from retrieval_projects import HELD_OUT, PYTHON_TRAINING

from ghostd.analysis.analyst import Analyst
from ghostd.analysis.relevance import FEATURES, Focus, features_of
from ghostd.analysis.tokens import BYTES_PER_TOKEN, estimate
from ghostd.code_ports import Index
from ghostd.config.projects import IndexConfig
from ghostd.context.evaluate import HiddenLine, hidden_lines
from ghostd.context.query import IDENTIFIER
from ghostd.index.service import open_index
from ghostd.index.watch import NoWatch
from ghostd.resolve.resolver import Resolver

T = TypeVar("T")

BUDGETS = (1_000, 2_000)
WEIGHTS = Path(__file__).resolve().parent.parent / "ghostd" / "analysis" / "map_weights.json"
NEGATIVES = 600


async def on_project(root: Path, store: Path, work: Callable[[Analyst, Path], Awaitable[T]]) -> T:
    """What `work` makes of an analyst of this project."""
    async with open_index(store, IndexConfig(), NoWatch()) as index:
        await index.add_root(root)
        await index.wait_ready(root)
        resolver = Resolver(index)
        try:
            return await work(Analyst(index, resolver), root)
        finally:
            resolver.close()


class Hiding:
    """A line taken out of its file, as an editor's unsaved buffer."""

    def __init__(self, analyst: Analyst, root: Path, hidden: HiddenLine) -> None:
        self._index, self._path = analyst.index, root / hidden.path
        self._text = hidden.prefix + hidden.suffix
        self._hidden, self._root = hidden, root

    async def __aenter__(self) -> Index:
        self._index.overlay("benchmark", self._path, self._text)
        view = self._index.seen_by("benchmark")
        for _ in range(2000):  # the buffer is read soon
            view = self._index.seen_by("benchmark")
            if not self._hidden.names & {use.name for use in await view.uses(self._root, self._hidden.path)}:
                return view
            await asyncio.sleep(0.005)
        raise TimeoutError(self._path)

    async def __aexit__(self, *_: object) -> None:
        self._index.forget_session("benchmark")


def recall(hidden: HiddenLine, text: str) -> float:
    """The share of the hidden names that the text has."""
    return len(hidden.names & set(IDENTIFIER.findall(text))) / len(hidden.names)


async def measure(analyst: Analyst, root: Path, lines: Sequence[HiddenLine]) -> dict[str, Any]:
    """ghostd's recall at each budget, and CPU milliseconds of the daemon's process for each map."""
    start = time.process_time()
    await analyst.repo_map(root, [], BUDGETS[0])
    cold = time.process_time() - start
    found: dict[int, list[float]] = {budget: [] for budget in BUDGETS}
    cpu = []
    for hidden in lines:
        async with Hiding(analyst, root, hidden) as view:
            for budget in BUDGETS:
                start = time.process_time()
                made = await analyst.repo_map(root, [hidden.path], budget, seen=view)
                cpu.append((time.process_time() - start) * 1e3)
                assert estimate(made.text) <= budget
                found[budget].append(recall(hidden, made.text))
    return {"cold_s": cold, "cpu_ms": cpu, "recall": found}


AIDER = """
import json, sys, time
from pathlib import Path
from aider.repomap import RepoMap
class Model:
    def token_count(self, text): return -(-len(text.encode()) // BYTES)
class IO:
    def __getattr__(self, name): return lambda *a, **k: None
    def read_text(self, name, silent=False):
        try: return Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError): return None
root, lines = sys.argv[1], json.load(sys.stdin)
every = sorted(str(p) for p in Path(root).rglob("*") if p.is_file())
made = RepoMap(map_tokens=1000, root=root, main_model=Model(), io=IO(), map_mul_no_files=1, refresh="always")
for line in lines:
    path = Path(root, line["path"])
    before = path.read_bytes()
    path.write_text(line["text"], encoding="utf-8")
    try:
        for budget in line["budgets"]:
            start = time.process_time()
            made.max_map_tokens = budget
            text = made.get_repo_map([str(path)], [p for p in every if p != str(path)]) or ""
            print(json.dumps({"path": line["path"], "line": line["line"], "budget": budget, "text": text,
                              "cpu_s": time.process_time() - start}), flush=True)
    finally:
        path.write_bytes(before)
""".replace("BYTES", str(BYTES_PER_TOKEN))


def cut(text: str, budget: int) -> str:
    """The text's first lines that fit into the budget."""
    lines = text.split("\n")
    while lines and estimate("\n".join(lines)) > budget:
        lines.pop()
    return "\n".join(lines)


def measure_aider(python: str, root: Path, lines: Sequence[HiddenLine]) -> dict[str, Any]:
    """Likewise, of aider: CPU seconds for each map, the first of which reads the whole project."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / root.name
        shutil.copytree(root, copy, symlinks=True)
        asked = [{"path": str(h.path), "line": h.line, "text": h.prefix + h.suffix, "budgets": BUDGETS} for h in lines]
        done = subprocess.run(
            [python, "-c", AIDER, str(copy)], input=json.dumps(asked), capture_output=True, text=True, check=True
        )
        found: dict[int, list[float]] = {budget: [] for budget in BUDGETS}
        by_place = {(str(h.path), h.line): h for h in lines}
        cpu = []
        used: dict[int, list[int]] = {budget: [] for budget in BUDGETS}
        for row in map(json.loads, (line for line in done.stdout.splitlines() if line.startswith("{"))):
            cpu.append(row["cpu_s"])
            used[row["budget"]].append(estimate(row["text"]))
            text = cut(row["text"], row["budget"])
            found[row["budget"]].append(recall(by_place[row["path"], row["line"]], text))
        return {"cpu_s": cpu, "recall": found, "used": used}


def train(count: int, seed: int) -> None:
    """Fit the weights: logistic regression by Newton's method over a sample of each project's definitions."""
    rows, labels, counts = [], [], []
    draw = np.random.default_rng(seed)
    used = 0

    async def collect(analyst: Analyst, root: Path) -> None:
        nonlocal used
        around = await analyst.surroundings(root)
        names = around.names
        for hidden in await hidden_lines(analyst.index, root, count, seed, ("python",)):
            number = names.file_ids.get(str(hidden.path))
            if number is None:
                continue
            async with Hiding(analyst, root, hidden) as view:
                uses = {use.name for use in await view.uses(root, hidden.path)}
            focus = Focus((number,), uses, (str(hidden.path).rpartition("/")[0],))
            columns = features_of(around, focus)
            wanted = np.isin(names.def_name, [names.name_ids[n] for n in hidden.names if n in names.name_ids])
            known = np.isin(names.def_name, [names.name_ids[n] for n in uses if n in names.name_ids])
            usable = (names.def_file != number) & ~known
            positive = np.flatnonzero(wanted & usable)
            negative = np.flatnonzero(~wanted & usable)
            if not len(positive):
                continue
            some = draw.choice(negative, min(NEGATIVES, len(negative)), replace=False)
            rows.append(columns[:, np.concatenate((positive, some))].T)
            labels.append(np.concatenate((np.ones(len(positive)), np.zeros(len(some)))))
            # A name with many definitions counts once.
            weight = np.full(len(some), len(negative) / len(some))
            counts.append(np.concatenate((np.full(len(positive), 1 / np.sqrt(len(positive))), weight)))
            used += 1

    for name in PYTHON_TRAINING:
        with tempfile.TemporaryDirectory() as store:
            asyncio.run(on_project(fetch(Corpus(name)), Path(store), collect))
        print(f"{name}: {used} lines so far", flush=True)
    x, y, c = np.concatenate(rows), np.concatenate(labels), np.concatenate(counts)
    weights = fit(x, y, c)
    data = {
        "trained_on": list(PYTHON_TRAINING),
        "lines": used,
        "weights": dict(zip(FEATURES, [round(float(w), 4) for w in weights], strict=True)),
    }
    WEIGHTS.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def fit(x: np.ndarray, y: np.ndarray, c: np.ndarray, ridge: float = 1.0) -> np.ndarray:
    """The weights of a logistic regression whose rows count as `c` says."""
    weights = np.zeros(x.shape[1])
    weights[0] = -5.0
    for _ in range(80):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -50, 50)))
        gradient = x.T @ (c * (p - y)) + ridge * weights
        hessian = (x * (c * p * (1 - p))[:, None]).T @ x + ridge * np.eye(x.shape[1])
        step = np.linalg.solve(hessian, gradient)
        weights -= np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-5:
            break
    return weights


def main() -> None:
    """Measure, or train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=60, help="hidden lines of each project (default: 60)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", action="append", help="only the projects whose name starts so; repeatable")
    parser.add_argument("--aider", help="the Python of an environment with aider-chat")
    parser.add_argument("--train", action="store_true", help="fit the weights anew, on the training packages")
    options = parser.parse_args()
    if options.train:
        train(options.lines, options.seed)
        return
    mean: dict[str, dict[int, list[float]]] = {who: {budget: [] for budget in BUDGETS} for who in ("ghostd", "aider")}
    print("| project | lines | ghostd @1k / 2k | its CPU: first, each | aider @1k / 2k | its CPU: first, each |")
    print("|---|---|---|---|---|---|")
    for name in HELD_OUT:
        if options.only and not any(name.startswith(start) for start in options.only):
            continue
        root = fetch(Corpus(name))

        async def work(analyst: Analyst, root: Path) -> tuple[Sequence[HiddenLine], dict[str, Any]]:
            lines = await hidden_lines(analyst.index, root, options.lines, options.seed, ("python",))
            return lines, await measure(analyst, root, lines)

        with tempfile.TemporaryDirectory() as store:
            lines, own = asyncio.run(on_project(root, Path(store), work))
        cells = [name, str(len(lines)), shares(own, mean["ghostd"])]
        cells.append(f"{own['cold_s']:.2f} s, {statistics.median(own['cpu_ms']):.0f} ms")
        if options.aider:
            other = measure_aider(options.aider, root, lines)
            cells.append(shares(other, mean["aider"]))
            cells.append(f"{other['cpu_s'][0]:.1f} s, {statistics.median(other['cpu_s'][1:]):.1f} s")
        print(f"| {' | '.join(cells)} |", flush=True)
    means = [
        " / ".join(f"{statistics.mean(of[budget]):.1f}" for budget in BUDGETS) if of[BUDGETS[0]] else "–"
        for of in mean.values()
    ]
    print(f"| mean | | {means[0]} | | {means[1]} | |")


def shares(report: dict[str, Any], mean: dict[int, list[float]]) -> str:
    """Percent at each budget, which are also noted for the mean."""
    for budget in BUDGETS:
        mean[budget].append(100 * statistics.mean(report["recall"][budget]))
    return " / ".join(f"{mean[budget][-1]:.1f}" for budget in BUDGETS)


if __name__ == "__main__":
    main()
