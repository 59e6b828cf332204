"""From a name as a file sees it to the definitions behind it: own ones, imported ones, and those given on by others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ghostd.code_ports import Index
from ghostd.indexed import Import, Symbol
from ghostd.resolve.families import Family, family_of
from ghostd.resolve.impls import all_bases
from ghostd.resolve.project import Project
from ghostd.resolve.resolution import LanguageResolver, Resolution

MAX_STEPS = 120
"""(file, name) pairs that one search looks at: chains of re-exports end there, and in circles."""
_MAX_PARTS = 12
_MAX_BASES = 24
_MAX_ANSWERS = 20_000

_SEPARATOR = re.compile(r"::|\?\.|\.")
_ZIG_ALIAS = re.compile(r"=\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)$")


@dataclass(frozen=True, slots=True)
class Found:
    """What a name means."""

    symbols: tuple[Symbol, ...] = ()
    modules: tuple[str, ...] = ()
    """The files of modules, or the folders of Python's namespace packages."""

    def __bool__(self) -> bool:
        return bool(self.symbols or self.modules)

    def __or__(self, other: Found) -> Found:
        return Found(
            tuple(dict.fromkeys((*self.symbols, *other.symbols))),
            tuple(dict.fromkeys((*self.modules, *other.modules))),
        )


_NOTHING = Found()


async def behind(project: Project, path: PurePosixPath, name: str, seen: Index | None = None) -> Found:
    """What `name`, which may be dotted, means in a file."""
    family = family_of(str(path))
    if family is None or not name or len(name) > 500:
        return _NOTHING
    key = ("behind", f"{path}\0{name}")
    if seen is None and isinstance(known := project.answers.get(key), Found):
        return known
    resolver = await project.resolver(family)
    generation = project.generation
    found = await _Search(project, resolver, family, str(path), seen).dotted(str(path), name)
    if seen is None and generation == project.generation:
        if len(project.answers) >= _MAX_ANSWERS:
            project.answers.clear()
        project.answers[key] = found
    return found


