"""A root's manifests, and where its programs begin."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ghostd.analysis.manifests.dotnet import named_by_file
from ghostd.analysis.manifests.manifest import (
    MAX_BYTES,
    MAX_DEPENDENCIES,
    Dependency,
    Manifest,
    ManifestProblem,
    dependencies,
)
from ghostd.analysis.manifests.read import reader_of
from ghostd.analysis.tests_found import is_test
from ghostd.code_ports import Index
from ghostd.indexed import IndexedFile, Symbol
from ghostd.project_reports import EntryPointReport, ManifestProblemReport, PackageDependency, PackageReport

MAX_MANIFESTS = 500
"""Of a root; the ones nearest to it."""
_MAX_TOTAL_BYTES = 16 * 1024 * 1024
_MAX_ENTRY_POINTS = 300
_MAX_MAINS = 500
_MAIN_LANGUAGES = frozenset(("go", "c", "cpp", "java", "csharp", "rust", "zig"))
_TAKEN = frozenset(("node_modules", "vendor", "third_party", "testdata", "fixtures"))


async def read_manifests(
    index: Index, root: Path, files: Sequence[IndexedFile]
) -> tuple[dict[str, Manifest], list[ManifestProblemReport]]:
    """Path → manifest, the nearest to the root first, and those that could not be read."""
    wanted = await asyncio.to_thread(_manifests, files)
    found: dict[str, Manifest] = {}
    problems: list[ManifestProblemReport] = []
    left = _MAX_TOTAL_BYTES
    for number, file in enumerate(wanted):
        path = str(file.path)
        if number == MAX_MANIFESTS or left <= 0:
            reason = f"it is one of {len(wanted) - number} behind the limit of {MAX_MANIFESTS} manifests"
            problems.append(ManifestProblemReport(path, reason))
            break
        if file.size_bytes > MAX_BYTES:
            problems.append(ManifestProblemReport(path, f"it is larger than {MAX_BYTES // 1024} KiB"))
            continue
        data = await index.text(root, file.path)
        if data is None:
            continue
        left -= len(data)
        read = await asyncio.to_thread(_read, path, data)
        if isinstance(read, Manifest):
            found[path] = read
        else:
            problems.append(ManifestProblemReport(path, read))
    return found, problems


def _manifests(files: Sequence[IndexedFile]) -> list[IndexedFile]:
    wanted = [file for file in files if reader_of(str(file.path)) is not None and _TAKEN.isdisjoint(file.path.parts)]
    wanted.sort(key=lambda file: (len(file.path.parts), str(file.path)))
    return wanted


def _read(path: str, data: bytes) -> Manifest | str:
    reader = reader_of(path)
    assert reader is not None
    try:
        found = reader(data)
    except ManifestProblem as problem:
        return str(problem)
    return named_by_file(found, PurePosixPath(path).stem) if path.endswith("proj") else found


def package_reports(manifests: Mapping[str, Manifest]) -> list[PackageReport]:
    """What is told of the manifests: of those that name a package, or that need something."""
    found = []
    for path, manifest in manifests.items():
        if not (manifest.name or manifest.dependencies or manifest.members):
            continue
        around = _around(path, manifest, manifests)
        wanted = [PackageDependency(one.name, one.wanted, one.group) for one in _filled(manifest, around)]
        version = manifest.version
        if manifest.inherits_version:
            version = next((each.shared_version for each in around if each.shared_version), "")
        found.append(
            PackageReport(
                path,
                manifest.ecosystem,
                manifest.name,
                version,
                manifest.description,
                wanted,
                list(manifest.members),
            )
        )
    return found


def _filled(manifest: Manifest, around: Sequence[Manifest]) -> Sequence[Dependency]:
    """The dependencies, with what is inherited; a name may stand for several."""
    found: list[Dependency] = []
    for one in manifest.dependencies:
        shared = next((each.shared[one.name] for each in around if one.name in each.shared), ())
        found += [replace(of, group=one.group or of.group) for of in shared if one.inherited] or [one]
        if len(found) >= MAX_DEPENDENCIES:
            break
    return dependencies(found)


_SHARED_IN: Mapping[str, Sequence[str]] = {
    "rust": ("Cargo.toml",),
    "java": ("pom.xml", "gradle/libs.versions.toml"),
    "dotnet": ("Directory.Packages.props",),
}
"""Ecosystem → where a folder says what manifests in it, and in folders below, inherit."""


def _around(path: str, manifest: Manifest, manifests: Mapping[str, Manifest]) -> list[Manifest]:
    """The manifests that this one may inherit from, the nearest first."""
    names = _SHARED_IN.get(manifest.ecosystem, ())
    folders = PurePosixPath(path).parents if names else ()
    found = (manifests.get(str(folder / name)) for folder in folders for name in names)
    return [each for each in found if each is not None and (each.shared or each.shared_version)]


async def entry_points(
    index: Index, root: Path, files: Sequence[IndexedFile], manifests: Mapping[str, Manifest]
) -> list[EntryPointReport]:
    """What manifests say, and files that are programs by their name or by defining `main`; tests' are left out."""
    mains = await index.definitions(root, "main", _MAX_MAINS)
    return await asyncio.to_thread(_entry_points, files, manifests, mains)


