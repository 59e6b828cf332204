"""pom.xml, and what a Gradle script says literally."""

from __future__ import annotations

import re

from ghostd.analysis.manifests.manifest import (
    Dependency,
    EntryPoint,
    Manifest,
    clean,
    dependencies,
    entry_points,
    text_of,
)
from ghostd.analysis.manifests.xml import elements_of
from ghostd.resolve.comments import without_comments

_PROPERTY = re.compile(r"\$\{([\w.-]{1,100})\}")
_SCOPES = {"compile": "", "runtime": "", "": ""}
_NOTATION = re.compile(
    r"^[ \t]{0,80}([a-zA-Z]\w{2,60})[ \t]{0,20}\(?[ \t]{0,20}(?:(?:platform|enforcedPlatform)[ \t]{0,20}\(\s{0,80})?"
    r"[\"']([\w.-]{1,150}):([\w.-]{1,150})(?::([^\"'\s:@]{1,100}))?[^\"'\n]{0,100}[\"']",
    re.MULTILINE,
)
_PROJECT = re.compile(
    r"^[ \t]{0,80}([a-zA-Z]\w{2,60})[ \t]{0,20}\(?[ \t]{0,20}project[ \t]{0,20}\(\s{0,80}"
    r"(?:path\s{0,20}[:=]\s{0,20})?[\"']([^\"'\n]{1,200})[\"']",
    re.MULTILINE,
)
_MAIN = re.compile(r"\bmainClass(?:Name)?(?:\.set\s*\(|\s*=)\s*[\"']([\w.$]+)[\"']")
_VERSION = re.compile(r"^version[ \t]{0,20}=?[ \t]{0,20}[\"']([^\"'\n]{1,100})[\"']", re.MULTILINE)
_CONFIGURATIONS = {"implementation": "", "api": "", "compile": "", "runtimeOnly": "", "runtime": ""}
_USUAL = re.compile(
    r"(?i)implementation|api|compile|runtime|annotationProcessor|kapt|ksp|classpath|provided|developmentOnly"
)


def read_pom(data: bytes) -> Manifest:
    """A Maven project. Versions that are properties of the file are told by their values."""
    found = elements_of(data)
    fields: dict[tuple[str, ...], str] = {}
    properties: dict[str, str] = {}
    wanted: dict[int, dict[str, str]] = {}
    modules: list[str] = []
    mains: list[EntryPoint] = []
    for number, element in enumerate(found):
        path, text = element.path[1:], element.text.strip()
        if path == ("dependencies", "dependency"):
            wanted[number] = {}
        elif path[:2] == ("dependencies", "dependency") and len(path) == 3:
            wanted[element.parents[-1]][path[2]] = text
        elif path[:1] == ("properties",) and len(path) == 2:
            properties[path[1]] = text
        elif path == ("modules", "module"):
            modules.append(text)
        elif path and path[-1] == "mainClass" and text:
            mains.append(EntryPoint("main", text.rpartition(".")[2], text))
        elif 1 <= len(path) <= 2:
            fields.setdefault(path, text)
    version = fields.get(("version",)) or fields.get(("parent", "version"), "")
    properties.setdefault("project.version", version)

    def filled(text: str) -> str:
        return _PROPERTY.sub(lambda match: properties.get(match[1], match[0]), text)

    return Manifest(
        "java",
        clean(fields.get(("artifactId",), "")),
        clean(filled(version)),
        clean(fields.get(("description",), "")),
        dependencies(
            Dependency(
                f"{filled(of.get('groupId', ''))}:{filled(of.get('artifactId', ''))}",
                filled(of.get("version", "")),
                _SCOPES.get(of.get("scope", ""), of.get("scope", "")),
            )
            for of in wanted.values()
            if of.get("artifactId")
        ),
        entry_points(mains),
        tuple(modules[:200]),
    )


def read_gradle(data: bytes) -> Manifest:
    """A build.gradle or build.gradle.kts: dependencies in the usual notation, and the main class."""
    source = without_comments(text_of(data), "//", ("/*", "*/"))
    found = [
        Dependency(f"{match[2]}:{match[3]}", match[4] or "", _gradle_group(match[1]))
        for match in _NOTATION.finditer(source)
        if _USUAL.search(match[1])
    ]
    found += [
        Dependency(match[2], "in the project", _gradle_group(match[1]))
        for match in _PROJECT.finditer(source)
        if _USUAL.search(match[1])
    ]
    version = _VERSION.search(source)
    mains = [EntryPoint("main", match[1].rpartition(".")[2], match[1]) for match in _MAIN.finditer(source)]
    return Manifest(
        "java",
        version=clean(version[1]) if version else "",
        dependencies=dependencies(found),
        entry_points=entry_points(mains),
    )


def _gradle_group(configuration: str) -> str:
    if configuration in _CONFIGURATIONS:
        return ""
    return "test" if configuration.lower().startswith(("test", "androidtest")) else configuration
