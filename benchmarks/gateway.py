"""What a gateway costs: ghostd, with ledger, routing, breaker, limits and guard on, beside a bare aiohttp proxy and,
with --peers, LiteLLM, Portkey and TensorZero (installed on demand into a cache folder), before one scripted upstream.

Upstream and load generator are processes of their own on the first CPU, each server runs on the second. Servers take
turns in each round; figures are medians over the rounds, ratios medians of each round's ratio, since other load
comes and goes. CPU is the server's own time, with what it takes when idle subtracted.

Run: python benchmarks/gateway.py [--quick] [--peers] [--server NAME …] [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gateway_parts import servers
from gateway_parts.servers import PARTS, Running

_CPUS = sorted(os.sched_getaffinity(0))
_LOAD_CPUS = {_CPUS[0]}
_SERVER_CPUS = {_CPUS[-1]}
_MEASURED = {"bench:plain": (1, 16, 64), "bench:burst": (1, 16, 64), "bench:paced": (1, 16)}
"""Prompt → concurrencies. A burst is a stream in one write, a paced one has a write each 2 ms."""
Figures = dict[str, dict[str, list[float]]]
"""Measure → server → one value for each round."""


class Load:
    """The load generator's process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PARTS / "load.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        os.sched_setaffinity(self._process.pid, _LOAD_CPUS)

    def do(self, job: dict[str, object]) -> dict[str, Any]:
        """The figures of one job."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        figures: dict[str, Any] = json.loads(self._process.stdout.readline())
        return figures

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def scripted_upstream() -> Iterator[int]:
    """The upstream's port while the block runs."""
    process = subprocess.Popen([sys.executable, str(PARTS / "upstream.py")], stdout=subprocess.PIPE)
    os.sched_setaffinity(process.pid, _LOAD_CPUS)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