@dataclass(slots=True)
class _Search:
    """One search."""

    project: Project
    resolver: LanguageResolver
    family: Family
    origin: str
    seen: Index | None
    """Answers for the file `origin`."""
    _found: dict[tuple[str, str, str], Found] = field(default_factory=dict)
    """What has been looked for; nothing, while it is being looked for."""
    _defining: dict[str, frozenset[str]] = field(default_factory=dict)

    async def dotted(self, path: str, name: str) -> Found:
        """What a dotted name means in a file."""
        parts = [part.strip().removeprefix("r#") for part in _SEPARATOR.split(name) if part.strip()][:_MAX_PARTS]
        if not parts:
            return _NOTHING
        found, used = _NOTHING, 1
        if self.family == "python" and len(parts) > 1:
            found, used = await self._python_module(path, parts)
        if not found:
            found, used = await self.find(path, parts[0]), 1
        if not found and self.family == "rust" and len(parts) > 1:
            statement = Import(PurePosixPath(path), "::".join(parts[:-1]), (parts[-1],), 0)
            return await self._imported(path, statement, parts[-1])
        for part in parts[used:]:
            found = await self._inside(found, part)
        return found

    async def find(self, path: str, name: str, container: str = "") -> Found:
        """What a plain name means in a file, or in one of its inline modules."""
        key = path, name, container
        if key not in self._found and len(self._found) < MAX_STEPS:
            self._found[key] = _NOTHING
            self._found[key] = await self._find(path, name, container)
        return self._found.get(key, _NOTHING)

    async def _find(self, path: str, name: str, container: str) -> Found:
        found = Found(await self._own(path, name, container))
        imports = await self._imports(path)
        stars: list[Import] = []
        for statement in imports:
            if container and statement.container != container:
                continue
            if statement.kind == "exports":
                if name in (given := statement.as_names) and (own := statement.names[given.index(name)]) != name:
                    found |= await self.find(path, own, container)
                continue
            if statement.kind == "mod" and not statement.module:
                continue
            for own, remote in _bound(statement, self.family):
                if own == "*":
                    stars.append(statement)
                elif own == name:
                    found |= await self._imported(path, statement, remote)
        if found:
            return await self._past_aliases(found)
        return await self._through_stars(path, stars, name)

    async def _own(self, path: str, name: str, container: str) -> tuple[Symbol, ...]:
        place = PurePosixPath(path)
        if self.seen is not None and path == self.origin:
            symbols = await self.seen.definitions_in(self.project.root, [(name, place)])
        elif path in await self._files_defining(name):
            symbols = await self.project.index.definitions_in(self.project.root, [(name, place)])
        else:
            return ()
        outermost = tuple(s for s in symbols if s.container == container and not _only_declares(s, self.family))
        if not outermost and self.family == "node" and not container:
            # What `declare module "x" {…}` and namespaces hold.
            return tuple(s for s in symbols if s.container and s.kind not in ("method", "field", "property"))
        if not outermost and self.family == "rust" and not container and path == self.origin:
            # A name may be used in an inline module; which one is not known here.
            return tuple(
                s for s in symbols if s.container and s.kind in ("struct", "enum", "trait", "function", "type")
            )
        return outermost

    async def _files_defining(self, name: str) -> frozenset[str]:
        found = self._defining.get(name)
        if found is None:
            places = await self.project.index.files_defining(self.project.root, [name])
            found = self._defining[name] = frozenset(str(path) for _, path in places)
        return found

    async def _imports(self, path: str) -> Sequence[Import]:
        if self.seen is not None and path == self.origin:
            return await self.seen.imports(self.project.root, PurePosixPath(path))
        return await self.project.imports(PurePosixPath(path))

    async def _imported(self, path: str, statement: Import, remote: str) -> Found:
        """What an import brings: `remote` is the name there, "" for the module as a whole."""
        resolution = self.resolver.resolve(path, statement)
        if resolution.external:
            return _NOTHING
        if not remote:
            return await self._whole(path, resolution)
        found = _NOTHING
        if resolution.targets and remote not in resolution.submodules:
            found = await self._at(resolution.targets[0], resolution.rest, remote)
        elif remote in resolution.submodules:
            if resolution.targets and resolution.targets[0] not in resolution.submodules[remote]:
                found = Found(await self._own(resolution.targets[0], remote, ""))
            found = found or Found(modules=resolution.submodules[remote])
        if not found and remote == "default" and resolution.targets:
            found = Found(modules=resolution.targets[:1])
        return found

    async def _whole(self, path: str, resolution: Resolution) -> Found:
        if not resolution.targets:
            return _NOTHING
        target = resolution.targets[0]
        if resolution.rest:
            return await self._at(target, resolution.rest[:-1], resolution.rest[-1])
        if path.endswith((".js", ".cjs", ".jsx")):
            # `const Foo = require("./foo")` where that says `module.exports = Foo`.
            default = await self.find(target, "default")
            return Found(default.symbols, resolution.targets[:1])
        return Found(modules=resolution.targets)

    async def _at(self, target: str, rest: Iterable[str], remote: str) -> Found:
        """The name at the end of a path that begins in a file."""
        rest = tuple(rest)
        parts = [*(part for part in remote.split(".") if part)] if self.family == "zig" else [remote]
        if rest:
            # First as inline modules, which have no file; then as what the file gives on under that name.
            found = await self.find(target, parts[0], ".".join(rest))
            if not found:
                found = await self.find(target, rest[0])
                for part in (*rest[1:], parts[0]):
                    found = await self._inside(found, part)
        else:
            found = await self.find(target, parts[0])
        for part in parts[1:]:
            found = await self._inside(found, part)
        return found

    async def _through_stars(self, path: str, stars: Sequence[Import], name: str) -> Found:
        """The name from `import *`, `export *`, `pub use a::*`: the last one wins that defines it itself."""
        targets: list[tuple[str, tuple[str, ...]]] = []
        for statement in reversed(stars):
            resolution = self.resolver.resolve(path, statement)
            if resolution.targets and not resolution.external:
                target = resolution.targets[0]
                if target != path and await self._gives(target, name):
                    targets.append((target, resolution.rest))
        defining = await self._files_defining(name) if targets else frozenset()
        targets.sort(key=lambda item: item[0] not in defining)
        for target, rest in targets:
            found = await self._at(target, rest, name)
            if not found and (modules := self.resolver.submodule(target, name)):
                found = Found(modules=modules)
            if found:
                return found
        return _NOTHING

    async def _gives(self, target: str, name: str) -> bool:
        """Whether `*` includes the name."""
        if self.family == "node":
            return name != "default"
        if self.family != "python":
            return True
        listed = [s.names for s in await self._imports(target) if s.kind == "exports"]
        if not listed:
            return not name.startswith("_")
        return any(name in names or "*" in names for names in listed)

    async def _python_module(self, path: str, parts: list[str]) -> tuple[Found, int]:
        """`a.b.c.name` after `import a.b.c`: the module of the longest prefix, and its length."""
        best, used = _NOTHING, 1
        for statement in await self._imports(path):
            if statement.names or statement.as_names or statement.kind != "import":
                continue
            module = statement.module.split(".")
            length = next((i for i, (a, b) in enumerate(zip(module, parts, strict=False)) if a != b), None)
            common = min(len(module), len(parts)) if length is None else length
            if common == 0 or (best and common <= used):
                continue
            prefix = ".".join(module[:common])
            targets = self.resolver.resolve(path, Import(statement.path, prefix, (), statement.line)).targets
            if targets:
                best, used = Found(modules=targets), common
        return best, used

    async def _inside(self, outer: Found, part: str) -> Found:
        """A member of what has been found."""
        found = _NOTHING
        for module in outer.modules:
            inner = await self.find(module, part) if family_of(module) else _NOTHING
            if not inner and (files := self.resolver.submodule(module, part)):
                inner = Found(modules=files)
            found |= inner
        for symbol in outer.symbols:
            if symbol.kind == "module" and (files := self.resolver.submodule(str(symbol.path), symbol.name)):
                found |= await self.find(files[0], part)
            found |= Found(await self.member(symbol, part))
        return found

    async def member(self, symbol: Symbol, part: str) -> tuple[Symbol, ...]:
        """A type's own member of this name, or the nearest base's."""
        waiting = [symbol]
        seen: set[tuple[PurePosixPath, int]] = set()
        while waiting and len(seen) < _MAX_BASES:
            owner = waiting.pop(0)
            if (owner.path, owner.span.start) in seen:
                continue
            seen.add((owner.path, owner.span.start))
            inner = f"{owner.container}.{owner.name}" if owner.container else owner.name
            places = await self.project.index.definitions_in(self.project.root, [(part, owner.path)])
            members = tuple(s for s in places if s.container == inner)
            if members:
                return members
            for base in await all_bases(self.project, owner):
                waiting.extend((await self.dotted(str(owner.path), base)).symbols)
        return ()

    async def _past_aliases(self, found: Found) -> Found:
        """Behind `pub const List = array_list.List;` and `mod x;` to what they stand for."""
        if self.family not in ("zig", "rust"):
            return found
        result = _NOTHING
        for symbol in found.symbols:
            meant = _NOTHING
            if self.family == "zig" and symbol.kind in ("constant", "variable"):
                alias = _ZIG_ALIAS.search(symbol.signature)
                if alias and alias[1] != symbol.name:
                    meant = await self.dotted(str(symbol.path), alias[1])
            elif symbol.kind == "module" and (files := self.resolver.submodule(str(symbol.path), symbol.name)):
                meant = Found(modules=files)
            result |= meant or Found((symbol,))
        return result | Found(modules=found.modules)


def _bound(statement: Import, family: Family) -> Iterable[tuple[str, str]]:
    """(name in the file, name in the module); "" for the module as a whole, "*" for all."""
    if statement.names:
        return zip(statement.as_names or statement.names, statement.names, strict=True)
    if statement.as_names:
        return ((statement.as_names[0], ""),)
    if family == "python":
        return ((statement.module.partition(".")[0], ""),)
    if family == "rust":
        return ((statement.module.rpartition("::")[2], ""),)
    return ()


def _only_declares(symbol: Symbol, family: Family) -> bool:
    """Whether a symbol is but a local name for something imported, which the import statement tells, too."""
    if symbol.kind not in ("constant", "variable"):
        return False
    call = {"zig": "@import(", "node": "require("}.get(family)
    return call is not None and call in symbol.signature
