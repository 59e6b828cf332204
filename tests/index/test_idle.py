"""An idle index is one sleeping process that has imported nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from index_harness import following, write

from ghostd.index import supervisor

pytestmark = pytest.mark.e2e

_CHILD = """
import asyncio, sys, threading
from pathlib import Path
from ghostd.config.projects import IndexConfig
from ghostd.index.service import open_index

async def main():
    async with open_index(Path(sys.argv[1]), IndexConfig()) as index:
        assert index.worker_pid is None
        await index.add_root(Path(sys.argv[2]))
        await index.wait_ready(Path(sys.argv[2]))
        assert len(await index.definitions(Path(sys.argv[2]), "one")) == 1
        heavy = {"tree_sitter", "tree_sitter_python", "pathspec", "numpy", "watchfiles", "anyio"}
        print(sorted(heavy & set(sys.modules)))

asyncio.run(main())
"""


def test_the_daemon_never_imports_a_parser(root: Path, store: Path) -> None:
    write(root, {"a.py": "def one(): pass\n", ".gitignore": "*.log\n"})
    command = [sys.executable, "-c", _CHILD, str(store), str(root)]
    child = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    assert child.stdout == "[]\n"


async def test_an_idle_worker_is_ended_and_comes_back_for_the_next_change(
    root: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "IDLE_S", 0.05)
    write(root, {"a.py": "def one(): pass\n"})
    async with following(root, store) as followed:
        for number in range(3):
            await followed.until_true(lambda: followed.index.worker_pid is None)
            write(root, {"a.py": f"def next_{number}(): pass\n"})
            await followed.until_defined(f"next_{number}")
