"""What a file is called where it is imported."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from ghostd.indexed import IndexedFile
from ghostd.next_edit.document import Source
from ghostd.resolve.resolved import ResolvedImport

_SCRIPT_ENDS = re.compile(r"(?:\.d)?\.[cm]?[jt]sx?$")
_RELATIVE = (".", "super", "self")


def module_as_written(path: PurePosixPath, imports: Sequence[Sequence[ResolvedImport]]) -> str:
    """What most of these imports (a list for each file) call a file by its full name; "" for none."""
    written = Counter(
        each.statement.module
        for found in imports
        for each in found
        if path in each.targets and each.statement.names and not each.statement.module.startswith(_RELATIVE)
    )
    return written.most_common(1)[0][0] if written else ""


def python_module(path: PurePosixPath, files: Sequence[IndexedFile]) -> str:
    """By the packages that it lies in; "" where that does not say it. `files` are those of the project."""
    packages = {file.path for file in files if file.path.name == "__init__.py"}
    folder, parts = path.parent, [] if path.name == "__init__.py" else [path.stem]
    while folder.parts and folder / "__init__.py" in packages:
        parts.insert(0, folder.name)
        folder = folder.parent
    if not parts or not all(part.isidentifier() for part in parts):
        return ""
    if len(parts) == 1 and folder.parts and folder.name not in ("src", "lib"):
        return ""  # it lies in no package: where it is imported from is unknown
    return ".".join(parts)


def rust_module(path: PurePosixPath) -> str:
    """By its place in the crate; "" where it lies in none."""
    if "src" not in path.parts:
        return ""
    parts = list(path.parts[path.parts.index("src") + 1 :])
    stem = PurePosixPath(parts.pop()).stem
    return "::".join(["crate", *parts, *([] if stem in ("mod", "lib", "main") else [stem])])


def script_module(source: Source, path: PurePosixPath) -> str:
    """As a file that imports it by its path would write that, with an ending if its other imports have one."""
    here = source.path.parent.parts
    shared = 0
    while shared < min(len(here), len(path.parts) - 1) and here[shared] == path.parts[shared]:
        shared += 1
    relative = "/".join([".."] * (len(here) - shared) + list(path.parts[shared:]))
    bare = _SCRIPT_ENDS.sub("", relative)
    used = re.findall(r"from\s*[\"'](\.[^\"']*)[\"']", source.text)
    ending = next((end for end in (".js", ".ts", ".mjs") if any(each.endswith(end) for each in used)), "")
    if not ending and bare.endswith("/index"):
        bare = bare[: -len("/index")]
    return (bare if bare.startswith(".") else f"./{bare}") + ending
