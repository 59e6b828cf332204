"""build.zig.zon and build.zig, read literally."""

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
from ghostd.resolve.comments import without_comments

_NAME = r"(?:@\"([^\"\n]+)\"|([A-Za-z_]\w*))"
_FIELD = re.compile(r"\.(name|version)\s*=\s*(?:\"([^\"\n]{0,200})\"|\.([A-Za-z_]\w*))")
_DEPENDENCIES = re.compile(r"\.dependencies\s*=\s*\.\{")
_DEPENDENCY = re.compile(rf"\.{_NAME}\s*=\s*\.\{{([^{{}}]{{0,4000}})\}}")
_PLACE = re.compile(r"\.(url|path)\s*=\s*\"([^\"\n]+)\"")
_ARTIFACT = re.compile(r"\badd(Executable|Library|StaticLibrary|SharedLibrary|Object)\s*\(")
_STRING_NAME = re.compile(r"\.name\s*=\s*\"([^\"\n]+)\"")
_SOURCE = re.compile(r"\"([^\"\n]+\.zig)\"")
_STEP = re.compile(r"\.\s*step\s*\(\s*\"([^\"\n]+)\"\s*,\s*\"([^\"\n]*)\"")
_MAX_FOUND = 500
_MAX_ARGUMENT = 1500


def read_zon(data: bytes) -> Manifest:
    """A package's build.zig.zon."""
    source = without_comments(text_of(data))
    start = _DEPENDENCIES.search(source)
    head = source if start is None else source[: start.start()]
    fields = _fields(head)
    if start is not None and not {"name", "version"} <= fields.keys():
        depth_free = _DEPENDENCY.sub("", source[start.end() :])
        fields = {**_fields(depth_free), **fields}
    found = []
    if start is not None:
        for _, match in zip(range(_MAX_FOUND), _DEPENDENCY.finditer(source, start.end()), strict=False):
            place = _PLACE.search(match[3])
            if place:
                found.append(Dependency(match[1] or match[2], place[2]))
    name, version = clean(fields.get("name", "")), clean(fields.get("version", ""))
    return Manifest("zig", name, version, dependencies=dependencies(found))


def _fields(source: str) -> dict[str, str]:
    return {match[1]: match[2] or match[3] or "" for match in _FIELD.finditer(source)}


def read_build(data: bytes) -> Manifest:
    """The programs, libraries and steps of a build.zig."""
    source = without_comments(text_of(data))
    points: list[EntryPoint] = []
    for _, match in zip(range(_MAX_FOUND), _ARTIFACT.finditer(source), strict=False):
        argument = source[match.end() : match.end() + _MAX_ARGUMENT].partition(";")[0]
        name, place = _STRING_NAME.search(argument), _SOURCE.search(argument)
        if name:
            kind = "program" if match[1] == "Executable" else "library"
            points.append(EntryPoint(kind, name[1], place[1] if place else ""))  # type: ignore[arg-type]
    for _, match in zip(range(_MAX_FOUND), _STEP.finditer(source), strict=False):
        points.append(EntryPoint("task", match[1], match[2]))
    return Manifest("zig", entry_points=entry_points(points))
