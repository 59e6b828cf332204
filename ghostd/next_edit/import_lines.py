"""Names that an edit uses and nothing in its file knows, and the line that imports one."""

from __future__ import annotations

import re
from itertools import islice

from ghostd.next_edit.changes import changes
from ghostd.next_edit.document import Source
from ghostd.next_edit.history import Edit
from ghostd.next_edit.proposal import Proposal, propose
from ghostd.next_edit.rename import is_plain
from ghostd.next_edit.roles import MEMBERS, role_at
from ghostd.next_edit.tokens import is_everywhere
from ghostd.next_edit.words import is_known

_CONFIDENCE = 0.8
_MAX_NAMES = 8
_EVERYTHING = {
    "python": re.compile(r"^from[ \t]+\S+[ \t]+import[ \t]+\*", re.MULTILINE),
    "rust": re.compile(r"^(?:pub(?:\([^)\n]*\))?[ \t]+)?use[ \t]+(?!std::)[^;]{0,2000}\*", re.MULTILINE),
}
"""Imports of all names of a module; those within a block, as in Rust's test modules, count for that alone."""


def new_names(source: Source, earlier: Source, edit: Edit, cursor: int) -> list[str]:
    """Names that an edit uses, which nothing in the file defines or imports; not one that is being written.

    None where an import of all names may have brought them.
    """
    span = source.span_of(edit)
    everything = _EVERYTHING.get(source.family)
    if span is None or source.family not in _FORMS or (everything and everything.search(source.text)):
        return []
    first, last = source.tokens_between(*span)
    old_first, old_last = earlier.tokens_between(span[0], span[0] + sum(map(len, edit.before)))
    names: dict[str, None] = {}
    for change in changes(earlier.tokens[old_first:old_last], source.tokens[first:last]):
        for at in range(first + change.at, first + change.to):
            token = source.tokens[at]
            behind = source.tokens[at + 1].text if at + 1 < len(source.tokens) else ""
            if token.kind != "name" or is_known(token.text, source.family) or token.start < cursor == token.end:
                continue
            if not is_plain(source, at) or role_at(source, at).role != "use":
                continue
            if source.family == "rust" and (behind in ("!", ":") or (token.text[0].islower() and behind != "(")):
                continue  # a macro, a field, or what a pattern binds
            names[token.text] = None
    return list(islice((name for name in names if not _is_there(source, name)), _MAX_NAMES))


def import_of(source: Source, name: str, module: str) -> Proposal:
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


_NAMES = r"(?P<names>[\w$]+(?:[ \t]+[\w$]+)*(?:[ \t]*,[ \t]*[\w$]+(?:[ \t]+[\w$]+)*)*)"
_FORMS = {
    "python": (
        "from {module} import {name}",
        rf"^from[ \t]+%s[ \t]+import[ \t]+{_NAMES}[ \t]*\r?$",
    ),
    "typescript": (
        'import {{ {name} }} from "{module}";',
        rf"^import[ \t]*\{{[ \t]*{_NAMES}[ \t]*\}}[ \t]*from[ \t]*[\"']%s[\"']",
    ),
    "rust": (
        "use {module}::{name};",
        rf"^use[ \t]+%s::\{{[ \t]*{_NAMES}[ \t]*\}};",
    ),
}
"""Of each family: a new statement, and one that stands there already."""


def _is_there(source: Source, name: str) -> bool:  # noqa: PLR0911 (one for each form)
    """Whether anything in the file defines or imports a name."""
    tokens = source.tokens
    if is_everywhere(source.text, name):
        return True
    for at in source.places(name):
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
