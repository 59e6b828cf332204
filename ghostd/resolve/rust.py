"""Rust's modules and `use` paths: https://doc.rust-lang.org/reference/items/modules.html, …/use-declarations.html.

The tree of a crate's modules follows its `mod` items. A module that a macro declares is looked for where it would lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ghostd.indexed import Import
from ghostd.resolve.cargo import Package, read_package
from ghostd.resolve.manifests import Table
from ghostd.resolve.resolution import EXTERNAL, Resolution
from ghostd.resolve.tree import FileTree, folder_of, folders_above, joined

_STANDARD = frozenset(("std", "core", "alloc", "proc_macro", "test"))
_MAX_MODULES = 200_000
_MAX_SEGMENTS = 64


class Mod(NamedTuple):
    """A `mod` item in a file."""

    name: str
    container: str
    path: str
    """Of `#[path]`; ""."""
    inline: bool


class Module(NamedTuple):
    """A module of one crate: an inline one is a file with a container, a file with "" is its outermost one."""

    crate: str
    """The crate's root file."""
    file: str
    container: str = ""


def mods_of(imports: Sequence[Import]) -> tuple[Mod, ...]:
    """The modules that a file declares."""
    return tuple(
        Mod(s.as_names[0] if s.as_names else s.module, s.container, s.module if s.as_names else "", not s.module)
        for s in imports
        if s.kind == "mod"
    )


