"""Cargo.toml: which crates there are, where their roots lie, and what they call each other.

https://doc.rust-lang.org/cargo/reference/cargo-targets.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ghostd.resolve.manifests import Table, inside, table, text
from ghostd.resolve.tree import FileTree, folder_of, joined

_TABLES = ("dependencies", "dev-dependencies", "build-dependencies", "dev_dependencies", "build_dependencies")
_FOLDERS = (("src/bin", "main.rs"), ("tests", "main.rs"), ("benches", "main.rs"), ("examples", "main.rs"))
_MAX_TARGETS = 2000


@dataclass(frozen=True, slots=True)
class Package:
    """One package: its library, and all its crates' root files."""

    folder: str
    name: str
    library: str
    """The library's root file; ""."""
    crate: str
    """What the library is called in code."""
    roots: tuple[str, ...]
    edition: str
    dependencies: Mapping[str, str] = field(default_factory=dict)
    """Name in code → folder of the package, or "", where only its name is known."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Name in code → name of the package, where that is another."""


def read_package(path: str, manifests: Mapping[str, Table], tree: FileTree) -> Package | None:
    """The package of a Cargo.toml; None where it is only a workspace."""
    manifest = manifests[path]
    folder = folder_of(path)
    about = inside(manifest, "package")
    name = text(about.get("name"))
    if not name:
        return None
    library_table = inside(manifest, "lib")
    library = joined(folder, text(library_table.get("path")) or "src/lib.rs") or ""
    library = library if library in tree.files else ""
    workspace = _workspace(folder, manifests)
    edition = text(about.get("edition")) or ("2015" if "edition" not in about else "2021")
    dependencies: dict[str, str] = {}
    renamed: dict[str, str] = {}
    groups = [manifest, *(table(target) for target in inside(manifest, "target").values())]
    for group in groups:
        for key in _TABLES:
            for own, value in inside(group, key).items():
                called = own.replace("-", "_")
                base, given = folder, table(value)
                if given.get("workspace") is True:
                    shared = inside(manifests.get(workspace, {}), "workspace", "dependencies").get(own)
                    base, given = folder_of(workspace), table(shared)
                place = text(given.get("path"))
                dependencies[called] = (joined(base, place) or "") if place else ""
                if package := text(given.get("package")):
                    renamed[called] = package
    crate = (text(library_table.get("name")) or name).replace("-", "_")
    return Package(
        folder, name, library, crate, _roots(folder, manifest, library, tree), edition, dependencies, renamed
    )


def _workspace(folder: str, manifests: Mapping[str, Table]) -> str:
    """The nearest Cargo.toml that has a workspace; ""."""
    while True:
        path = f"{folder}/Cargo.toml" if folder else "Cargo.toml"
        if "workspace" in manifests.get(path, {}):
            return path
        if not folder:
            return ""
        folder = folder_of(folder)


def _roots(folder: str, manifest: Table, library: str, tree: FileTree) -> tuple[str, ...]:
    """The root file of every target: library, programs, tests, benchmarks, examples, build script."""
    before = f"{folder}/" if folder else ""
    found = [library, f"{before}src/lib.rs", f"{before}src/main.rs"]
    found.append(joined(folder, text(inside(manifest, "package").get("build"))) or f"{before}build.rs")
    for key in ("bin", "test", "bench", "example"):
        targets = manifest.get(key)
        for target in targets if isinstance(targets, list) else ():
            found.append(joined(folder, text(table(target).get("path"))) or "")
    for place, main in _FOLDERS:
        start = f"{before}{place}/"
        for path in tree.below(start[:-1]):
            rest = path[len(start) :] if path.endswith(".rs") else ""
            if rest and ("/" not in rest or (rest.count("/") == 1 and rest.endswith(f"/{main}"))):
                found.append(path)
    return tuple(dict.fromkeys(path for path in found if path in tree.files))[:_MAX_TARGETS]
