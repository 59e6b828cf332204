"""Other people's programs, installed once into a cache folder outside of the checkout, and run."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from clients.npm import cache_folder

CACHE = cache_folder()
_INSTALL_S = 600


def python_with(name: str, *requirements: str) -> Path:
    """The interpreter of a virtual environment that has exactly these, e.g. "llm==0.36", and what they need."""
    folder = CACHE / "python" / name
    with _Lock(folder):
        if not _made_of(folder, requirements):
            shutil.rmtree(folder, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(folder)])
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            _run([*pip, *requirements])
            _note(folder, requirements)
    return folder / "bin" / "python"


def python_without(name: str, requirement: str, *left_out: str) -> Path:
    """The interpreter of a virtual environment that has this, e.g. "open-webui==0.12.4", and what it needs, but for
    those distributions that it can do without and that are large.
    """
    folder = CACHE / "python" / name
    parts = (requirement, *(f"without {other}" for other in left_out))
    with _Lock(folder):
        if not _made_of(folder, parts):
            shutil.rmtree(folder, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(folder)])
            python = str(folder / "bin" / "python")
            pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            _run([*pip, "--no-deps", requirement])
            distribution = requirement.partition("==")[0]
            listed = f"import importlib.metadata as m; print(*m.requires({distribution!r}), sep='\\n')"
            found = subprocess.run([python, "-c", listed], capture_output=True, text=True, check=True).stdout
            needed = [line for line in found.splitlines() if "extra ==" not in line]
            _run([*pip, *(line for line in needed if re.split(r"[^\w.-]", line)[0].lower() not in left_out)])
            _note(folder, parts)
    return folder / "bin" / "python"


def node_with(name: str, *packages: str) -> Path:
    """A folder whose `node_modules` has exactly these packages, e.g. "llmprobe@0.6.12"."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = CACHE / "node" / name
    with _Lock(folder):
        if not _made_of(folder, packages):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "package.json").write_text('{"private": true}')
            npm = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent", "--ignore-scripts"]
            _run([*npm, *packages], folder)
            _note(folder, packages)
    return folder


async def run(
    *command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None, timeout_s: float = 240
) -> str:
    """What a program prints; AssertionError with all of it when it fails or takes too long."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
        cwd=cwd,
    )
    try:
        async with asyncio.timeout(timeout_s):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = printed.decode("utf-8", "replace")
    assert process.returncode == 0, f"{command[0]} ended with {process.returncode}:\n{text[-8000:]}"
    return text


class _Lock:
    """One process at a time works on a folder."""

    def __init__(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._file = (folder.parent / f"{folder.name}.lock").open("w")

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _made_of(folder: Path, parts: tuple[str, ...]) -> bool:
    note = folder / "made-of"
    return note.exists() and note.read_text() == "\n".join(parts)


def _note(folder: Path, parts: tuple[str, ...]) -> None:
    (folder / "made-of").write_text("\n".join(parts))


def _run(command: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_INSTALL_S)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
