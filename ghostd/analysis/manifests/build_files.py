"""CMakeLists.txt, Makefiles, justfiles and Dockerfiles, read literally."""

from __future__ import annotations

import re
import shlex

from ghostd.analysis.manifests.manifest import (
    Dependency,
    EntryPoint,
    Manifest,
    clean,
    dependencies,
    entry_points,
    text_of,
)

_COMMAND = re.compile(r"^[ \t]{0,80}([A-Za-z_]{1,60})[ \t]{0,20}\(([^()]{0,4000})", re.MULTILINE)
_CMAKE_COMMENT = re.compile(r"#[^\n]*")
_VERSION = re.compile(r"\bVERSION\s{1,20}([\w.]{1,40})")
_MODULE = re.compile(r"([^<>=]{0,200})(.{0,200})")
"""Of pkg-config: a name, and the version wanted."""
_TARGET = re.compile(r"^([A-Za-z0-9_][\w ./-]{0,120}?)[ \t]{0,20}::?(?![:=])", re.MULTILINE)
_RECIPE = re.compile(
    r"^@?([A-Za-z][\w-]{0,80})(?:[ \t]+[^\s:'\"]+|'[^'\n]{0,200}'|\"[^\"\n]{0,200}\")*+[ \t]*:(?!=)", re.MULTILINE
)
_NO_LIBRARY = frozenset(("ALIAS", "IMPORTED", "INTERFACE"))


def read_cmake(data: bytes) -> Manifest:
    """A CMake project's packages, programs and libraries; what variables name is left out."""
    source = _CMAKE_COMMENT.sub("", text_of(data))
    name = version = ""
    found: list[Dependency] = []
    points: list[EntryPoint] = []
    for match in _COMMAND.finditer(source):
        command, words = match[1].lower(), match[2].split()
        if not words or "$" in words[0]:
            continue
        if command == "project" and not name:
            name = words[0].strip('"')
            version = found_version[1] if (found_version := _VERSION.search(match[2])) else ""
        elif command == "find_package":
            wanted = words[1] if len(words) > 1 and words[1][0].isdigit() else ""
            found.append(Dependency(words[0], wanted))
        elif command == "fetchcontent_declare":
            place = next((words[i + 1] for i, word in enumerate(words[:-1]) if word in ("GIT_REPOSITORY", "URL")), "")
            found.append(Dependency(words[0], place))
        elif command == "pkg_check_modules":
            options = ("REQUIRED", "QUIET", "IMPORTED_TARGET", "GLOBAL", "NO_CMAKE_PATH")
            modules = [word.strip('"') for word in words[1:] if word not in options and "$" not in word]
            found += [Dependency(*_MODULE.findall(module)[0]) for module in modules if module]
        elif command == "add_executable" and _NO_LIBRARY.isdisjoint(words[1:2]):
            source_file = next((word for word in words[1:] if "." in word and "$" not in word), "")
            points.append(EntryPoint("program", words[0], source_file))
        elif command == "add_library" and _NO_LIBRARY.isdisjoint(words[1:3]):
            points.append(EntryPoint("library", words[0]))
    return Manifest("c++", clean(name.strip('"')), clean(version), "", dependencies(found), entry_points(points))


def read_makefile(data: bytes) -> Manifest:
    """The targets of a Makefile, without patterns, special ones and files with an ending."""
    points = [
        EntryPoint("task", name)
        for match in _TARGET.finditer(text_of(data))
        for name in match[1].split()
        if "/" not in name and not re.search(r"\.\w{1,4}$", name)
    ]
    return Manifest("make", entry_points=entry_points(points))


def read_justfile(data: bytes) -> Manifest:
    """The recipes of a justfile, without private ones. https://just.systems/man/en/"""
    points = [EntryPoint("task", match[1]) for match in _RECIPE.finditer(text_of(data))]
    return Manifest("just", entry_points=entry_points(points))


def read_dockerfile(data: bytes) -> Manifest:
    """An image: what it is built from, and what it starts."""
    found: list[Dependency] = []
    stages: set[str] = set()
    starts: dict[str, str] = {}
    for line in text_of(data).replace("\\\r\n", " ").replace("\\\n", " ").splitlines():
        instruction, _, rest = line.strip().partition(" ")
        instruction = instruction.upper()
        if instruction == "FROM":
            words = [word for word in rest.split() if not word.startswith("--")]
            if words and words[0].lower() not in stages and words[0].lower() != "scratch":
                image, at, digest = words[0].partition("@")
                base, colon, tag = image.rpartition(":")
                named = colon and "/" not in tag
                found.append(Dependency(base if named else image, tag if named else digest if at else "", "image"))
            if len(words) >= 3 and words[1].upper() == "AS":
                stages.add(words[2].lower())
            starts = {}
        elif instruction in ("ENTRYPOINT", "CMD"):
            starts[instruction] = _command(rest)
    command = " ".join(starts[key] for key in ("ENTRYPOINT", "CMD") if starts.get(key))
    points = [EntryPoint("image", "image", command)] if found else []
    return Manifest("docker", dependencies=dependencies(found), entry_points=entry_points(points))


def _command(text: str) -> str:
    """A command in either form, as one would type it."""
    text = text.strip()
    if text.startswith("["):
        words = re.findall(r"\"((?:[^\"\\]|\\.){0,300})\"", text[:4000])
        return shlex.join(words)
    return text
