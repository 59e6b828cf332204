"""pom.xml. https://maven.apache.org/pom.html"""

from __future__ import annotations

import re

from ghostd.analysis.manifests.manifest import (
    Dependency,
    EntryPoint,
    Manifest,
    clean,
    dependencies,
    entry_points,
)
from ghostd.analysis.manifests.xml import elements_of

_PROPERTY = re.compile(r"\$\{([\w.-]{1,100})\}")
_SCOPES = {"compile": "", "runtime": "", "": ""}
_WANTED = ("dependencies", "dependency")
_MANAGED = ("dependencyManagement", *_WANTED)


def read_pom(data: bytes) -> Manifest:
    """A Maven project. Versions that are properties of the file are told by their values."""
    found = elements_of(data)
    fields: dict[tuple[str, ...], str] = {}
    properties: dict[str, str] = {}
    wanted: dict[int, dict[str, str]] = {}
    managed: dict[int, dict[str, str]] = {}
    modules: list[str] = []
    mains: list[EntryPoint] = []
    for number, element in enumerate(found):
        path, text = element.path[1:], element.text.strip()
        if path in (_WANTED, _MANAGED):
            (wanted if path == _WANTED else managed)[number] = {}
        elif path[:-1] in (_WANTED, _MANAGED):
            (wanted if path[:-1] == _WANTED else managed)[element.parents[-1]][path[-1]] = text
        elif path[:1] == ("properties",) and len(path) == 2:
            properties[path[1]] = text
        elif path == ("modules", "module"):
            modules.append(text)
        elif path and path[-1] == "mainClass" and text:
            mains.append(EntryPoint("main", text.rpartition(".")[2], text))
        elif 1 <= len(path) <= 2:
            fields.setdefault(path, text)
    version = fields.get(("version",)) or fields.get(("parent", "version"), "")
    group = fields.get(("groupId",)) or fields.get(("parent", "groupId"), "")
    for name, value in (("version", version), ("groupId", group), ("artifactId", fields.get(("artifactId",), ""))):
        properties.setdefault(f"project.{name}", value)

    def filled(text: str) -> str:
        return _PROPERTY.sub(lambda match: properties.get(match[1], match[0]), text)

    def told(given: dict[int, dict[str, str]]) -> tuple[Dependency, ...]:
        return dependencies(
            Dependency(
                f"{filled(of.get('groupId', ''))}:{filled(of.get('artifactId', ''))}",
                filled(of.get("version", "")),
                _SCOPES.get(of.get("scope", ""), of.get("scope", "")),
                inherited=not of.get("version"),
            )
            for of in given.values()
            if of.get("artifactId")
        )

    return Manifest(
        "java",
        clean(fields.get(("artifactId",), "")),
        clean(filled(version)),
        clean(fields.get(("description",), "")),
        told(wanted),
        entry_points(mains),
        tuple(modules[:200]),
        {one.name: (one,) for one in told(managed)},
    )