@dataclass(slots=True)
class RustResolver:
    """`manifests`: path → content of each Cargo.toml; `mods`: path → the modules that a file declares."""

    tree: FileTree
    manifests: Mapping[str, Table]
    mods: Mapping[str, tuple[Mod, ...]]
    _packages: dict[str, Package] = field(default_factory=dict)
    """By folder."""
    _by_name: dict[str, Package] = field(default_factory=dict)
    """By package name and by name in code."""
    _children: dict[Module, dict[str, Module]] = field(default_factory=dict)
    _parent: dict[Module, Module] = field(default_factory=dict)
    _of_file: dict[str, list[Module]] = field(default_factory=dict)
    _placed: set[str] = field(default_factory=set)
    """Files that a `#[path]` names: their modules lie beside them, as those of a `mod.rs` do."""

    def __post_init__(self) -> None:
        for path in self.manifests:
            package = read_package(path, self.manifests, self.tree)
            if package is not None:
                self._packages[package.folder] = package
                self._by_name.setdefault(package.crate, package)
                self._by_name.setdefault(package.name.replace("-", "_"), package)
        for package in self._packages.values():
            for root in package.roots:
                self._grow(Module(root, root))

    def resolve(self, path: str, statement: Import) -> Resolution:
        """See LanguageResolver."""
        module = self._module(path, statement.container)
        if statement.kind == "mod":
            if not statement.module:
                return Resolution((path,), detail="in place")
            name = statement.as_names[0] if statement.as_names else statement.module
            child = self._child(module, name)
            if child is None:
                return Resolution(detail=f"there is no file for the module {name}")
            return Resolution((child.file,), detail="mod", submodules={name: (child.file,)})
        segments = statement.module.replace(" ", "").split("::")[:_MAX_SEGMENTS]
        start = self._start(module, segments, bool(statement.names))
        if start is None:
            return EXTERNAL
        at, used, rule = start
        left = [segment.removeprefix("r#") for segment in segments[used:]]
        while left and (child := self._child(at, left[0])) is not None:
            at = child
            left.pop(0)
        submodules: dict[str, tuple[str, ...]] = {}
        if not left:
            for name in statement.names:
                inner = self._child(at, name.removeprefix("r#")) if name != "*" else None
                if inner is not None and not inner.container:
                    submodules[name] = (inner.file,)
        more = [file for files in submodules.values() for file in files]
        rest = tuple(filter(None, (*at.container.split("."), *left)))
        return Resolution(tuple(dict.fromkeys((at.file, *more))), False, rule, submodules, rest)

    def submodule(self, module: str, name: str) -> tuple[str, ...]:
        """See LanguageResolver."""
        for place in self._of_file.get(module, ()) or [self._module(module, "")]:
            child = self._child(place, name)
            if child is not None and not child.container:
                return (child.file,)
        return ()

    def _start(self, module: Module, segments: list[str], named: bool) -> tuple[Module, int, str] | None:
        """Where a path begins, and how many of its segments that takes; None: in a crate outside the root."""
        first = segments[0].removeprefix("r#")
        root = Module(module.crate, module.crate)
        if first in ("crate", "$crate"):
            return root, 1, "crate"
        if first in ("self", "super"):
            used = 1 if first == "self" else 0
            while used < len(segments) and segments[used] == "super":
                module = self._parent.get(module, self._outer(module))
                used += 1
            return module, used, first
        return self._named(module, root, segments, named)

    def _named(self, module: Module, root: Module, segments: list[str], named: bool) -> tuple[Module, int, str] | None:
        """Where a path begins that starts with a name, or with "::" and a name."""
        absolute = segments[0] == "" and len(segments) > 1
        first = segments[int(absolute)].removeprefix("r#")
        package = self._package_of(module.crate)
        if not absolute and self._child(module, first) is not None:
            return module, 0, "a module of this one"
        crate = self._extern(package, first)
        if crate is not None:
            return crate, 1 + absolute, f"the crate {first}"
        if (package is None or package.edition == "2015") and self._child(root, first) is not None:
            return root, int(absolute), "the crate's root"
        # What is left is an item of this very module (`use Shape::*`), or a crate that no manifest names.
        known = first in _STANDARD or (package is not None and first in package.dependencies)
        return (module, 0, "an item of this module") if first[:1].isupper() and named and not known else None

    def _extern(self, package: Package | None, name: str) -> Module | None:
        if package is None:
            found = self._by_name.get(name)
        elif name == package.crate and package.library:
            found = package
        elif name in package.dependencies:
            place = package.dependencies[name]
            found = self._packages.get(place) if place else None
            found = found or self._by_name.get(package.renamed.get(name, name).replace("-", "_"))
        else:
            found = None
        return Module(found.library, found.library) if found is not None and found.library else None

    def _package_of(self, path: str) -> Package | None:
        return next(
            (self._packages[above] for above in folders_above(folder_of(path)) if above in self._packages), None
        )

    def _grow(self, root: Module) -> None:
        """Follow the `mod` items from a crate's root file."""
        self._of_file.setdefault(root.file, []).append(root)
        waiting = [root]
        seen = {root.file}
        while waiting and len(self._parent) < _MAX_MODULES:
            module = waiting.pop()
            for mod in self.mods.get(module.file, ()):
                outer = module
                for name in filter(None, mod.container.split(".")):
                    outer = self._inline(outer, name)
                if mod.inline:
                    self._inline(outer, mod.name)
                    continue
                file = self._file_of(outer, mod)
                if file and file not in seen:
                    seen.add(file)
                    if mod.path:
                        self._placed.add(file)
                    child = Module(root.crate, file)
                    self._children.setdefault(outer, {})[mod.name.removeprefix("r#")] = child
                    self._parent[child] = outer
                    self._of_file.setdefault(file, []).append(child)
                    waiting.append(child)

    def _inline(self, outer: Module, name: str) -> Module:
        name = name.removeprefix("r#")
        child = Module(outer.crate, outer.file, f"{outer.container}.{name}" if outer.container else name)
        self._children.setdefault(outer, {})[name] = child
        self._parent[child] = outer
        return child

    def _file_of(self, outer: Module, mod: Mod) -> str:
        if mod.path:
            # Relative to the file's own folder, or, inside of inline modules, to where their files would lie.
            base = self._folder_of(outer) if outer.container else folder_of(outer.file)
            place = joined(base, mod.path)
            return place if place is not None and place in self.tree.files else ""
        return self._conventional(outer, mod.name.removeprefix("r#"))

    def _folder_of(self, module: Module) -> str:
        """Where the files of a module's modules lie."""
        folder, _, name = module.file.rpartition("/")
        stem = name.removesuffix(".rs")
        parts = [folder] if folder else []
        if stem != "mod" and module.file != module.crate and module.file not in self._placed:
            parts.append(stem)
        if module.container:
            parts.extend(module.container.split("."))
        return "/".join(parts)

    def _conventional(self, outer: Module, name: str) -> str:
        folder = self._folder_of(outer)
        before = f"{folder}/" if folder else ""
        return self.tree.first((f"{before}{name}.rs", f"{before}{name}/mod.rs"))

    def _child(self, module: Module, name: str) -> Module | None:
        known = self._children.get(module)
        if known is not None and name in known:
            return known[name]
        if not name.isidentifier():
            return None
        if module.file not in self._of_file and any(
            mod.inline and mod.name == name and mod.container == module.container
            for mod in self.mods.get(module.file, ())
        ):
            return Module(module.crate, module.file, f"{module.container}.{name}".lstrip("."))
        file = self._conventional(module, name)
        if file and file != module.file:
            return Module(module.crate, file)
        return None

    def _module(self, path: str, container: str) -> Module:
        """The module that a place in a file belongs to, in the first crate that has the file."""
        known = self._of_file.get(path)
        outermost = known[0] if known else Module(self._crate_of(path), path)
        return Module(outermost.crate, path, container)

    def _crate_of(self, path: str) -> str:
        """The root of the crate that a file belongs to by its place, where no `mod` item leads to it."""
        package = self._package_of(path)
        if package is None:
            for above in folders_above(folder_of(path)):
                before = f"{above}/" if above else ""
                if found := self.tree.first((f"{before}lib.rs", f"{before}main.rs")):
                    return found
            return path
        roots = [root for root in package.roots if path.startswith(f"{folder_of(root)}/")]
        return max(roots, key=lambda root: len(folder_of(root)), default=package.library or path)

    def _outer(self, module: Module) -> Module:
        """The module around one that no `mod` item leads to."""
        if module.container:
            return Module(module.crate, module.file, module.container.rpartition(".")[0])
        folder, _, name = module.file.rpartition("/")
        if name == "mod.rs":
            folder = folder_of(folder)
        found = self.tree.first((f"{folder}/mod.rs", f"{folder}.rs")) if folder else ""
        return Module(module.crate, found or module.crate)
