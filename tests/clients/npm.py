"""Programs from npm for the tests: exact versions, installed once into a cache folder outside of the repository."""

from __future__ import annotations

import asyncio
import fcntl
import os
import platform
import pwd
import shutil
from pathlib import Path

import pytest

_INSTALL_S = 300


def cache_folder() -> Path:
    """Where test programs are kept between runs: `GHOSTD_TEST_CACHE`, else below the user's cache folder."""
    given = os.environ.get("GHOSTD_TEST_CACHE")
    folder = Path(given) if given else Path(pwd.getpwuid(os.getuid()).pw_dir) / ".cache" / "ghostd-tests"
    folder.mkdir(parents=True, exist_ok=True)  # not below HOME, which is a test's own here
    return folder


async def installed(*packages: str) -> Path:
    """The `node_modules` folder that holds these packages ("name@version") alone. Scripts of packages are not run."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    name = "+".join(packages).replace("/", "_").replace("@", "_")
    folder = cache_folder() / f"{name}-{platform.machine()}"
    with await asyncio.to_thread(_locked, folder.with_suffix(".lock")):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            options = ("--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--prefix", str(folder))
            process = await asyncio.create_subprocess_exec(
                npm,
                "install",
                *options,
                *packages,
                cwd=folder,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(_INSTALL_S):
                _, said = await process.communicate()
            assert process.returncode == 0, said.decode(errors="replace")[-2000:]
            (folder / "complete").touch()
    return folder / "node_modules"


class _Lock:
    def __init__(self, path: Path) -> None:
        self._file = path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _locked(path: Path) -> _Lock:
    return _Lock(path)
