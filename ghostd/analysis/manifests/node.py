"""package.json. https://docs.npmjs.com/cli/configuring-npm/package-json"""

from __future__ import annotations

from ghostd.analysis.manifests.manifest import (
    Dependency,
    EntryPoint,
    Manifest,
    clean,
    dependencies,
    entry_points,
    json_of,
    text_of,
)
from ghostd.resolve.manifests import inside, table, text, texts
from ghostd.resolve.node_packages import CONDITIONS, entry_targets, pnpm_packages

_GROUPS = {
    "dependencies": "",
    "devDependencies": "dev",
    "peerDependencies": "peer",
    "optionalDependencies": "optional",
}


def read_package_json(data: bytes) -> Manifest:
    """A package of npm, pnpm or yarn, or a workspace's root."""
    package = json_of(data)
    found = [
        Dependency(name, text(wanted), group)
        for key, group in _GROUPS.items()
        for name, wanted in inside(package, key).items()
    ]
    points: list[EntryPoint] = []
    name = text(package.get("name"))
    programs = package.get("bin")
    if isinstance(programs, str):
        points.append(EntryPoint("program", name.rpartition("/")[2] or programs, programs))
    points += [EntryPoint("program", own, text(of)) for own, of in table(programs).items()]
    exported = entry_targets(package["exports"], ".", CONDITIONS) if "exports" in package else ()
    main = text(package.get("main")) or text(package.get("module")) or next(iter(exported), "")
    if main:
        points.append(EntryPoint("main", name or "main", main))
    points += [EntryPoint("script", own, text(of)) for own, of in inside(package, "scripts").items()]
    workspaces = package.get("workspaces")
    return Manifest(
        "node",
        clean(name),
        clean(text(package.get("version"))),
        clean(text(package.get("description"))),
        dependencies(found),
        entry_points(points),
        (texts(workspaces) or texts(table(workspaces).get("packages")))[:200],
    )


def read_pnpm_workspace(data: bytes) -> Manifest:
    """The folders of a pnpm workspace. https://pnpm.io/pnpm-workspace_yaml"""
    return Manifest("node", members=tuple(clean(member) for member in pnpm_packages(text_of(data))[:200]))
