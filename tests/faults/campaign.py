"""The fault campaign: every way for an upstream to fail, in front of it a real daemon, behind that a caller that
takes nothing on trust.

Run, with tests/ in PYTHONPATH: python -m faults.campaign [--requests N] [--fault NAME …] [--breaker] [--alone]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop
from faults.caller import Call, ask, judge
from faults.catalogue import BY_NAME
from faults.cells import Cell, Done, Layout
from faults.daemon import FAST, NO_BREAKER, Daemon, running_daemon, write_config
from faults.fault import Fault
from faults.ledger import disagreements
from faults.report import problems, summary, table
from faults.upstreams import Upstream, listening, right

HANG_S = 30.0
"""A caller that has waited so long calls it a hang: twice the time that the daemon gives a request."""
LIMITS = "\n[upstream]\nmax_reply_bytes = 16777216\nmax_events = 20000\n"
"""Configuration that lets endless replies end soon."""
_CONCURRENCY = 2
_PARALLEL = 12


@dataclass(slots=True)
class Stage:
    """A daemon in front of the upstreams of some cells."""

    daemon: Daemon
    cells: Sequence[Cell]
    healthy: Upstream
    first_bytes: int
    """The daemon's memory before the first request."""
    peak_bytes: int


@asynccontextmanager
async def stage(
    home: Path, faults: Sequence[Fault], layouts: Sequence[Layout], routing: Mapping[str, float], more: str = ""
) -> AsyncIterator[Stage]:
    """Run upstreams and a daemon while the block runs; `more` is further configuration."""
    async with AsyncExitStack() as stack:
        healthy = await stack.enter_async_context(listening(Upstream(right)))
        upstreams = {"healthy": healthy}
        routes: dict[str, Sequence[Sequence[str]]] = {}
        cells: list[Cell] = []
        for number, (fault, mode, layout) in enumerate((f, m, o) for f in faults for m in f.modes for o in layouts):
            upstream = await stack.enter_async_context(fault.serve(fault.upstream()))
            cell = Cell(f"faulty{number}", fault, mode, layout, upstream)
            cells.append(cell)
            upstreams[cell.name] = upstream
            routes[cell.route] = {
                "ordered": [[cell.name], ["healthy"]],
                "equal": [[cell.name, "healthy"]],
                "alone": [[cell.name]],
            }[layout]
        config = write_config(upstreams, routes, routing, LIMITS + more)
        daemon = await stack.enter_async_context(running_daemon(home, config))
        memory = daemon.memory_bytes
        yield Stage(daemon, cells, healthy, memory, memory)


async def run(on: Stage, requests: int) -> None:
    """Send so many requests for each fault, over its cells; some cells at a time, the slow ones first."""
    shares = {fault: sum(cell.fault is fault for cell in on.cells) for fault in {cell.fault for cell in on.cells}}
    waiting = iter(sorted(on.cells, key=lambda cell: not cell.fault.slow))

    async def worker() -> None:
        for cell in waiting:
            await _run_cell(on, cell, -(-requests // shares[cell.fault]))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_PARALLEL):
            tasks.create_task(worker())


async def _run_cell(on: Stage, cell: Cell, requests: int) -> None:
    numbers = iter(range(requests))

    async def caller() -> None:
        for number in numbers:
            nonce, stream = f"{cell.name}-{number}", cell.mode == "stream"
            call = Call(cell.route, nonce, stream, with_usage=number % 2 == 0, own_text=cell.fault.own_text)
            answer = await ask(on.daemon.port, call, HANG_S)
            cell.done.append(Done(call, answer, judge(call, answer)))
            on.peak_bytes = max(on.peak_bytes, on.daemon.memory_bytes)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_CONCURRENCY):
            tasks.create_task(caller())


def main() -> None:
    """Run the campaign and print its tables; the exit status says whether all was as wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=120, help="for each fault, over its modes and layouts")
    parser.add_argument("--fault", action="append", choices=list(BY_NAME), help="only this one; repeatable")
    parser.add_argument("--group", action="append", help="only the faults of this group; repeatable")
    parser.add_argument("--breaker", action="store_true", help="with the breaker's usual settings")
    parser.add_argument("--alone", action="store_true", help="with nobody else to ask")
    arguments = parser.parse_args()
    faults = [BY_NAME[name] for name in arguments.fault or BY_NAME]
    faults = [fault for fault in faults if not arguments.group or fault.group in arguments.group]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(_campaign(faults, arguments)))


async def _campaign(faults: Sequence[Fault], arguments: argparse.Namespace) -> int:
    layouts: tuple[Layout, ...] = ("alone",) if arguments.alone else ("ordered", "equal")
    routing = FAST if arguments.breaker else FAST | NO_BREAKER
    with tempfile.TemporaryDirectory(prefix="ghostd-faults") as home:
        async with stage(Path(home), faults, layouts, routing) as on:
            began = time.monotonic()
            await run(on, arguments.requests)
            took_s = time.monotonic() - began
            unwanted = problems(on.cells) + await disagreements(on.daemon, on.cells)
            print(table(on.cells), summary(on.cells), sep="\n\n")
            print(f"\n{len(faults)} faults in {took_s:.0f} s.", end=" ")
            print(f"The daemon's memory: {on.first_bytes / 1e6:.0f} MB before, {on.peak_bytes / 1e6:.0f} MB at most.")
            print(*unwanted, sep="\n")
            return 1 if unwanted else 0


if __name__ == "__main__":
    main()
