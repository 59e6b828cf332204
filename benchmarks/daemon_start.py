"""Start to ready, idle memory and idle CPU of the daemon, against a bare aiohttp server that only answers /health.

Run: python benchmarks/daemon_start.py [--runs N] [--idle SECONDS]
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import psutil

FLOOR = """
import asyncio, uvloop
from aiohttp import web
async def main():
    app = web.Application()
    app.router.add_get("/health", lambda r: web.json_response({"status": "ok"}))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print("ready", flush=True)
    await asyncio.Event().wait()
uvloop.run(main())
"""


def start(command: list[str], environment: dict[str, str]) -> tuple[subprocess.Popen[str], float]:
    """Start a server; seconds until it printed a line with "ready"."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    for line in process.stdout:
        if re.search("ready", line):
            break
    return process, time.perf_counter() - began


def idle(process: subprocess.Popen[str], seconds: float) -> tuple[float, float]:
    """Resident MiB and CPU seconds of the process and its children over an idle time, after it settled."""
    time.sleep(3)
    whole = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    before = sum(sum(p.cpu_times()[:2]) for p in whole)
    time.sleep(seconds)
    return sum(p.memory_info().rss for p in whole) / 2**20, sum(sum(p.cpu_times()[:2]) for p in whole) - before


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--idle", type=float, default=30.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        # As an installed package has it; the first start, which makes it, is not counted.
        bytecode = {"PYTHONPYCACHEPREFIX": f"{home}/bytecode", "PYTHONDONTWRITEBYTECODE": ""}
        environment = {**os.environ, "GHOSTD_HOME": home, **bytecode}
        commands = {
            "bare aiohttp": [sys.executable, "-c", FLOOR],
            "ghostd": [sys.executable, "-m", "ghostd", "run", "--port=0"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        figures: dict[str, tuple[float, float]] = {}
        for run in range(arguments.runs + 1):
            for name, command in commands.items():
                process, took = start(command, environment)
                if run:
                    seconds[name].append(took)
                if run == arguments.runs:
                    figures[name] = idle(process, arguments.idle)
                process.terminate()
                process.wait(30)
    print(f"| | start to ready, median s | idle RSS, MiB | CPU s in {arguments.idle:.0f} s idle |\n|---|---|---|---|")
    for name in commands:
        print(f"| {name} | {statistics.median(seconds[name]):.2f} | {figures[name][0]:.0f} | {figures[name][1]:.2f} |")
    ratio = statistics.median(seconds["ghostd"]) / statistics.median(seconds["bare aiohttp"])
    print(f"\nratio to bare aiohttp: start {ratio:.2f}, memory {figures['ghostd'][0] / figures['bare aiohttp'][0]:.2f}")


if __name__ == "__main__":
    main()
