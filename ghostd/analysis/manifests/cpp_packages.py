"""What C and C++ projects need of package managers, and Meson's build files, read literally.

https://docs.conan.io/2/reference/conanfile.html, https://learn.microsoft.com/vcpkg/reference/vcpkg-json,
https://mesonbuild.com/Reference-manual_functions.html
"""

from __future__ import annotations

import re

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
from ghostd.resolve.comments import without_comments
from ghostd.resolve.manifests import inside, table, text

_GROUPS = {"requires": "", "tool_requires": "build", "build_requires": "build", "test_requires": "test"}
_FIELD = re.compile(r"^[ \t]{1,40}(name|version|description)\s{0,9}=\s{0,9}[\"']([^\"'\n]{1,300})[\"']", re.MULTILINE)
_LISTED = re.compile(
    rf"^[ \t]{{1,40}}({'|'.join(_GROUPS)})[ \t]{{0,9}}=[ \t]{{0,9}}"
    r"[(\[]?((?:\s{0,80}[\"'][^\"'\n]{1,200}[\"'][ \t]{0,9},?)+)",
    re.MULTILINE,
)
_CALLED = re.compile(rf"\bself\.({'|'.join(_GROUPS)})\(\s{{0,80}}[\"']([^\"'\n]{{1,200}})[\"']")
_QUOTED = re.compile(r"[\"']([^\"'\n]{1,200})[\"']")
_MESON = re.compile(r"\b([a-z_]{3,30})\s{0,9}\(\s{0,80}'([^'\n]{1,200})'([^()]{0,4000})")
_WANTED = re.compile(r"\bversion\s{0,9}:\s{0,9}\[?\s{0,9}'([^'\n]{1,100})'")
_SOURCE = re.compile(r"'([^'\n]{1,200}\.\w{1,4})'")
_LIBRARIES = frozenset(("library", "shared_library", "static_library", "both_libraries"))


def _reference(line: str, group: str) -> Dependency:
    """`name/version@user/channel#revision`."""
    name, _, version = re.split(r"[@#\s]", line.strip(), maxsplit=1)[0].partition("/")
    return Dependency(name, version, group)


def read_conanfile_txt(data: bytes) -> Manifest:
    """The requirements of a conanfile.txt."""
    found: list[Dependency] = []
    section = ""
    for line in map(str.strip, text_of(data).splitlines()):
        if line.startswith("["):
            section = line.strip("[]")
        elif line and line[0] != "#" and section in _GROUPS:
            found.append(_reference(line, _GROUPS[section]))
    return Manifest("c++", dependencies=dependencies(found))


def read_conanfile_py(data: bytes) -> Manifest:
    """A recipe: what it requires in literals, as an attribute or by a call."""
    source = without_comments(text_of(data), "#")
    fields = {match[1]: match[2] for match in reversed(list(_FIELD.finditer(source)))}
    listed = [(match[1], one) for match in _LISTED.finditer(source) for one in _QUOTED.findall(match[2])]
    listed += [(match[1], match[2]) for match in _CALLED.finditer(source)]
    return Manifest(
        "c++",
        clean(fields.get("name", "")),
        clean(fields.get("version", "")),
        clean(fields.get("description", "")),
        dependencies(_reference(one, _GROUPS[kind]) for kind, one in listed),
    )


def read_vcpkg(data: bytes) -> Manifest:
    """A vcpkg.json; what a feature needs is a group of its own."""
    whole = json_of(data)
    found = _ports(whole.get("dependencies"), "")
    for name, feature in inside(whole, "features").items():
        found += _ports(table(feature).get("dependencies"), f"optional:{name}")
    versions = ("version", "version-string", "version-semver", "version-date")
    version = next((text(whole[key]) for key in versions if text(whole.get(key))), "")
    return Manifest(
        "c++",
        clean(text(whole.get("name"))),
        clean(version),
        clean(text(whole.get("description"))),
        dependencies(found),
    )


def _ports(wanted: object, group: str) -> list[Dependency]:
    found = []
    for one in wanted if isinstance(wanted, list) else ():
        given = table(one)
        of_host = "build" if given.get("host") is True else group
        found.append(Dependency(text(one) or text(given.get("name")), text(given.get("version>=")), of_host))
    return found


def read_meson(data: bytes) -> Manifest:
    """A meson.build: the project, what it depends on, its programs and libraries."""
    source = without_comments(text_of(data), "#")
    name = version = ""
    found: list[Dependency] = []
    points: list[EntryPoint] = []
    for match in _MESON.finditer(source):
        command, first, rest = match.groups()
        wanted = _WANTED.search(rest)
        if command == "project" and not name:
            name, version = first, wanted[1] if wanted else ""
        elif command == "dependency":
            found.append(Dependency(first, wanted[1] if wanted else ""))
        elif command == "executable":
            place = _SOURCE.search(rest)
            points.append(EntryPoint("program", first, place[1] if place else ""))
        elif command in _LIBRARIES:
            points.append(EntryPoint("library", first))
    return Manifest("c++", clean(name), clean(version), "", dependencies(found), entry_points(points))