def _entry_points(
    files: Sequence[IndexedFile], manifests: Mapping[str, Manifest], mains: Sequence[Symbol]
) -> list[EntryPointReport]:
    found: dict[tuple[str, str, str], EntryPointReport] = {}
    for path, manifest in manifests.items():
        for point in manifest.entry_points:
            found.setdefault(
                (point.kind, point.name, path), EntryPointReport(point.kind, point.name, point.target, path)
            )
    languages = {str(file.path): file.language for file in files}
    for path in languages:
        folder, _, name = path.rpartition("/")
        if name == "__main__.py" and not is_test(path):
            found["main", path, path] = EntryPointReport("main", f"python -m {_module(folder, languages)}", path, path)
        elif name == "manage.py" and f"{folder}/__init__.py".lstrip("/") not in languages and not is_test(path):
            found["main", path, path] = EntryPointReport("main", path, path, path)
        elif path.endswith("src/main.rs") or (folder.endswith("src/bin") and name.endswith(".rs")):
            crate = folder.removesuffix("/src/bin").removesuffix("/src")
            owner = manifests.get(f"{crate}/Cargo.toml" if crate not in ("src", "src/bin") else "Cargo.toml")
            called = name.removesuffix(".rs") if name != "main.rs" else owner.name if owner is not None else crate
            found["program", path, path] = EntryPointReport("program", called or path, path, path)
    covered = {point.path for point in found.values()}
    covered |= {posixpath.normpath(posixpath.join(posixpath.dirname(p.path), p.target)) for p in found.values()}
    for symbol in mains:
        path = str(symbol.path)
        main_like = languages.get(path, "") in _MAIN_LANGUAGES and symbol.kind in ("function", "method")
        top = not symbol.container or languages.get(path) in ("java", "csharp")
        if main_like and top and not is_test(path) and path not in covered and path.rpartition("/")[2] != "build.rs":
            named = symbol.container or path.rpartition("/")[0] or path
            found.setdefault(("program", path, path), EntryPointReport("program", named, path, path))
    order = {"program": 0, "main": 1, "script": 2, "image": 3, "library": 4, "task": 5}
    listed = sorted(found.values(), key=lambda p: (order[p.kind], p.path.count("/"), p.path))
    return listed[:_MAX_ENTRY_POINTS]


def _module(folder: str, files: Container[str]) -> str:
    """What Python calls the package in this folder: the folders around it count as long as they are packages."""
    parts = folder.split("/") if folder else []
    start = max(0, len(parts) - 1)
    while start > 0 and "/".join((*parts[:start], "__init__.py")) in files:
        start -= 1
    return ".".join(parts[start:]) or "."
