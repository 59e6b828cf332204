"""Pipfile. https://pipenv.pypa.io/en/latest/pipfile.html"""

from __future__ import annotations

from ghostd.analysis.manifests.manifest import Dependency, EntryPoint, Manifest, dependencies, entry_points, toml_of
from ghostd.resolve.manifests import inside, table, text

_GROUPS = {"packages": "", "dev-packages": "dev"}
_OTHERS = frozenset(("source", "requires", "scripts", "pipenv"))
_PLACES = ("path", "git", "file")


def read_pipfile(data: bytes) -> Manifest:
    """What an environment holds; categories of its own are groups."""
    whole = toml_of(data)
    found: list[Dependency] = []
    for category, packages in whole.items():
        if category in _OTHERS:
            continue
        for name, wanted in table(packages).items():
            given = table(wanted)
            place = next((f"{key}: {text(given[key])}" for key in _PLACES if text(given.get(key))), "")
            version = text(wanted) or text(given.get("version")) or place
            found.append(Dependency(name, "" if version == "*" else version, _GROUPS.get(category, category)))
    points = [
        EntryPoint("script", name, text(of) or text(table(of).get("call")))
        for name, of in inside(whole, "scripts").items()
    ]
    return Manifest("python", dependencies=dependencies(found), entry_points=entry_points(points))
