"""Imports of TypeScript and JavaScript, as TypeScript's `moduleResolution: bundler` and Node.js find them.

https://www.typescriptlang.org/docs/handbook/modules/reference.html; where both a source and what is built from it
could be meant, the source is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ghostd.indexed import Import
from ghostd.resolve.manifests import Table
from ghostd.resolve.node_packages import (
    CONDITIONS,
    NodePackage,
    entry_targets,
    main_targets,
    read_packages,
    workspace_members,
)
from ghostd.resolve.resolution import Resolution
from ghostd.resolve.tree import FileTree, folder_of, folders_above, joined
from ghostd.resolve.tsconfig import TsConfig, read_config

_ADDED = (
    ".ts",
    ".tsx",
    ".d.ts",
    ".js",
    ".jsx",
    ".mts",
    ".d.mts",
    ".mjs",
    ".cts",
    ".d.cts",
    ".cjs",
    ".json",
    ".vue",
    ".svelte",
)
_REPLACED = {
    **dict.fromkeys((".ts", ".js"), (".ts", ".tsx", ".d.ts", ".js", ".jsx")),
    **dict.fromkeys((".tsx", ".jsx"), (".tsx", ".ts", ".d.ts", ".jsx", ".js")),
    **dict.fromkeys((".mts", ".mjs"), (".mts", ".d.mts", ".mjs")),
    **dict.fromkeys((".cts", ".cjs"), (".cts", ".d.cts", ".cjs")),
}
_BUILT = frozenset(("dist", "lib", "build", "out", "es", "esm", "cjs", "types", "dts", "umd", "mjs", "_esm", "_cjs"))
"""Folders of a package that hold what is made from its source."""
_BUILT_ENDINGS = (".d.ts", ".d.mts", ".d.cts", ".js", ".mjs", ".cjs", ".jsx")


@dataclass(slots=True)
class NodeResolver:
    """`manifests`: path → content of each package.json, tsconfig*.json and jsconfig*.json; `pnpm`: folder → text."""

    tree: FileTree
    manifests: Mapping[str, Table]
    pnpm: Mapping[str, str]
    _packages: dict[str, NodePackage] = field(default_factory=dict)
    _members: dict[str, str] = field(default_factory=dict)
    _configs: dict[str, TsConfig] = field(default_factory=dict)
    _near: dict[str, tuple[TsConfig, ...]] = field(default_factory=dict)
    """Folder → the configs that its files may belong to."""
    _found: dict[tuple[str, str], Resolution] = field(default_factory=dict)
    """(folder, module) → answer; a folder's files tend to import the same."""

    def __post_init__(self) -> None:
        self._packages = read_packages(self.manifests)
        self._members = workspace_members(self._packages, self.pnpm)

    def resolve(self, path: str, statement: Import) -> Resolution:
        """See LanguageResolver."""
        if statement.kind == "exports":
            return Resolution()
        key = folder_of(path), statement.module
        found = self._found.get(key)
        if found is None:
            if len(self._found) > _MAX_FOUND:
                self._found.clear()
            found = self._found[key] = self._resolve(*key)
        return found

    def submodule(self, module: str, name: str) -> tuple[str, ...]:
        """There are none: a file is all of a module."""
        return ()

    def _resolve(self, folder: str, module: str) -> Resolution:
        plain = module.partition("?")[0] if "?" in module else module
        if plain.startswith(("./", "../")) or plain in (".", ".."):
            return self._relative(folder, plain)
        if plain.startswith("/") or not plain:
            return Resolution(detail="an absolute path")
        if plain.startswith("#") and (found := self._private(folder, plain)):
            return Resolution((found,), detail="imports of package.json")
        if mapped := self._mapped(folder, plain):
            return mapped
        if plain.startswith("node:"):
            return Resolution(external=True, detail="of Node.js")
        return self._bare(folder, plain)

    def _mapped(self, folder: str, module: str) -> Resolution | None:
        """Where a config's `paths` or `baseUrl` leads to."""
        configs = self._configs_of(folder)
        for config in configs:
            for target in config.substitutions(module):
                if found := self._file(target):
                    return Resolution((found,), detail=f"paths of {config.path}")
        for config in configs:
            place = joined(config.base, module) if config.base is not None else None
            if place and (found := self._file(place)):
                return Resolution((found,), detail=f"baseUrl of {config.path}")
        return None

    def _relative(self, folder: str, module: str) -> Resolution:
        place = joined(folder, module)
        if place is None:
            return Resolution(detail="leads out of the root")
        if found := self._file(place, only_folder=module.endswith(("/", "/.", "/..")) or module in (".", "..")):
            return Resolution((found,), detail="relative")
        for config in self._configs_of(folder):
            for root in config.root_dirs:
                if (rest := _below(place, root)) is None:
                    continue
                for other in config.root_dirs:
                    if found := self._file(f"{other}/{rest}" if other else rest):
                        return Resolution((found,), detail=f"rootDirs of {config.path}")
        return Resolution(detail=f"there is no file {place}")

    def _file(self, place: str, only_folder: bool = False) -> str:
        """The file that a path without, or with another ending means; ""."""
        found = "" if only_folder or not place else self._by_ending(place)
        if found or place not in self.tree.folders:
            return found
        package = self._packages.get(place)
        for target in main_targets(package.manifest) if package is not None else ():
            if package is not None and (found := self._target(package, target)):
                return found
        index = f"{place}/index" if place else "index"
        return next((index + added for added in _ADDED if index + added in self.tree.files), "")

    def _by_ending(self, place: str) -> str:
        files = self.tree.files
        stem, dot, ending = place.rpartition(".")
        if stem.endswith(".d") and place in files:
            return place
        for replaced in _REPLACED.get(dot + ending, ()):
            if f"{stem}{replaced}" in files:
                return f"{stem}{replaced}"
        if place in files:
            return place
        for added in _ADDED:
            if place + added in files:
                return place + added
        declared = f"{stem}.d.{ending}.ts"
        return declared if dot and declared in files else ""

    def _bare(self, folder: str, module: str) -> Resolution:
        parts = module.split("/", 2 if module.startswith("@") else 1)
        count = 2 if module.startswith("@") else 1
        name = "/".join(parts[:count])
        rest = parts[count] if len(parts) > count else ""
        own = self._package_around(folder)
        if own is not None and own.name == name and "exports" in own.manifest:
            found = self._entry(own, rest, folder)
            return Resolution((found,), detail="the package's own exports") if found else _not_given(own)
        places = [
            f"{above}/node_modules/{name}" if above else f"node_modules/{name}" for above in folders_above(folder)
        ]
        if own is not None and name in own.links:
            places.insert(0, own.links[name])
        member = self._members.get(name)
        for place in (*places, *(() if member is None else (member,))):
            if place in self.tree.folders:
                package = self._packages.get(place) or NodePackage(place, {})
                if found := self._entry(package, rest, folder):
                    return Resolution((found,), detail=f"the package in {place or 'the root'}")
        return (
            Resolution(external=True, detail="not in the project")
            if member is None
            else _not_given(self._packages[member])
        )

    def _entry(self, package: NodePackage, rest: str, folder: str) -> str:
        """The file behind a package's name and a path in it."""
        conditions = CONDITIONS.union(*(config.conditions for config in self._configs_of(folder)))
        exports = package.manifest.get("exports")
        if exports is not None:
            for target in entry_targets(exports, f"./{rest}" if rest else ".", conditions):
                if found := self._target(package, target):
                    return found
            return ""
        if rest:
            place = joined(package.folder, rest)
            return self._target(package, f"./{rest}") if place is not None else ""
        return self._file(package.folder, only_folder=True)

    def _private(self, folder: str, module: str) -> str:
        package = self._package_around(folder)
        if package is None:
            return ""
        conditions = CONDITIONS.union(*(config.conditions for config in self._configs_of(folder)))
        for target in entry_targets(package.manifest.get("imports"), module, conditions):
            if target.startswith("./") or not target.startswith((".", "/", "#")):
                found = (
                    self._target(package, target)
                    if target.startswith("./")
                    else next(iter(self._bare(package.folder, target).targets), "")
                )
                if found:
                    return found
        return ""

    def _target(self, package: NodePackage, target: str) -> str:
        """The file of a package's target; where that is only built later, the source that it is built from."""
        place = joined(package.folder, target)
        if place is None or (package.folder and not place.startswith(f"{package.folder}/")):
            return ""
        if found := self._file(place):
            return found
        return next((found for source in self._sources(package, place) if (found := self._file(source))), "")

    def _sources(self, package: NodePackage, place: str) -> Iterable[str]:
        stem = next((place.removesuffix(ending) for ending in _BUILT_ENDINGS if place.endswith(ending)), place)
        for config in self._configs_of(package.folder or "."):
            for out in config.out_dirs:
                rest = _below(stem, out)
                if rest is not None:
                    root = config.root_dir if config.root_dir is not None else package.folder
                    yield f"{root}/{rest}" if root else rest
        inner = stem.removeprefix(f"{package.folder}/") if package.folder else stem
        parts = inner.split("/")
        before = f"{package.folder}/" if package.folder else ""
        while len(parts) > 1 and parts[0] in _BUILT:
            parts = parts[1:]
            yield f"{before}src/{'/'.join(parts)}"
            yield f"{before}{'/'.join(parts)}"
            if parts[0] == "src":
                break

    def _package_around(self, folder: str) -> NodePackage | None:
        return next((self._packages[above] for above in folders_above(folder) if above in self._packages), None)

    def _configs_of(self, folder: str) -> tuple[TsConfig, ...]:
        """The nearest config, then those beside or below it that it refers to."""
        folder = "" if folder == "." else folder
        found = self._near.get(folder)
        if found is None:
            found = self._near[folder] = self._nearest(folder)
        return found

    def _nearest(self, folder: str) -> tuple[TsConfig, ...]:
        for above in folders_above(folder):
            for name in ("tsconfig.json", "jsconfig.json"):
                path = f"{above}/{name}" if above else name
                if path in self.manifests:
                    config = self._config(path)
                    others = [self._config(other) for other in config.references[:_MAX_REFERENCES]]
                    return (
                        config,
                        *(
                            o
                            for o in others
                            if folder == (f := folder_of(o.path)) or not f or folder.startswith(f"{f}/")
                        ),
                    )
        return ()

    def _config(self, path: str) -> TsConfig:
        found = self._configs.get(path)
        if found is None:
            found = self._configs[path] = read_config(path, self.manifests, self._extended)
        return found

    def _extended(self, folder: str, module: str) -> str:
        """The config that a package of the root offers."""
        count = 2 if module.startswith("@") else 1
        parts = module.split("/")
        name, rest = "/".join(parts[:count]), "/".join(parts[count:])
        places = [
            f"{above}/node_modules/{name}" if above else f"node_modules/{name}" for above in folders_above(folder)
        ]
        if name in self._members:
            places.append(self._members[name])
        for place in places:
            package = self._packages.get(place)
            targets = (
                entry_targets(package.manifest.get("exports"), f"./{rest}" if rest else ".", CONDITIONS)
                if package
                else ()
            )
            for target in (*targets, rest or "tsconfig.json"):
                at = joined(place, target)
                if at is not None:
                    for path in (at, f"{at}.json", f"{at}/tsconfig.json"):
                        if path in self.manifests:
                            return path
        return ""


_MAX_FOUND = 100_000
_MAX_REFERENCES = 50


def _not_given(package: NodePackage) -> Resolution:
    manifest = f"{package.folder}/package.json" if package.folder else "package.json"
    return Resolution(detail=f"{manifest} leads to no file that is there")


def _below(place: str, folder: str) -> str | None:
    """The rest of a path that lies in a folder."""
    if not folder:
        return place
    return place[len(folder) + 1 :] if place.startswith(f"{folder}/") else None
