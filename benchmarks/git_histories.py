"""Git histories of other projects to measure on: packs that Debian's fixtures of go-git carry, made into repositories.

The package is fetched with apt-get and unpacked below a cache folder outside the repository; git itself indexes the
packs. Each repository is bare, with the head that the project had when its pack was made.
"""

from __future__ import annotations

import base64
import gzip
import os
import re
import subprocess
from pathlib import Path

PACKAGE = "golang-github-go-git-go-git-fixtures-dev"
"""Measured with 4.2.2-2."""
PROJECTS = {
    "spinnaker": ("f2e0a8889a746f7600e07d2246a2e29a72f696be", "06ce06d0fc49646c4de733c45b7788aabad98a6f"),
    "go-git": ("3559b3b47e695b33b0913237a4df3357e739831c", "e8788ad9165781196e917292d6055cba1d78664e"),
    "desk": ("4ec6344877f494690fc800aceaf2ca0e86786acb", "d2313db6e7ca7bac79b819d767b2a1449abb0a5d"),
    "rumprun-xen": ("7861f2632868833a35fe5e4ab94f99638ec5129b", ""),
    "gem-builder": ("1ea0b3971fd64fdcdf3282bfb58e8cf10095e4e6", ""),
    "skeetr": ("36ef7a2296bfd526020340d27c5e1faa805d8d38", ""),
    "LiteMock": ("0d9b6cfc261785837939aaede5986d7a7c212518", ""),
    "storable": ("0d3d824fb5c930e7e7e1f0f399f2976847d31fd3", ""),
    "ts3": ("21b33a26eb7ffbd35261149fe5d886b9debab7cb", ""),
    "Final_Pres_P": ("29f304662fd64f102d94722cf5bd8802d9a9472c", "70bade703ce556c2c7391a8065c45c943e8b6bc3"),
}
"""Project → (its pack, its head; "" for the commit that the most others lead to)."""
_FILE = re.compile(rb'"/data/pack-([0-9a-f]{40})\.pack": \{.*?compressed: `\s*(.*?)\s*`', re.DOTALL)


def cache_folder() -> Path:
    """Where they lie."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ghostd-histories"


def histories() -> dict[str, Path]:
    """Project → bare repository; made where it is not there yet."""
    folder = cache_folder()
    missing = [name for name in PROJECTS if not (folder / f"{name}.git" / "HEAD").exists()]
    if missing:
        packs = _packs(folder)
        for name in missing:
            _make(folder / f"{name}.git", packs[PROJECTS[name][0]], PROJECTS[name][1])
    return {name: folder / f"{name}.git" for name in PROJECTS}


def _packs(folder: Path) -> dict[str, bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob(f"{PACKAGE}_*.deb")):
        subprocess.run(["apt-get", "-q", "download", PACKAGE], cwd=folder, check=True)
    (archive,) = folder.glob(f"{PACKAGE}_*.deb")
    unpacked = folder / "unpacked"
    subprocess.run(["dpkg", "-x", archive, unpacked], check=True)
    (data,) = unpacked.glob("usr/share/gocode/src/*/go-git/go-git-fixtures/data.go")
    found = {}
    for match in _FILE.finditer(data.read_bytes()):
        found[match[1].decode()] = gzip.decompress(base64.b64decode(match[2]))
    return found


def _make(repository: Path, pack: bytes, head: str) -> None:
    begun = repository.with_suffix(".part")
    subprocess.run(["git", "init", "-q", "--bare", begun], check=True)
    subprocess.run(["git", "index-pack", "--stdin"], cwd=begun, input=pack, check=True, capture_output=True)
    git = ["git", "-C", str(begun)]
    if not head:
        listed = _told([*git, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)"])
        commits = [line.split()[1] for line in listed.splitlines() if line.startswith("commit ")]
        parents = set(_told([*git, "log", "--no-walk", "--stdin", "--format=%P"], "\n".join(commits)).split())
        head = max((one for one in commits if one not in parents), key=lambda one: (_count(git, one), one))
    subprocess.run([*git, "update-ref", "HEAD", head], check=True)
    begun.rename(repository)


def _count(git: list[str], commit: str) -> int:
    return int(_told([*git, "rev-list", "--count", commit]))


def _told(command: list[str], given: str = "") -> str:
    return subprocess.run(command, input=given, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    for name, repository in histories().items():
        print(name, _count(["git", "-C", str(repository)], "HEAD"))
