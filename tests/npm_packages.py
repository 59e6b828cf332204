"""Programs and libraries from npm, pinned, installed once into a cache outside of the repository."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

CACHE = Path(tempfile.gettempdir()) / f"ghostd-tests-{os.getuid()}"


def npm_package(name: str, version: str) -> Path:
    """The folder `node_modules` with this package; one process at a time installs it. No script of a package is run."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = CACHE / f"{name.replace('/', '-').lstrip('@')}-{version}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "done"
        if not done.exists():
            own_home = pwd.getpwuid(os.getuid()).pw_dir  # whose configuration names the registry
            quiet = ("--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
            subprocess.run(
                [npm, "install", *quiet, "--prefix", str(folder), f"{name}@{version}"],
                check=True,
                env={**os.environ, "HOME": own_home},
                cwd=folder,
                stdin=subprocess.DEVNULL,
            )
            done.touch()
    return folder / "node_modules"
