"""*.rockspec, read literally. https://github.com/luarocks/luarocks/blob/main/docs/rockspec_format.md"""

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

_FIELD = re.compile(r"^\s{0,40}(package|version)\s{0,9}=\s{0,9}[\"']([^\"'\n]{1,300})[\"']", re.MULTILINE)
_SUMMARY = re.compile(r"\bsummary\s{0,9}=\s{0,9}[\"']([^\"'\n]{1,300})[\"']")
_NEEDS = re.compile(
    r"^\s{0,40}(dependencies|build_dependencies|test_dependencies)\s{0,9}=\s{0,9}\{([^{}]{0,20000})", re.MULTILINE
)
_PROGRAMS = re.compile(r"\bbin\s{0,9}=\s{0,9}\{([^{}]{0,4000})")
_QUOTED = re.compile(r"[\"']([^\"'\n]{1,200})[\"']")
_PROGRAM = re.compile(r"(?:\[\s{0,9}[\"']([^\"'\n]{1,100})[\"']\s{0,9}\]\s{0,9}=\s{0,9})?[\"']([^\"'\n]{1,200})[\"']")
_GROUPS = {"dependencies": "", "build_dependencies": "build", "test_dependencies": "test"}
_COMMENTS = ("--", ("--[[", "]]"))


def read_rockspec(data: bytes) -> Manifest:
    """A rock: what it needs, and the commands that it installs."""
    source = without_comments(text_of(data), *_COMMENTS)
    fields = {match[1]: match[2] for match in _FIELD.finditer(source)}
    found: list[Dependency] = []
    for kind, inner in _NEEDS.findall(source):
        for line in _QUOTED.findall(inner):
            name, _, wanted = line.strip().partition(" ")
            found.append(Dependency(name, wanted.strip(), _GROUPS[kind]))
    points = [
        EntryPoint("program", name or path.rpartition("/")[2], path)
        for inner in _PROGRAMS.findall(source)
        for name, path in _PROGRAM.findall(inner)
    ]
    summary = _SUMMARY.search(source)
    return Manifest(
        "lua",
        clean(fields.get("package", "")),
        clean(fields.get("version", "")),
        clean(summary[1] if summary else ""),
        dependencies(found),
        entry_points(points),
    )
