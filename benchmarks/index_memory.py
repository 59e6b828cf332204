"""Memory of a daemon on django: once indexed and learned, and after it has been used.

Run: python benchmarks/index_memory.py [--requests N] [--new]

A real daemon with django 5.2.19 (as installed) as its root, asked over HTTP for what completions quote
(`/v1/ghostd/context`), for completions by `ghostd/project`, for symbols and for the project's analysis. RSS is the
daemon's resident memory, of which "anonymous" is its own, "mapped" pages of the index's and the model's files, which
the kernel may take back, and the rest programs and libraries; PSS counts shared pages once. Megabytes of 10^6 bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from completion_corpora import REPORTED, fetch, files_of

from ghostd.local.client import Client
from ghostd.local.paths import find_paths

MODEL = "ghostd/project"
MAPPED = re.compile(r"\.segment$|\.chunks-\d+$|\.sqlite3(-shm)?$")
SYMBOLS = ("get", "query", "form", "HttpResponse", "setUp", "compiler", "migrate", "as_sql", "render", "Field")


def memory_of(pid: int) -> str:
    """One process's cells of the table."""
    process = psutil.Process(pid)
    full = process.memory_full_info()
    anonymous = mapped = 0
    for part in process.memory_maps():
        anonymous += part.anonymous
        if MAPPED.search(part.path):
            mapped += part.rss - part.anonymous
    return f"{full.rss / 1e6:.0f} | {full.pss / 1e6:.0f} | {anonymous / 1e6:.0f} | {mapped / 1e6:.0f}"


def show(what: str, pid: int) -> None:
    """The daemon's row, and one for each child."""
    print(f"| {what} | daemon | {memory_of(pid)} |")
    for child in psutil.Process(pid).children(recursive=True):
        command = " ".join(child.cmdline())
        found = re.search(r"ghostd\.[\w.]+", command)
        print(f"| | {found[0] if found else command[:40]} | {memory_of(child.pid)} |", flush=True)


def ask(port: int, path: str, body: dict[str, Any] | None = None) -> float:
    """Wall milliseconds of one request."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    started = time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
    return (time.perf_counter() - started) * 1000


def places(root: Path, files: Sequence[str], count: int) -> list[tuple[Path, int]]:
    """So many lines, drawn from files of all sizes; seeded."""
    draw = random.Random(7)
    found: list[tuple[Path, int]] = []
    while len(found) < count:
        path = root / draw.choice(files)
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > 20:
            found.append((path, draw.randrange(1, lines)))
    return found


def use(port: int, pid: int, root: Path, files: Sequence[str], count: int) -> None:
    """Ask for everything, and print what it leaves behind."""
    drawn = places(root, files, count)
    for path, line in drawn:
        ask(port, "/v1/ghostd/context", {"root": str(root), "path": str(path), "line": line})
    show(f"after {count} contexts", pid)
    for path, line in drawn:
        lines = path.read_text(encoding="utf-8").split("\n")
        half = len(lines[line - 1]) // 2
        prefix = "\n".join([*lines[: line - 1], lines[line - 1][:half]])
        suffix = "\n".join([lines[line - 1][half:], *lines[line:]])
        body = {"model": MODEL, "prompt": prefix, "suffix": suffix, "file_path": str(path), "max_tokens": 64}
        ask(port, "/v1/completions", body)
    show(f"after {count} completions", pid)
    for name in SYMBOLS:
        ask(port, f"/v1/ghostd/symbols?query={name}")
    show(f"after {len(SYMBOLS)} searches for symbols", pid)
    ask(port, f"/v1/ghostd/project?root={root}")
    show("after the project's analysis", pid)
    time.sleep(15)
    show("15 s later", pid)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=50, help="of each kind (default: 50)")
    parser.add_argument("--new", action="store_true", help="only the daemon that indexes anew, not the one after it")
    arguments = parser.parse_args()
    corpus = REPORTED[0]
    root = fetch(corpus)
    files = files_of(corpus, root)
    print("| when | process | RSS MB | PSS MB | anonymous | mapped |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as home:
        for label in ("indexed and learned",) if arguments.new else ("indexed and learned", "started again"):
            process = subprocess.Popen(
                [sys.executable, "-m", "ghostd", "run", "--port=0", "--root", str(root)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "GHOSTD_HOME": home},
            )
            try:
                assert process.stdout
                port = next(int(m[1]) for line in process.stdout if (m := re.search(r"127\.0\.0\.1:(\d+)", line)))
                Client(find_paths({"GHOSTD_HOME": home})).wait_root(root, timeout_s=300)
                time.sleep(5)  # for what did the indexing to end
                show(label, process.pid)
                use(port, process.pid, root, files, arguments.requests)
            finally:
                process.terminate()
                process.wait(30)


if __name__ == "__main__":
    main()
