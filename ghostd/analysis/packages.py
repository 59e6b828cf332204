"""A root's manifests, and where its programs begin."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping, Sequence
from pathlib import Path, PurePosixPath

from ghostd.analysis.manifests.manifest import MAX_BYTES, Manifest, ManifestProblem
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
        return reader(data)
    except ManifestProblem as problem:
        return str(problem)


def package_reports(manifests: Mapping[str, Manifest]) -> list[PackageReport]:
    """What is told of the manifests: of those that name a package, or that need something."""
    found = []
    for path, manifest in manifests.items():
        around = _workspace(path, manifests) if manifest.ecosystem == "rust" else None
        if not (manifest.name or manifest.dependencies or manifest.members):
            continue
        wanted = []
        for one in manifest.dependencies:
            shared = around.shared.get(one.name) if around is not None and one.inherited else None
            wanted.append(PackageDependency(one.name, shared.wanted if shared is not None else one.wanted, one.group))
        version = manifest.version
        if manifest.inherits_version and around is not None:
            version = around.shared_version
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


def _workspace(path: str, manifests: Mapping[str, Manifest]) -> Manifest | None:
    """The nearest Cargo.toml around that has something to inherit."""
    folder = PurePosixPath(path).parent
    for around in (folder, *folder.parents):
        manifest = manifests.get(str(around / "Cargo.toml"))
        if manifest is not None and (manifest.shared or manifest.shared_version or manifest.members):
            return manifest
    return None


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
    covered = {point.path for point in found.values()} | {point.target for point in found.values()}
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
