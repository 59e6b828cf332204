"""A name is used that the project defines in one place, and the file does not import: the import."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ghostd.indexed import Import, Symbol
from ghostd.navigation.families import family_of
from ghostd.next_edit.asked import Asked
from ghostd.next_edit.changes import changes
from ghostd.next_edit.document import Source
from ghostd.next_edit.history import Edit
from ghostd.next_edit.proposal import Proposal, propose
from ghostd.next_edit.rename import is_plain
from ghostd.next_edit.roles import MEMBERS, role_at
from ghostd.next_edit.tokens import is_everywhere
from ghostd.next_edit.words import is_known
from ghostd.resolve.resolver import Resolver

_CONFIDENCE = 0.8
_MAX_NAMES = 8
_MAX_IMPORTERS = 12
_MAX_DEFINITIONS = 20
_SCRIPT_ENDS = re.compile(r"(?:\.d)?\.[cm]?[jt]sx?$")


@dataclass(frozen=True, slots=True)
class Imports:
    """Proposes import lines."""

    resolver: Resolver

    async def proposals(self, asked: Asked, source: Source, names: Sequence[str]) -> list[Proposal]:
        """For names that an edit uses for the first time."""
        if source.family not in ("python", "typescript", "rust"):
            return []
        found = []
        for name in names[:_MAX_NAMES]:
            symbol = await self._definition(asked, source, name)
            if symbol is None:
                continue
            module = await self._module(asked, source, symbol)
            if module:
                proposal = import_of(source, name, module)
                if proposal is not None:
                    found.append(proposal)
        return found

    async def _definition(self, asked: Asked, source: Source, name: str) -> Symbol | None:
        """The one definition of a name at the top of a file that can be imported."""
        symbols = await asked.view.definitions(asked.root, name, _MAX_DEFINITIONS)
        able = [
            s
            for s in symbols
            if not s.container and family_of(s.path) == source.family and not _is_test(s.path) and s.path != source.path
        ]
        return able[0] if len({s.path for s in able}) == 1 and len(symbols) < _MAX_DEFINITIONS else None

    async def _module(self, asked: Asked, source: Source, symbol: Symbol) -> str:
        """How the file calls the module of a definition: as other files do, else as its path says."""
        written: Counter[str] = Counter()
        for path in (await self.resolver.importers(asked.root, symbol.path))[:_MAX_IMPORTERS]:
            for each in await self.resolver.imports(asked.root, path, asked.view):
                if symbol.path in each.targets and each.statement.names and not _is_relative(each.statement):
                    written[each.statement.module] += 1
        if written:
            return written.most_common(1)[0][0]
        if source.family == "python":
            packages = {file.path for file in await asked.view.files(asked.root) if file.path.name == "__init__.py"}
            return _python_module(symbol.path, packages)
        if source.family == "rust":
            return _rust_module(symbol.path)
        exported = await _is_exported(asked, symbol)
        return _script_module(source, symbol.path) if exported else ""


def new_names(source: Source, earlier: Source, edit: Edit, cursor: int) -> list[str]:
    """Names that an edit uses, which nothing in the file defines or imports; not one that is being written."""
    span = source.span_of(edit)
    if span is None:
        return []
    first = next((i for i, start in enumerate(source.starts) if start >= span[0]), len(source.starts))
    last = next((i for i, start in enumerate(source.starts) if start >= span[1]), len(source.starts))
    end = span[0] + sum(map(len, edit.before))
    before = [token for token in earlier.tokens[first:] if token.end <= end]
    names: dict[str, None] = {}
    for change in changes(before, source.tokens[first:last]):
        for at in range(first + change.at, first + change.to):
            token = source.tokens[at]
            behind = source.tokens[at + 1].text if at + 1 < len(source.tokens) else ""
            if token.kind != "name" or is_known(token.text, source.family) or token.start < cursor == token.end:
                continue
            if not is_plain(source, at) or role_at(source, at).role != "use":
                continue
            if source.family == "rust" and behind in ("!", ":"):
                continue
            names[token.text] = None
    return [name for name in names if not _is_there(source, name)]


def import_of(source: Source, name: str, module: str) -> Proposal | None:
    """The line that imports a name, in its place among the others; or the name, in the line of its module."""
    reason = f"`{name}` is defined in `{module}`, and is not imported here."
    form, pattern = _FORMS[source.family]
    same = re.compile(pattern % re.escape(module), re.MULTILINE)
    found = same.search(source.text)
    if found is not None:
        names = [each.strip() for each in found["names"].split(",") if each.strip()]
        at = found.start("names")
        new = ", ".join(sorted([*names, name]) if names == sorted(names) else [*names, name])
        return propose(source, at, at + len(found["names"]), new, "import", reason, _CONFIDENCE)
    line = _place(source)
    ending = "\r\n" if "\r\n" in source.text else "\n"
    start = source.lines[line] if line < len(source.lines) else len(source.text)
    lead = ending if start == len(source.text) and source.text and not source.text.endswith("\n") else ""
    return propose(
        source, start, start, f"{lead}{form.format(name=name, module=module)}{ending}", "import", reason, _CONFIDENCE
    )


_STATEMENT = {
    "python": re.compile(r"(?:from|import)\s"),
    "typescript": re.compile(r"import\b"),
    "rust": re.compile(r"(?:pub\s+)?use\s"),
}


def _place(source: Source) -> int:
    """The line of a new import: behind the last one that stands at the margin, else at the top."""
    last, inside, document = -1, False, False
    lines = source.text.split("\n")
    pattern = _STATEMENT[source.family]
    top = 0
    for number, line in enumerate(lines[:400]):
        if inside:
            last = number
            inside = not _ends(line, source.family)
        elif pattern.match(line):
            last = number
            inside = ("(" in line and ")" not in line) or ("{" in line and "}" not in line)
        elif document:
            document = '"""' not in line
            top = number + 1
        elif last < 0 and source.family == "python" and line.startswith('"""'):
            document = line.count('"""') < 2
            top = number + 1
        elif last < 0 and line.startswith(("#!", "//!", "#![", '"use ', "'use ")):
            top = number + 1
    if last < 0:
        return top
    return last + 1


