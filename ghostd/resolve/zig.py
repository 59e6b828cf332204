"""Zig's `@import`: files by relative path, modules by the names that the nearest build.zig gives them.

https://ziglang.org/documentation/master/#import
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ghostd.indexed import Import
from ghostd.resolve.resolution import Resolution
from ghostd.resolve.tree import FileTree, folder_of, folders_above, joined
from ghostd.resolve.zig_build import ZigBuild, read_build, read_dependencies


@dataclass(slots=True)
class ZigResolver:
    """`builds`: path → text of each build.zig and build.zig.zon."""

    tree: FileTree
    builds: Mapping[str, str]
    _read: dict[str, ZigBuild] = field(default_factory=dict)
    """By folder."""

    def resolve(self, path: str, statement: Import) -> Resolution:
        """See LanguageResolver."""
        folder, module = folder_of(path), statement.module
        if "/" in module or module.endswith((".zig", ".zon")) or module.startswith("."):
            return self._relative(folder, module)
        for above in folders_above(folder):
            before = f"{above}/" if above else ""
            if module == "std" and f"{before}std.zig" in self.tree.files and above.rpartition("/")[2] in ("std", ""):
                return Resolution((f"{before}std.zig",), detail="the standard library, of which the file is a part")
            build = self._build(above)
            found = self._named(above, build, module) if build is not None else ""
            if found:
                return Resolution((found,), detail=f"a module of {before}build.zig")
        return Resolution(external=True, detail="no build.zig of the project says which file it is")

    def _relative(self, folder: str, module: str) -> Resolution:
        place = joined(folder, module)
        if place is None:
            return Resolution(detail="leads out of the root")
        if place in self.tree.files:
            return Resolution((place,), detail="relative")
        if module.endswith((".zig", ".zon")):
            return Resolution(detail=f"there is no file {place}")
        return Resolution(external=True, detail="a C header, or a file that is no source")

    def submodule(self, module: str, name: str) -> tuple[str, ...]:
        """There are none: a file is all of a module."""
        return ()

    def _named(self, folder: str, build: ZigBuild, module: str) -> str:
        if module == "root" and module not in build.imports:
            place = joined(folder, build.roots[0]) if len(build.roots) == 1 else None
            return place if place is not None and place in self.tree.files else ""
        if module in build.imports:
            place = joined(folder, build.imports[module])
            return place if place is not None and place in self.tree.files else ""
        if module in build.of_dependencies:
            dependency, name = build.of_dependencies[module]
            zon = self.builds.get(f"{folder}/build.zig.zon" if folder else "build.zig.zon", "")
            relative = read_dependencies(zon).get(dependency)
            place = joined(folder, relative) if relative else None
            other = self._build(place) if place is not None else None
            if place is not None and other is not None and name in other.offered:
                target = joined(place, other.offered[name])
                return target if target is not None and target in self.tree.files else ""
        return ""

    def _build(self, folder: str) -> ZigBuild | None:
        found = self._read.get(folder)
        if found is None:
            text = self.builds.get(f"{folder}/build.zig" if folder else "build.zig")
            if text is None:
                return None
            found = self._read[folder] = read_build(text)
        return found
