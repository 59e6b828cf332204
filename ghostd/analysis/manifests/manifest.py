"""What a manifest says, whatever its format; and the bounds on what is read of one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ghostd.resolve.manifests import Table, parse_toml

MAX_BYTES = 512 * 1024
MAX_DEPENDENCIES = 1000
"""Of one manifest; the rest are left out."""
MAX_ENTRY_POINTS = 200
_MAX_CHARS = 200
"""Of a name, a version or a command."""

DependencyGroup = str
"""`""` for what the package needs to run; else "dev", "test", "build", "optional:NAME" and the like."""
EntryKind = Literal["program", "script", "main", "task", "image", "library"]
"""program: something that is built and run; script: a command that is installed or run by a package manager; main: what
running or importing the package starts; task: a target of a build tool; image: a container; library: what is built to
be linked or imported."""


class ManifestProblem(Exception):
    """The manifest cannot be read; the message says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something that a package needs."""

    name: str
    wanted: str = ""
    """The version asked for, as written; or a path or address. "" where none is."""
    group: DependencyGroup = ""
    inherited: bool = False
    """Whether a manifest around it says what is wanted: see `Manifest.shared`."""


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A place where something begins to run."""

    kind: EntryKind
    name: str
    target: str = ""
    """What it runs, as written: "package.module:function", a file, a command."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One manifest, read literally."""

    ecosystem: str
    """"python", "node", "rust", "zig", "go", "java", "c++", "dotnet", "ruby", "lua", "make", "just", "docker"."""
    name: str = ""
    version: str = ""
    description: str = ""
    dependencies: tuple[Dependency, ...] = ()
    entry_points: tuple[EntryPoint, ...] = ()
    members: tuple[str, ...] = ()
    """Folders of a workspace's packages, as patterns."""
    shared: Mapping[str, Sequence[Dependency]] = field(default_factory=dict)
    """What manifests below it may inherit, by the name that they give it: Cargo's workspace dependencies, Maven's
    managed ones, NuGet's central versions, Gradle's catalog."""
    shared_version: str = ""
    inherits_version: bool = False


def text_of(data: bytes) -> str:
    """The manifest as text; raises ManifestProblem."""
    if len(data) > MAX_BYTES:
        raise ManifestProblem(f"it is larger than {MAX_BYTES // 1024} KiB")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    except UnicodeDecodeError:
        raise ManifestProblem("it is not UTF-8") from None


def toml_of(data: bytes) -> Table:
    """A TOML manifest; raises ManifestProblem."""
    try:
        return parse_toml(text_of(data))
    except ValueError as error:
        raise ManifestProblem(f"it is no TOML: {error}"[:_MAX_CHARS]) from None
    except RecursionError:
        raise ManifestProblem("it is nested too deeply") from None


def json_of(data: bytes) -> Table:
    """A JSON manifest; raises ManifestProblem."""
    try:
        value = json.loads(text_of(data))
    except json.JSONDecodeError as error:
        raise ManifestProblem(f"it is no JSON: {error}"[:_MAX_CHARS]) from None
    except (RecursionError, ValueError):
        raise ManifestProblem("it is no JSON, or nested too deeply") from None
    if not isinstance(value, dict):
        raise ManifestProblem("it is no JSON object")
    return value


def clean(text: str) -> str:
    """A value on one line, without control characters, cut to what is worth telling."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _MAX_CHARS]).split())
    return line if len(line) <= _MAX_CHARS else line[: _MAX_CHARS - 1] + "…"


_USER = re.compile(r"(://)[^/@\s]*@")
"""Of a URL; often a token that is nobody's business."""


def dependencies(found: Iterable[Dependency]) -> tuple[Dependency, ...]:
    """Each name once in each group, in order, cleaned and bounded."""
    kept: dict[tuple[str, str], Dependency] = {}
    for one in found:
        name, group = clean(one.name), clean(one.group)
        if name and (name, group) not in kept:
            wanted = _USER.sub(r"\1", clean(one.wanted))
            kept[name, group] = Dependency(name, wanted, group, one.inherited)
            if len(kept) == MAX_DEPENDENCIES:
                break
    return tuple(kept.values())


def entry_points(found: Iterable[EntryPoint]) -> tuple[EntryPoint, ...]:
    """Each once, in order, cleaned and bounded."""
    kept: dict[EntryPoint, None] = {}
    for one in found:
        point = EntryPoint(one.kind, clean(one.name), clean(one.target))
        if point.name:
            kept[point] = None
            if len(kept) == MAX_ENTRY_POINTS:
                break
    return tuple(kept)
