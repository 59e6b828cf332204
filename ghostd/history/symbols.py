"""Which definitions a commit touched: the lines of its hunks, and what encloses these lines in the file as committed.

The files of each commit are not parsed: what encloses a line is told by indentation and by how a definition's first
line looks. What is thus taken for one and is none is left out later, by asking the index.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pygit2

from ghostd.config.projects import HistoryConfig
from ghostd.history.reading import commit_of

MAX_SYMBOLS = 100
"""Of one commit; more say nothing about which belong together."""
_MAX_BYTES = 4 * 1024 * 1024
"""Of the files of one commit together."""
_MAX_LINE = 400
_MAX_NESTED = 16
_TAB = 4

_NODE = re.compile(
    r"(?:export\s+)?(?:default\s+)?(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?"
    r"(?:(?:class|interface|enum|namespace|function\*?|type)\s+(?P<a>[\w$]+)"
    r"|(?:const|let|var)\s+(?P<b>[\w$]+)\s*(?::[^=]{1,200})?=\s*(?:async\b\s*)?(?:\(|function\b|class\b|[\w$]+\s*=>)"
    r"|(?:(?:public|private|protected|static|override|get|set|async|readonly)\s+)*\*?(?P<c>#?[\w$]+)\s*(?:<[^>]{0,100}>)?\("
    r"(?!.*(?:=>|\bfunction\b))(?=.*\{\s*$))"
)
_CLASSY = re.compile(
    r"(?!return\b|throw\b|await\b|else\b|new\b)"
    r"(?:(?:public|private|protected|internal|static|final|abstract|sealed|partial|virtual|override|async|default|new"
    r"|synchronized|native|readonly)\s+)*"
    r"(?:(?:class|interface|enum|record|struct|namespace)\s+(?P<a>\w+)|[\w<>\[\],.? ]{1,100}\s(?P<b>\w+)\s*\()"
)
_C = re.compile(
    r"(?:typedef\s+)?(?:class|struct|enum(?:\s+class)?|union|namespace)\s+(?P<a>\w+)(?!.*;\s*$)"
    r"|(?:[A-Za-z_][\w:<>,*&\s]{0,150}[\s*&])(?P<b>~?\w+)\s*\((?!.*;\s*$)"
)
_HEADS: dict[str, re.Pattern[str]] = {
    "py pyi": re.compile(r"(?:async\s+)?(?:def|class)\s+(?P<a>\w+)"),
    "ts tsx js jsx mts cts mjs cjs": _NODE,
    "rs": re.compile(
        r"(?:pub(?:\([^)]{0,40}\))?\s+)?(?:(?:default|unsafe|async|const|extern(?:\s+\"[^\"]{0,20}\")?)\s+)*"
        r"(?:(?:fn|struct|enum|trait|mod|union)\s+(?P<a>\w+)|impl\b(?:.*\bfor\b)?\s*(?:<[^>]{0,100}>)?\s*&?(?:\w+::)*(?P<b>\w+))"
    ),
    "zig": re.compile(
        r"(?:pub\s+)?(?:(?:export|inline|noinline|extern)\s+)*fn\s+(?P<a>\w+)"
        r"|(?:pub\s+)?const\s+(?P<b>\w+)\s*=\s*(?:packed\s+|extern\s+)?(?:struct|enum|union|opaque)\b"
    ),
    "go": re.compile(r"func\s+(?:\((?:\w+\s+)?\*?(?P<owner>\w+)[^)]{0,60}\)\s*)?(?P<a>\w+)|type\s+(?P<b>\w+)"),
    "java cs": _CLASSY,
    "c h cc cpp cxx hh hpp hxx": _C,
    "rb": re.compile(r"(?:def\s+(?:self\.)?|class\s+|module\s+)(?P<a>\w+[?!]?)"),
    "lua": re.compile(r"(?:local\s+)?function\s+(?:[\w.]+[.:])?(?P<a>\w+)"),
    "sh bash": re.compile(r"(?:function\s+)?(?P<a>\w+)\s*\(\)"),
}
_BY_EXTENSION = {extension: pattern for names, pattern in _HEADS.items() for extension in names.split()}
_NO_NAMES = frozenset(
    ("if", "for", "while", "switch", "catch", "return", "else", "do", "new", "await", "typeof", "function", "match")
)
_GOES_ON = (")", "]", "{", "public:", "private:", "protected:", "where ")
"""A line that begins so belongs to what begins at its own indentation."""


def enclosing(path: str, text: str) -> list[str]:
    """For each line the dotted name of the definition around it; "" where there is none."""
    head = _BY_EXTENSION.get(path.rpartition(".")[2].lower())
    if head is None:
        return []
    found: list[str] = []
    stack: list[tuple[int, str]] = []
    for line in text.split("\n"):
        code = line[:_MAX_LINE].lstrip()
        if code and not code.startswith("#"):
            indent = _indent(line)
            least = indent + 1 if code.startswith(_GOES_ON) else indent
            while stack and stack[-1][0] >= least:
                stack.pop()
            match = head.match(code)
            name = _named(match) if match is not None else ""
            if name and name not in _NO_NAMES and len(stack) < _MAX_NESTED:
                stack.append((indent, f"{stack[-1][1]}.{name}" if stack else name))
        found.append(stack[-1][1] if stack else "")
    return found


def touched_symbols(repository: pygit2.Repository, commit_id: str, config: HistoryConfig) -> list[tuple[bytes, str]]:
    """(path, dotted name) of what a commit touched, containers included.

    Empty where trees or contents are missing, or where it is too much.
    """
    commit = commit_of(repository, commit_id)
    if commit is None or len(commit.parent_ids) > 1:
        return []
    found: dict[tuple[bytes, str], None] = {}
    left = _MAX_BYTES
    try:
        diff = _difference(commit)
        if len(diff) > config.max_files_per_commit:
            return []
        for patch in diff:
            data = _content(repository, patch, config) if patch is not None else None
            if patch is None or data is None:
                continue
            left -= len(data)
            if left < 0:
                return []
            found |= dict.fromkeys(_touched(patch, data))
            if len(found) > MAX_SYMBOLS:
                return []
    except (pygit2.GitError, KeyError, ValueError):
        return []
    return list(found)


def _difference(commit: pygit2.Commit) -> pygit2.Diff:
    flags = pygit2.enums.DiffOption.IGNORE_SUBMODULES
    if commit.parent_ids:
        return commit.parents[0].tree.diff_to_tree(commit.tree, flags=flags, context_lines=0)
    return commit.tree.diff_to_tree(flags=flags, context_lines=0, swap=True)


def _content(repository: pygit2.Repository, patch: pygit2.Patch, config: HistoryConfig) -> bytes | None:
    """A file as it was committed; None where it is none that is looked into."""
    name = os.fsdecode(patch.delta.new_file.raw_path)
    if patch.delta.status == pygit2.enums.DeltaStatus.DELETED or name.rpartition(".")[2].lower() not in _BY_EXTENSION:
        return None
    blob = repository.get(patch.delta.new_file.id)
    if not isinstance(blob, pygit2.Blob) or blob.size > config.max_file_bytes or b"\0" in blob.data[:8000]:
        return None
    return blob.data


def _touched(patch: pygit2.Patch, data: bytes) -> Iterator[tuple[bytes, str]]:
    path = patch.delta.new_file.raw_path
    around = enclosing(os.fsdecode(path), data.decode("utf-8", "replace"))
    for hunk in patch.hunks:
        first = max(hunk.new_start - 1, 0)
        for name in dict.fromkeys(around[first : first + max(hunk.new_lines, 1)]):
            parts = name.split(".") if name else []
            yield from ((path, ".".join(parts[:count])) for count in range(1, len(parts) + 1))


def _indent(line: str) -> int:
    width = 0
    for character in line:
        if character == " ":
            width += 1
        elif character == "\t":
            width += _TAB
        else:
            break
    return width


def _named(match: re.Match[str]) -> str:
    groups = match.groupdict()
    name = next((groups[key] for key in ("a", "b", "c") if groups.get(key)), "") or ""
    owner = groups.get("owner")
    return f"{owner}.{name}" if owner and name else name
