"""The modules that a build.zig gives to `@import`, read literally from its text.

Understood: `b.addModule`, `b.createModule`, `addImport`, `addAnonymousImport`, `.imports = &.{…}`, root source files of
programs, and a build.zig.zon's dependencies with a `.path`; https://ziglang.org/learn/build-system/#modules. What a
build script computes is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ghostd.resolve.comments import without_comments

_MAX_FOUND = 2000
_MAX_ARGUMENT = 20_000
"""Characters of one call that are looked through."""

_NAME = r"(?:@\"([^\"\n]+)\"|([A-Za-z_]\w*))"
_VARIABLE = re.compile(r"\b(?:const|var)\s+([A-Za-z_]\w*)\s*(?::[^=;]{1,100})?=\s*")
_MODULE_CALL = re.compile(r"(?<![\w.])[\w.]*?\b(addModule|createModule)\s*\(")
_DEPENDENCY = re.compile(r"\bdependency\s*\(\s*\"([^\"\n]+)\"")
_DEPENDENCY_MODULE = re.compile(r"([A-Za-z_]\w*)\s*\.\s*module\s*\(\s*\"([^\"\n]+)\"\s*\)")
_DEPENDENCY_INLINE = re.compile(
    r"\bdependency\s*\(\s*\"([^\"\n]+)\"[^;]{0,300}?\)\s*\.\s*module\s*\(\s*\"([^\"\n]+)\"\s*\)"
)
_ADD_IMPORT = re.compile(r"\.\s*addImport\s*\(\s*\"([^\"\n]+)\"\s*,\s*")
_ADD_ANONYMOUS = re.compile(r"\.\s*addAnonymous(?:Import|Module)\s*\(\s*\"([^\"\n]+)\"\s*,")
_ADD_PACKAGE = re.compile(r"\.\s*addPackagePath\s*\(\s*\"([^\"\n]+)\"\s*,\s*\"([^\"\n]+)\"")
_IMPORTS_ITEM = re.compile(r"\.name\s*=\s*\"([^\"\n]+)\"\s*,\s*\.module\s*=\s*")
_SOURCE = re.compile(
    r"\.(?:root_source_file|source_file|source|path|file)\s*=\s*(?:[\w.]*\bpath\s*\(\s*|\.\{\s*\.(?:path|cwd_relative)\s*=\s*)?"
    r"\"([^\"\n]+\.zig)\""
)
_STRING = re.compile(r"\s*\"([^\"\n]+)\"")
_ZON_DEPENDENCY = re.compile(rf"\.{_NAME}\s*=\s*\.\{{([^{{}}]*)\}}")
_ZON_PATH = re.compile(r"\.path\s*=\s*\"([^\"\n]+)\"")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class ZigBuild:
    """What one build.zig says. Files are relative to its folder."""

    imports: Mapping[str, str]
    """Name in `@import` → file."""
    offered: Mapping[str, str]
    """Name → file of the modules that other packages may ask for."""
    of_dependencies: Mapping[str, tuple[str, str]]
    """Name in `@import` → (dependency, name of its module)."""
    roots: tuple[str, ...]
    """The root source files of programs, libraries and tests."""


def read_build(source: str) -> ZigBuild:
    """What is written in a build.zig."""
    source = without_comments(source)
    files: dict[str, str] = {}
    offered: dict[str, str] = {}
    dependencies: dict[str, str] = {}
    foreign: dict[str, tuple[str, str]] = {}
    for variable in _some(_VARIABLE.finditer(source)):
        rest = source[variable.end() : variable.end() + _MAX_ARGUMENT].partition(";\n")[0]
        call = _MODULE_CALL.match(rest)
        if call and (found := _SOURCE.search(_call(rest, call.end()))):
            files[variable[1]] = found[1]
        elif inline := _DEPENDENCY_INLINE.search(rest):
            foreign[variable[1]] = inline[1], inline[2]
        elif member := _DEPENDENCY_MODULE.match(rest):
            foreign[variable[1]] = dependencies.get(member[1], member[1]), member[2]
        elif (named := _DEPENDENCY.search(rest)) and named.start() < 100:
            dependencies[variable[1]] = named[1]
    for call in _some(_MODULE_CALL.finditer(source)):
        argument = _call(source, call.end())
        name, found = _STRING.match(argument), _SOURCE.search(argument)
        if call[1] == "addModule" and name and found:
            offered[name[1]] = found[1]
    imports: dict[str, str] = {}
    of_dependencies: dict[str, tuple[str, str]] = {}

    def bind(name: str, value: str) -> None:
        identifier = _IDENTIFIER.match(value)
        inline = _DEPENDENCY_INLINE.match(value, value.find("dependency")) if "dependency" in value[:40] else None
        member = _DEPENDENCY_MODULE.match(value)
        if inline:
            of_dependencies[name] = inline[1], inline[2]
        elif member and member[1] in dependencies:
            of_dependencies[name] = dependencies[member[1]], member[2]
        elif identifier and identifier[0] in files:
            imports[name] = files[identifier[0]]
        elif identifier and identifier[0] in foreign:
            of_dependencies[name] = foreign[identifier[0]]
        elif found := _SOURCE.search(value.partition(";")[0]):
            imports[name] = found[1]

    for match in _some(_ADD_IMPORT.finditer(source)):
        bind(match[1], source[match.end() : match.end() + 1000])
    for match in _some(_IMPORTS_ITEM.finditer(source)):
        bind(match[1], source[match.end() : match.end() + 1000])
    for match in _some(_ADD_ANONYMOUS.finditer(source)):
        if found := _SOURCE.search(_call(source, match.end())):
            imports[match[1]] = found[1]
    for match in _some(_ADD_PACKAGE.finditer(source)):
        imports[match[1]] = match[2]
    roots = tuple(dict.fromkeys(match[1] for match in _some(_SOURCE.finditer(source))))
    return ZigBuild({**offered, **imports}, offered, of_dependencies, roots)


def read_dependencies(zon: str) -> dict[str, str]:
    """Name → folder, relative to the build.zig.zon, of the dependencies that lie beside the project."""
    zon = without_comments(zon)
    found: dict[str, str] = {}
    for match in _some(_ZON_DEPENDENCY.finditer(zon)):
        if path := _ZON_PATH.search(match[3]):
            found[match[1] or match[2]] = path[1]
    return found


def _some(matches: Iterable[re.Match[str]]) -> Iterable[re.Match[str]]:
    return (match for _, match in zip(range(_MAX_FOUND), matches, strict=False))


def _call(source: str, start: int) -> str:
    """A call's arguments, from behind its opening parenthesis to the one that closes it."""
    depth = 1
    end = min(len(source), start + _MAX_ARGUMENT)
    for match in re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|[()]").finditer(source, start, end):
        if match[0] in "()":
            depth += 1 if match[0] == "(" else -1
            if depth == 0:
                return source[start : match.start()]
    return source[start:end]
