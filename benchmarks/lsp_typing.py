"""CPU time of a key in an open document, with all that hears of it: index, git history, project model, context.

Run: python benchmarks/lsp_typing.py [--keys N] [--completions]

A real daemon whose root is a copy of ghostd's own package, and one document of so many bytes, typed in at ten keys a
second through the daemon's LSP socket. CPU is user plus system time of the daemon and of its child processes,
over the number of keys; of the parse worker also that of the processes it starts. With --completions each key asks for
an inline completion, too.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from lsp_overhead import Editor, dial

import ghostd
from ghostd.local.client import Client
from ghostd.local.paths import find_paths

SIZES = (5_000, 50_000, 370_000)
GAP_S = 0.1
TYPED = "result = self.get_queryset(request) + value "


def cpu_of(pid: int) -> tuple[float, float]:
    """CPU seconds of the daemon, and of its children."""
    process = psutil.Process(pid)
    own = process.cpu_times()
    children = (child.cpu_times() for child in process.children())
    return own.user + own.system, sum(c.user + c.system + c.children_user + c.children_system for c in children)


def measure(size_bytes: int, keys: int, completions: bool) -> tuple[float, float]:
    """CPU milliseconds of a key: in the daemon, and in its children."""
    sources = sorted(Path(ghostd.__file__).parent.rglob("*.py"))
    with tempfile.TemporaryDirectory() as folder:
        root, home = Path(folder) / "root", Path(folder) / "home"
        shutil.copytree(Path(ghostd.__file__).parent, root / "ghostd")
        text = "".join(path.read_text(encoding="utf-8") for path in sources)[:size_bytes]
        document = root / "module.py"
        document.write_text(text, encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "ghostd", "run", "--port=0", "--root", str(root)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "GHOSTD_HOME": str(home)},
        )
        try:
            assert process.stdout
            next(line for line in process.stdout if re.search(r"127\.0\.0\.1:\d+", line))
            paths = find_paths({"GHOSTD_HOME": str(home)})
            Client(paths).wait_root(root, timeout_s=300)
            source, sink, connection = dial(paths.lsp_socket)
            with connection:
                return type_into(Editor(source, sink), document, text, keys, completions, process.pid)
        finally:
            process.terminate()
            process.wait(30)


def type_into(editor: Editor, document: Path, text: str, keys: int, completions: bool, pid: int) -> tuple[float, float]:
    """Open the document, and type in its middle."""
    folders = [{"uri": document.parent.as_uri(), "name": "root"}]
    capabilities: dict[str, object] = {"textDocument": {"inlineCompletion": {}}}
    editor.request("initialize", {"processId": None, "capabilities": capabilities, "workspaceFolders": folders})
    editor.notify("initialized", {})
    uri = document.as_uri()
    opened = {"uri": uri, "languageId": "python", "version": 1, "text": text}
    editor.notify("textDocument/didOpen", {"textDocument": opened})
    lines = text.split("\n")
    line = len(lines) // 2
    column = len(lines[line].encode("utf-16-le")) // 2
    time.sleep(3)  # for what the opening has begun to end
    before = cpu_of(pid)
    for key in range(keys):
        here = {"line": line, "character": column + key}
        change = {"range": {"start": here, "end": here}, "text": TYPED[key % len(TYPED)]}
        changed = {"textDocument": {"uri": uri, "version": key + 2}, "contentChanges": [change]}
        editor.notify("textDocument/didChange", changed)
        if completions:
            position = {"line": line, "character": column + key + 1}
            asked = {"textDocument": {"uri": uri}, "position": position, "context": {"triggerKind": 2}}
            editor.request("textDocument/inlineCompletion", asked)
        time.sleep(GAP_S)
    after = cpu_of(pid)
    own, children = (1000 * (then - now) / keys for now, then in zip(before, after, strict=True))
    return own, children


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--completions", action="store_true", help="ask for a completion at each key")
    arguments = parser.parse_args()
    print("| document | CPU ms a key: daemon | its children |\n|---|---|---|")
    for size in SIZES:
        own, children = measure(size, arguments.keys, arguments.completions)
        print(f"| {size // 1000} kB | {own:.2f} | {children:.1f} |", flush=True)


if __name__ == "__main__":
    main()
