"""The projects that retrieval is trained and measured on, fetched where they are not there yet."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from zipfile import ZipFile

from completion_corpora import APART, Corpus, fetch
from completion_corpora import CACHE as CORPORA
from platformdirs import user_cache_path
from resolution import crates, npm

PYTHON_TRAINING = (
    *("requests==2.34.2", "httpx==0.28.1", "click==8.5.1", "jinja2==3.1.6", "werkzeug==3.1.9", "tornado==6.6.1"),
    *("pytest==9.2.0", "aiohttp==3.14.5", "trio==0.35.0", "poetry==2.5.1", "pydantic==2.14.4", "fastapi==0.165.0"),
)
NPM_TRAINING = {
    "zod@4.6.7": "src",
    "ox@1.8.3": "src",
    "@tanstack/router-core@1.171.39": "src",
    "@trpc/server@11.25.2": "src",
    "@reduxjs/toolkit@2.15.0": "src",
    "mobx@7.1.3": "src",
    "ethers@6.17.0": "src.ts",
}
"""Package → the folder of its sources."""
RUST_TRAINING = (
    *("futures-util", "gimli", "h2", "hyper", "image", "object", "petgraph", "quinn-proto", "rayon", "rustix"),
    *("rustls", "serde", "trust-dns-proto"),
)
"""Crates of Debian's packages librust-…-dev."""
ZIG_TRAINING = ("compiler", "compiler_rt")
"""Folders of ziglang's lib."""
HELD_OUT = ("django==5.2.19", "scrapy==2.19.0", "sqlalchemy==2.1.9", "celery==5.7.0", "rich==15.0.0")
CACHE = user_cache_path("ghostd-resolution")
LANGUAGES = {
    "python": ("python",),
    "typescript": ("typescript", "typescriptreact"),
    "rust": ("rust",),
    "zig": ("zig",),
}


def package(requirement: str) -> Path:
    """A package of PyPI's."""
    return fetch(Corpus(requirement))


def crate(name: str) -> Path:
    """A crate of Debian's."""
    return next(path for path in sorted(crates(CACHE).iterdir()) if path.name.startswith(f"{name}-"))


def training_crate(name: str) -> Path:
    """A crate to train on, from a Debian package of its own."""
    folder = CACHE / "debian-training" / name
    registry = folder / "x" / "usr" / "share" / "cargo" / "registry"
    if not registry.exists():
        folder.mkdir(parents=True, exist_ok=True)
        wanted = f"librust-{name}-dev"
        subprocess.run(["apt-get", "download", "-q", wanted], cwd=folder, check=True, capture_output=True)
        (archive,) = folder.glob("*.deb")
        subprocess.run(["dpkg", "-x", str(archive), str(folder / "x")], check=True)
    return next(path for path in registry.iterdir() if path.name.startswith(f"{name}-"))


def training_npm(requirement: str) -> Path:
    """The sources of a package of npm's to train on."""
    folder = CACHE / "npm-training"
    name = requirement.rpartition("@")[0]
    if not (folder / "node_modules" / name).exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        options = ["--silent", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--legacy-peer-deps"]
        subprocess.run(["npm", "install", *options, *NPM_TRAINING], cwd=folder, check=True)
    return folder / "node_modules" / name / NPM_TRAINING[requirement]


def zig_lib(name: str) -> Path:
    """A folder of what comes with Zig's compiler."""
    folder = CACHE / "zig-training"
    if not (folder / "ziglang").exists():
        corpus = next(corpus for corpus in APART if corpus.name == "ziglang")
        fetch(corpus)
        (archive,) = (CORPORA / "downloads" / corpus.requirement).iterdir()
        with ZipFile(archive) as wheel:
            inside = tuple(f"ziglang/lib/{one}/" for one in ZIG_TRAINING)
            wheel.extractall(folder, [file for file in wheel.namelist() if file.startswith(inside)])
    return folder / "ziglang" / "lib" / name


TRAINING: dict[str, dict[str, Callable[[], Path]]] = {
    "python": {name: partial(package, name) for name in PYTHON_TRAINING},
    "typescript": {name: partial(training_npm, name) for name in NPM_TRAINING},
    "rust": {name: partial(training_crate, name) for name in RUST_TRAINING},
    "zig": {f"ziglang's {name}": partial(zig_lib, name) for name in ZIG_TRAINING},
}
"""Language → project → its folder, fetched where it is not there."""
GROUPS: dict[str, dict[str, Callable[[], Path]]] = {
    "python": {name: partial(package, name) for name in HELD_OUT},
    "typescript": {
        "effect": lambda: npm(CACHE) / "effect" / "src",
        "rxjs": lambda: npm(CACHE) / "rxjs" / "src",
    },
    "rust": {name: partial(crate, name) for name in ("tokio", "regex-automata", "syn")},
    "zig": {"zig's std": lambda: fetch(next(c for c in APART if c.name == "ziglang")) / "ziglang" / "lib" / "std"},
}
"""The same of what is measured."""