class Bench:
    """All measurements over the running servers."""

    def __init__(self, load: Load, upstream: int, running: Sequence[Running], seconds: float) -> None:
        self.load = load
        self.upstream = upstream
        self.running = running
        self.seconds = seconds
        self.figures: Figures = {}
        self.failures: list[str] = []
        self._rates: dict[tuple[str, str], float] = {}

    def note(self, measure: str, server: str, value: float) -> None:
        """Add a round's value."""
        self.figures.setdefault(measure, {}).setdefault(server, []).append(value)

    def one_round(self) -> None:
        """Each measure once on each server."""
        for prompt, levels in _MEASURED.items():
            for concurrency in levels:
                for server in self.running:
                    self._measure(server, prompt, concurrency)

    def _measure(self, server: Running, prompt: str, concurrency: int) -> None:
        kind = prompt.removeprefix("bench:")
        requests = self._requests(server, prompt, concurrency)
        before, began = server.cpu_s(), time.perf_counter()
        done = self.load.do(server.job(prompt, concurrency=concurrency, requests=requests))
        took_s = time.perf_counter() - began
        cpu_s = server.cpu_s() - before
        if done["failed"]:
            self.failures.append(f"{server.name}, {kind}, {concurrency}: {done['failed']} failed: {done['failure']}")
            return
        idle_s = self.figures.get("idle CPU, ms/s", {}).get(server.name, [0.0])[0] / 1000 * took_s
        at = f"{kind}, {concurrency}"
        self._rates[server.name, at] = requests / done["took_s"]
        self.note(f"CPU µs: {at}", server.name, max(cpu_s - idle_s, 0.0) / requests * 1e6)
        self.note(f"requests/s: {at}", server.name, requests / done["took_s"])
        for share in (0.5, 0.99):
            self.note(f"ms p{share * 100:.0f}: {at}", server.name, quantile(done["seconds"], share) * 1e3)
            if prompt != "bench:plain":
                self.note(f"first byte ms p{share * 100:.0f}: {at}", server.name, quantile(done["firsts"], share) * 1e3)
            if done["delays_ns"]:
                self.note(f"event µs p{share * 100:.0f}: {at}", server.name, quantile(done["delays_ns"], share) / 1e3)

    def _requests(self, server: Running, prompt: str, concurrency: int) -> int:
        """So many that it takes about `seconds`, by the last round's rate."""
        at = f"{prompt.removeprefix('bench:')}, {concurrency}"
        if (server.name, at) not in self._rates:
            tried = 2 * concurrency + 20
            done = self.load.do(server.job(prompt, concurrency=concurrency, requests=tried))
            self._rates[server.name, at] = tried / done["took_s"]
        return max(int(self._rates[server.name, at] * self.seconds), 2 * concurrency, 20)

    def idle(self, seconds: float) -> None:
        """What the servers take when nobody asks them."""
        time.sleep(4)  # ghostd loads what it has put off at its start
        before = {server.name: server.cpu_s() for server in self.running}
        time.sleep(seconds)
        for server in self.running:
            self.note("idle CPU, ms/s", server.name, (server.cpu_s() - before[server.name]) / seconds * 1e3)

    def hang_ups(self, times: int) -> None:
        """How long after its client has left a request's upstream sees its connection closed."""
        for title, prompt, streams in (
            ("plain", "bench:silent", False),
            ("stream before the first byte", "bench:silent", True),
            ("stream after the first byte", "bench:open", True),
        ):
            for _ in range(times):
                for server in self.running:
                    job = server.job(prompt, hang_up=True, upstream=self.upstream) | {"stream": streams}
                    left_s = self.load.do(job)["hang_up_s"]
                    self.note(f"hang-up ms: {title}", server.name, math.inf if left_s is None else left_s * 1e3)

    def memory(self, requests: int) -> None:
        """Resident memory after so many requests, a third of them streams."""
        for server in self.running:
            if server.name == "direct":
                continue
            for prompt, share in (("bench:plain", 2 * requests // 3), ("bench:burst", requests // 3)):
                self.load.do(server.job(prompt, concurrency=16, requests=share, limit_s=600))
            self.note(f"RSS MB after {requests:,} requests", server.name, server.memory_mb())


def quantile(values: Sequence[float], share: float) -> float:
    """The nearest-rank quantile."""
    ranked = sorted(values)
    return ranked[min(math.ceil(share * len(ranked)), len(ranked)) - 1]


def shown(value: float) -> str:
    """Three digits or so."""
    if math.isinf(value):
        return "never"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(figures: Figures, names: Sequence[str], *, base: str) -> str:
    """Medians, and behind each its median ratio to `base` in the same round."""
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for measure, by_server in figures.items():
        cells = []
        for name in names:
            values = by_server.get(name)
            if not values:
                cells.append("–")
                continue
            cell = shown(statistics.median(values))
            if name not in (base, "direct") and base in by_server and not measure.startswith(("idle", "hang")):
                pairs = zip(values, by_server[base], strict=False)
                cell += f" ({statistics.median(v / b if b else math.inf for v, b in pairs):.2f}×)"
            cells.append(cell)
        lines.append(f"| {measure} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round, 2,000 requests for memory, two starts")
    parser.add_argument("--peers", action="store_true", help="also LiteLLM, Portkey and TensorZero")
    parser.add_argument("--server", action="append", choices=list(servers.ALL), help="only these; repeatable")
    parser.add_argument("--rounds", type=int, help="default: 5, with --quick 1")
    parser.add_argument("--json", type=Path, help="write every round's figures to this file")
    arguments = parser.parse_args()
    names = arguments.server or ["bare", "ghostd", *(("litellm", "portkey", "tensorzero") if arguments.peers else ())]
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ghostd-bench")))
        upstream = stack.enter_context(scripted_upstream())
        load = Load()
        stack.callback(load.close)
        starts: dict[str, list[float]] = {}
        _start_each(names, upstream, folder, {})  # which compiles what is in Python
        for _ in range(2 if arguments.quick else 5):
            _start_each(names, upstream, folder, starts)
        running = [servers.direct(upstream, folder, set()), *_running(names, upstream, folder, stack.callback)]
        stack.callback(running[0].stop)
        bench = Bench(load, upstream, running, 0.7 if arguments.quick else 2.0)
        bench.idle(2 if arguments.quick else 10)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds} …", file=sys.stderr, flush=True)
            bench.one_round()
        bench.hang_ups(2 if arguments.quick else 7)
        bench.memory(2_000 if arguments.quick else 10_000)
        bench.figures["start s"] = starts
    print(table(bench.figures, [server.name for server in running], base="bare aiohttp"))
    print(*bench.failures, sep="\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(bench.figures, indent=1))


def _start_each(names: Sequence[str], upstream: int, folder: Path, starts: dict[str, list[float]]) -> None:
    for name in names:
        server = servers.ALL[name](upstream, folder, _SERVER_CPUS)
        starts.setdefault(server.name, []).append(server.start_s)
        server.stop()


def _running(
    names: Sequence[str], upstream: int, folder: Path, at_end: Callable[[Callable[[], None]], object]
) -> Iterator[Running]:
    for name in names:
        server = servers.ALL[name](upstream, folder, _SERVER_CPUS)
        at_end(server.stop)
        yield server


if __name__ == "__main__":
    main()