def _ends(line: str, family: str) -> bool:
    return (")" if family == "python" else "}") in line


_FORMS = {
    "python": (
        "from {module} import {name}",
        r"^from[ \t]+%s[ \t]+import[ \t]+(?P<names>[\w, ]+?)[ \t]*$",
    ),
    "typescript": (
        'import {{ {name} }} from "{module}";',
        r"^import[ \t]*\{[ \t]*(?P<names>[\w$, ]+?)[ \t]*\}[ \t]*from[ \t]*[\"']%s[\"']",
    ),
    "rust": (
        "use {module}::{name};",
        r"^use[ \t]+%s::\{[ \t]*(?P<names>[\w, ]+?)[ \t]*\};",
    ),
}
"""Of each family: a new statement, and one that stands there already."""


def _is_there(source: Source, name: str) -> bool:  # noqa: PLR0911 (one for each form)
    """Whether anything in the file defines or imports a name."""
    tokens = source.tokens
    if is_everywhere(source.text, name):
        return True
    for at, token in enumerate(tokens):
        if token.text != name or token.kind != "name":
            continue
        if role_at(source, at).role in ("top", "local", "parameter"):
            return True
        for place in range(at - 1, max(at - 120, -1), -1):
            text = tokens[place].text
            if text in ("import", "use", "extern"):
                return True
            if text in (";", "=", ":", ")") or tokens[place].kind == "string":
                break
        if at + 1 < len(tokens) and tokens[at + 1].text == ">" and source.family in ("rust", "typescript"):
            return True  # perhaps a type parameter
        if at and tokens[at - 1].text == "<" and source.family in ("rust", "typescript"):
            return True
        if at and tokens[at - 1].text in MEMBERS and source.family == "rust":
            return True
    return False


def _is_test(path: PurePosixPath) -> bool:
    return any(part in ("tests", "test", "__tests__", "testdata", "fixtures") for part in path.parts[:-1]) or (
        path.name.startswith("test_") or ".test." in path.name or ".spec." in path.name
    )


def _is_relative(statement: Import) -> bool:
    return statement.module.startswith((".", "super", "self"))


def _python_module(path: PurePosixPath, packages: set[PurePosixPath]) -> str:
    folder, parts = path.parent, [] if path.name == "__init__.py" else [path.stem]
    while folder.parts and folder / "__init__.py" in packages:
        parts.insert(0, folder.name)
        folder = folder.parent
    if not parts or not all(part.isidentifier() for part in parts):
        return ""
    if len(parts) == 1 and folder.parts and folder.name not in ("src", "lib"):
        return ""  # it lies in no package: where it is imported from is unknown
    return ".".join(parts)


def _rust_module(path: PurePosixPath) -> str:
    if "src" not in path.parts:
        return ""
    parts = list(path.parts[path.parts.index("src") + 1 :])
    stem = PurePosixPath(parts.pop()).stem
    return "::".join(["crate", *parts, *([] if stem in ("mod", "lib", "main") else [stem])])


def _script_module(source: Source, path: PurePosixPath) -> str:
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


async def _is_exported(asked: Asked, symbol: Symbol) -> bool:
    data = await asked.view.text(asked.root, symbol.path)
    if data is None:
        return False
    line = data[data.rfind(b"\n", 0, symbol.span.start) + 1 : symbol.name_span.start]
    return line.lstrip().startswith(b"export ") and b"default" not in line
