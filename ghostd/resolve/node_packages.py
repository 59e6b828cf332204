"""package.json: names, workspaces, and the entry points of `exports` and `imports`.

https://nodejs.org/api/packages.html#package-entry-points
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pathspec import PathSpec

from ghostd.resolve.manifests import Table, inside, table, text, texts
from ghostd.resolve.tree import folder_of, joined

CONDITIONS = frozenset(("types", "import", "require", "node", "module", "module-sync", "default", "source", "svelte"))
"""What is taken of `exports`: whatever leads to a file that is there. Custom ones come from tsconfig.json."""
_MAX_TARGETS = 64
_MAX_DEPTH = 16
_MAX_WORKSPACES = 200
_DEPENDENCIES = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")
_YAML_ITEM = re.compile(r"^\s+-\s+['\"]?([^'\"#\n]+?)['\"]?\s*(?:#.*)?$|^-\s+['\"]?([^'\"#\n]+?)['\"]?\s*(?:#.*)?$")


@dataclass(frozen=True, slots=True)
class NodePackage:
    """One package.json."""

    folder: str
    manifest: Table
    links: Mapping[str, str] = field(default_factory=dict)
    """Dependency → folder in the root, for `file:` and `link:`."""

    @property
    def name(self) -> str:
        """Its name; ""."""
        return text(self.manifest.get("name"))


def read_packages(manifests: Mapping[str, Table]) -> dict[str, NodePackage]:
    """Folder → package, of every package.json."""
    found: dict[str, NodePackage] = {}
    for path, manifest in manifests.items():
        if path.rpartition("/")[2] == "package.json":
            folder = folder_of(path)
            links: dict[str, str] = {}
            for key in _DEPENDENCIES:
                for name, version in inside(manifest, key).items():
                    scheme, _, place = text(version).partition(":")
                    target = joined(folder, place) if scheme in ("file", "link", "portal") and place else None
                    if target is not None:
                        links[name] = target
            found[folder] = NodePackage(folder, manifest, links)
    return found


def workspace_members(packages: Mapping[str, NodePackage], pnpm: Mapping[str, str]) -> dict[str, str]:
    """Name → folder of the packages that a workspace of the root has; `pnpm`: folder → text of pnpm-workspace.yaml."""
    members: dict[str, str] = {}
    roots = {folder: _workspaces(package.manifest) for folder, package in packages.items()}
    for folder, yaml in pnpm.items():
        roots[folder] = (*roots.get(folder, ()), *pnpm_packages(yaml))
    for root, patterns in roots.items():
        if not patterns:
            continue
        lines = [p.removeprefix("./").rstrip("/") for p in patterns[:_MAX_WORKSPACES] if p.count("*") <= 8]
        spec = PathSpec.from_lines(
            "gitignore", [f"!/{p[1:].removeprefix('./')}" if p[0] == "!" else f"/{p}" for p in lines if p]
        )
        for folder, package in packages.items():
            below = folder.removeprefix(f"{root}/") if root else folder
            within = folder == root or (folder.startswith(f"{root}/") if root else True)
            if package.name and within and (folder == root or spec.match_file(below)):
                members.setdefault(package.name, folder)
    return members


def entry_targets(entries: object, subpath: str, conditions: frozenset[str]) -> tuple[str, ...]:
    """The targets that `exports` or `imports` gives a subpath ("." or "./x", or "#x"), the best first."""
    if isinstance(entries, str | list) or (isinstance(entries, Mapping) and not _is_subpaths(entries)):
        return _targets(entries, "", conditions) if subpath == "." else ()
    entries = table(entries)
    if "*" not in subpath and not subpath.endswith("/") and subpath in entries:
        return _targets(entries[subpath], "", conditions)
    best, rest, longest = None, "", (-1, -1)
    for pattern, target in entries.items():
        before, star, after = pattern.partition("*")
        if not star and not pattern.endswith("/"):
            continue
        fits = len(subpath) > len(before) + len(after) - (not after) and subpath.startswith(before)
        if fits and subpath.endswith(after) and (len(before), len(pattern)) > longest:
            longest = (len(before), len(pattern))
            best, rest = target, subpath[len(before) : len(subpath) - len(after)]
            if not star:
                best = _with_rest(target)
    return () if best is None else _targets(best, rest, conditions)


def main_targets(manifest: Table) -> Iterable[str]:
    """What is imported under the package's bare name where there is no `exports`."""
    yield from (value for key in ("types", "typings", "source", "module", "main") if (value := text(manifest.get(key))))


def _is_subpaths(entries: Mapping[str, object]) -> bool:
    return any(key.startswith((".", "#")) for key in entries)


def _with_rest(target: object) -> object:
    """A folder's target ("./features/"), as a pattern."""
    return f"{target}*" if isinstance(target, str) and target.endswith("/") else target


def _targets(target: object, rest: str, conditions: frozenset[str], depth: int = _MAX_DEPTH) -> tuple[str, ...]:
    if isinstance(target, str):
        return (target.replace("*", rest) if rest else target,)
    if depth == 0:
        return ()
    inner: Iterable[object] = ()
    if isinstance(target, list):
        inner = target[:_MAX_TARGETS]
    elif isinstance(target, Mapping):
        inner = [value for key, value in target.items() if key in conditions or key.startswith("types@")][:_MAX_TARGETS]
    found: list[str] = []
    for item in inner:
        found.extend(_targets(item, rest, conditions, depth - 1))
        if len(found) >= _MAX_TARGETS:
            break
    return tuple(found[:_MAX_TARGETS])


def _workspaces(manifest: Table) -> tuple[str, ...]:
    value = manifest.get("workspaces")
    return texts(value) or texts(table(value).get("packages"))


def pnpm_packages(yaml: str) -> tuple[str, ...]:
    """The list `packages` of a pnpm-workspace.yaml, which is always written as plain items."""
    found: list[str] = []
    within = False
    for line in yaml.splitlines()[:10_000]:
        if line.startswith("packages:"):
            within = True
            flow = re.findall(r"['\"]([^'\"]+)['\"]", line)
            found.extend(flow)
        elif within and line.strip() and not line.lstrip().startswith("#"):
            item = _YAML_ITEM.match(line)
            if item is None:
                break
            found.append(item[1] or item[2])
    return tuple(found)
