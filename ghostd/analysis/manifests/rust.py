"""Cargo.toml. https://doc.rust-lang.org/cargo/reference/manifest.html"""

from __future__ import annotations

from collections.abc import Iterator

from ghostd.analysis.manifests.manifest import (
    Dependency,
    EntryPoint,
    Manifest,
    clean,
    dependencies,
    entry_points,
    toml_of,
)
from ghostd.resolve.manifests import Table, inside, table, text, texts

_GROUPS = {
    "dependencies": "",
    "dev-dependencies": "dev",
    "dev_dependencies": "dev",
    "build-dependencies": "build",
    "build_dependencies": "build",
}


def read_cargo(data: bytes) -> Manifest:
    """A package, a workspace, or both."""
    whole = toml_of(data)
    package, workspace = inside(whole, "package"), inside(whole, "workspace")
    found: list[Dependency] = []
    for part in (whole, *(table(target) for target in inside(whole, "target").values())):
        for key, group in _GROUPS.items():
            found += _wanted(inside(part, key), group)
    name = text(package.get("name"))
    points: list[EntryPoint] = []
    programs = whole.get("bin")
    for program in programs if isinstance(programs, list) else ():
        points.append(EntryPoint("program", text(table(program).get("name")) or name, text(table(program).get("path"))))
    if "lib" in whole:
        library = inside(whole, "lib")
        points.append(
            EntryPoint("library", text(library.get("name")) or name, text(library.get("path")) or "src/lib.rs")
        )
    shared = dependencies(_wanted(inside(workspace, "dependencies"), ""))
    return Manifest(
        "rust",
        clean(name),
        clean(text(package.get("version"))),
        clean(text(package.get("description"))),
        dependencies(found),
        entry_points(points),
        texts(workspace.get("members"))[:200],
        {one.name: (one,) for one in shared},
        clean(text(inside(workspace, "package").get("version"))),
        table(package.get("version")).get("workspace") is True,
    )


def _wanted(of: Table, group: str) -> Iterator[Dependency]:
    for name, value in of.items():
        given = table(value)
        place = next((f"{key}: {text(given[key])}" for key in ("path", "git") if text(given.get(key))), "")
        wanted = text(value) or text(given.get("version")) or place
        yield Dependency(text(given.get("package")) or name, wanted, group, given.get("workspace") is True)
