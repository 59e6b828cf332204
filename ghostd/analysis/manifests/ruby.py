"""Gemfile and *.gemspec, read literally."""

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

_GEM = re.compile(r"^\s{0,40}gem[ (]\s{0,9}[\"']([\w./-]{1,150})[\"']([^#\n]{0,300})")
_VERSIONS = re.compile(r",\s{0,9}[\"']([^\"'\n]{1,80})[\"']")
_GROUP = re.compile(r"^\s{0,40}group\b([^#\n]{1,200})\bdo\b")
_INLINE_GROUP = re.compile(r"\bgroups?:\s{0,9}\[?\s{0,9}:?[\"']?(\w+)")
_SYMBOL = re.compile(r":[\"']?(\w+)")
_NEEDS = re.compile(
    r"\.add_(runtime_|development_)?dependency\s{0,9}\(?\s{0,9}[\"']([\w./-]{1,150})[\"']((?:\s{0,9},\s{0,9}[\"'][^\"'\n]{1,80}[\"']){0,8})"
)
_FIELD = re.compile(r"\.(name|version|summary|description)\s{0,9}=\s{0,9}[\"']([^\"'\n]{1,300})[\"']")
_PROGRAMS = re.compile(r"\.executables\s{0,9}(?:<<|=)\s{0,9}([^\n]{1,300})")
_QUOTED = re.compile(r"[\"']([^\"'\n]{1,100})[\"']|%w\[([^\]\n]{1,300})\]")
_BLOCK = re.compile(r"\bdo\b(?:\s*\|[^|\n]*\|)?\s*$")


def read_gemfile(data: bytes) -> Manifest:
    """The gems that a Gemfile names; those inside of `group … do` by their group."""
    found: list[Dependency] = []
    blocks: list[str] = []
    for line in text_of(data).splitlines():
        code = line.partition(" #")[0].rstrip()
        if group := _GROUP.match(code):
            names = _SYMBOL.findall(group[1])
            blocks.append(names[0] if names else "")
        elif code.strip() == "end":
            if blocks:
                blocks.pop()
        elif gem := _GEM.match(code):
            inline = _INLINE_GROUP.search(gem[2])
            group_name = inline[1] if inline else next((name for name in reversed(blocks) if name), "")
            wanted = ", ".join(version for version in _VERSIONS.findall(gem[2]) if version)
            found.append(Dependency(gem[1], wanted, _plain(group_name)))
        elif _BLOCK.search(code) or re.match(r"\s*(?:if|unless|case|begin)\b", code):
            blocks.append("")
        if len(blocks) > 1000:
            break
    return Manifest("ruby", dependencies=dependencies(found))


def read_gemspec(data: bytes) -> Manifest:
    """A gem."""
    source = text_of(data)
    fields = {match[1]: match[2] for match in _FIELD.finditer(source)}
    found = []
    for kind, name, versions in _NEEDS.findall(source):
        wanted = ", ".join(quoted for quoted, _ in _QUOTED.findall(versions))
        found.append(Dependency(name, wanted, "dev" if kind == "development_" else ""))
    programs = _PROGRAMS.search(source)
    names = [quoted or words for quoted, words in _QUOTED.findall(programs[1])] if programs else []
    return Manifest(
        "ruby",
        clean(fields.get("name", "")),
        clean(fields.get("version", "")),
        clean(fields.get("summary") or fields.get("description", "")),
        dependencies(found),
        entry_points(EntryPoint("program", name) for words in names for name in words.split()),
    )


def _plain(group: str) -> str:
    return {"development": "dev", "default": ""}.get(group, group)
