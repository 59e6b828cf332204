"""Import statements: from a query's captures to rows. The captures are described in `ghostd.index.parse`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from tree_sitter import Node

from ghostd.index.use_trees import flatten_use

_MAX_DEPTH = 32
"""So far up is looked for what surrounds a statement."""
_MAX_LISTED = 5000

_MAX_MACRO_CHARS = 20_000
_MACRO_ITEM = re.compile(
    r"//[^\n]*|/\*.*?\*/|(?P<pub>\bpub(?:\s*\([^)\n]*\))?\s+)?"
    r"\b(?:mod\s+(?P<mod>(?:r#)?\w+)\s*;|use\s+(?P<use>[\w:*{}\s,#]{1,2000});)",
    re.DOTALL,
)

_PASSED = frozenset(("await_expression", "parenthesized_expression", "non_null_expression", "as_expression"))
_ALL = re.compile(rb"^__all__[ \t]*(?::[^=\n]+)?(?:(?:\+?=)[ \t]*|\.(?:extend|append)\()([^\n]*)", re.MULTILINE)
_LITERAL = re.compile(rb"[ \t]*[\[(]([^\[\]()]*)[\])]")
_QUOTED = re.compile(rb"'([^'\n]*)'|\"([^\"\n]*)\"")


class ImportRow(NamedTuple):
    """The fields of `ghostd.indexed.Import`, but for the path."""

    module: str
    names: list[str]
    line: int
    as_names: list[str]
    kind: str = "import"
    container: str = ""


def import_rows(grammar: str, captures: dict[str, list[Node]], source: bytes) -> list[ImportRow]:
    """What the file imports, and the lists of what it gives on, in source order."""
    rows = _statements(captures, source)
    if "exports" in captures:
        rows.extend(_exports(captures["exports"], source))
    if grammar == "python" and b"__all__" in source:
        rows.extend(_dunder_all(source))
    return rows


def _statements(captures: dict[str, list[Node]], source: bytes) -> list[ImportRow]:
    statements = {node.start_byte: node for node in captures.get("import", ())}
    if not statements:
        return []
    parts: list[tuple[int, str, Node]] = []
    for capture, nodes in captures.items():
        if capture.startswith("import."):
            parts.extend((n.start_byte, capture[7:], n) for n in nodes)
    parts.sort(key=itemgetter(0))
    rows: list[ImportRow] = []
    position = 0
    for start in sorted(statements):
        node = statements[start]
        inside: list[tuple[str, Node]] = []
        body = node.child_by_field_name("body") if node.type == "mod_item" else None
        end = node.end_byte if body is None else body.start_byte
        while position < len(parts) and parts[position][0] < end:
            inside.append(parts[position][1:])
            position += 1
        rows.extend(_rows(node, inside, source))
    return rows


@dataclass(slots=True)
class _Read:
    """What has been read of one statement."""

    names: list[str] = field(default_factory=list)
    as_names: list[str] = field(default_factory=list)
    modules: list[tuple[str, list[str]]] = field(default_factory=list)
    """Each with its name in this file, if that is another."""
    whole: list[str] = field(default_factory=list)
    """What the module as a whole is called."""

    def add(self, kind: str, node: Node, source: bytes) -> None:
        text = _unquoted(node, source)
        if kind == "module":
            self.modules.append((text, []))
        elif kind == "namespace":
            self.whole.append(text)
        elif kind == "as" and self.names:
            self.as_names[-1] = text
        elif kind == "as" and self.modules:
            self.modules[-1][1].append(text)
        elif kind == "specifier":
            self.names.append(_field(node, "name", source) or "default")
            self.as_names.append(_field(node, "alias", source) or self.names[-1])
        elif kind in ("name", "default", "all"):
            self.names.append({"default": "default", "all": "*"}.get(kind, text))
            self.as_names.append("*" if kind == "all" else text)


def _rows(statement: Node, parts: list[tuple[str, Node]], source: bytes) -> list[ImportRow]:
    line = statement.start_point[0] + 1
    kinds = {kind for kind, _ in parts}
    if not kinds.isdisjoint(("tree", "mod", "macro")):
        return _rust_rows(statement, parts, line, source)
    if "dotted" in kinds:
        return [_dotted(_text(source, *n.byte_range), "all" in kinds, line) for k, n in parts if k == "dotted"]
    read = _Read()
    for kind, node in parts:
        read.add(kind, node, source)
    given = "reexport" if statement.type in ("export_statement", "using_namespace_declaration") else "import"
    if statement.type in ("call_expression", "builtin_function"):
        given, read.names, read.as_names, read.whole = _bound(statement, source)
    rows = [ImportRow(module, [], line, read.whole[:1], given) for module, _ in read.modules[:1] if read.whole]
    if read.names and read.modules:
        as_names = read.as_names if read.as_names != read.names else []
        rows.append(ImportRow(read.modules[0][0], read.names, line, as_names, given))
    return rows or [ImportRow(module, [], line, alias[:1], given) for module, alias in read.modules]


def _dotted(text: str, everything: bool, line: int) -> ImportRow:
    """Java's `a.b.C`, `a.b.*`."""
    module, _, name = (text, "", "*") if everything else text.rpartition(".")
    return ImportRow(module, [name], line, []) if module else ImportRow(name, [], line, [])


def _bound(call: Node, source: bytes) -> tuple[str, list[str], list[str], list[str]]:
    """What `const … = require(…).a` or Zig's `const … = @import(…).a` names: kind, names, as_names, whole."""
    kind = "import"
    path: list[str] = []
    node = call
    for _ in range(_MAX_DEPTH):
        above = node.parent
        if above is None:
            break
        if above.type in ("member_expression", "field_expression"):
            member = above.child_by_field_name("property") or above.child_by_field_name("member")
            if member is None or member.start_byte < node.end_byte:
                break
            path.append(_text(source, *member.byte_range))
        elif above.type == "using_namespace_declaration":
            return "reexport", ["*"], ["*"], []
        elif above.type in ("variable_declarator", "variable_declaration"):
            if above.type == "variable_declaration" and above.children and above.children[0].type == "pub":
                kind = "reexport"
            target = above.child_by_field_name("name") or next(
                (c for c in above.children if c.type == "identifier"), None
            )
            if target is None or target.start_byte >= node.start_byte:
                break
            if target.type == "object_pattern" and not path:
                return kind, *_pattern(target, source), []
            if target.type != "identifier":
                break
            name = _text(source, *target.byte_range)
            return (kind, [".".join(path)], [name], []) if path else (kind, [], [], [name])
        elif above.type not in _PASSED:
            break
        node = above
    return kind, [], [], []


def _pattern(pattern: Node, source: bytes) -> tuple[list[str], list[str]]:
    """`{a, b: c}` → (a, b), (a, c)."""
    names: list[str] = []
    as_names: list[str] = []
    for child in pattern.named_children:
        if child.type == "shorthand_property_identifier_pattern":
            names.append(_text(source, *child.byte_range))
            as_names.append(names[-1])
        elif child.type == "pair_pattern":
            key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
            if key is not None and value is not None and value.type == "identifier":
                names.append(_text(source, *key.byte_range))
                as_names.append(_text(source, *value.byte_range))
    return names, as_names


def _rust_rows(statement: Node, parts: list[tuple[str, Node]], line: int, source: bytes) -> list[ImportRow]:
    container = _modules_around(statement, source)
    public = any(child.type == "visibility_modifier" for child in statement.children[:1])
    rows: list[ImportRow] = []
    for kind, node in parts:
        text = _text(source, *node.byte_range)
        if kind == "tree":
            given = "reexport" if public else "import"
            rows.extend(
                ImportRow(module, names, line, as_names, given, container)
                for module, names, as_names in flatten_use(text)
            )
        elif kind == "macro":
            rows.extend(_items_of_macro(text, line))
        elif kind == "mod" and statement.child_by_field_name("body") is not None:
            rows.append(ImportRow("", [], line, [text], "mod", container))
        elif kind == "mod":
            path = _path_attribute(statement, source)
            rows.append(ImportRow(path or text, [], line, [text] if path else [], "mod", container))
    return rows


def _items_of_macro(text: str, line: int) -> Iterator[ImportRow]:
    """The `mod x;` and `use …;` in a macro's braces (`cfg_rt! { pub mod task; }`), which the grammar leaves alone."""
    for item in _MACRO_ITEM.finditer(text[:_MAX_MACRO_CHARS]):
        at = line + text.count("\n", 0, item.start())
        if item["mod"]:
            yield ImportRow(item["mod"], [], at, [], "mod")
        elif item["use"]:
            kind = "reexport" if item["pub"] else "import"
            yield from (ImportRow(module, names, at, own, kind) for module, names, own in flatten_use(item["use"]))


def _modules_around(statement: Node, source: bytes) -> str:
    around: list[str] = []
    node = statement.parent
    for _ in range(_MAX_DEPTH):
        if node is None or node.type == "source_file":
            break
        if node.type == "mod_item" and (name := node.child_by_field_name("name")) is not None:
            around.append(_text(source, *name.byte_range))
        node = node.parent
    return ".".join(reversed(around))


def _path_attribute(statement: Node, source: bytes) -> str:
    """The file that `#[path = "…"]` before a `mod` names; ""."""
    node = statement.prev_sibling
    for _ in range(_MAX_DEPTH):
        if node is None or node.type not in ("attribute_item", "line_comment", "block_comment"):
            break
        text = _text(source, *node.byte_range)
        found = re.match(r'#\s*\[\s*path\s*=\s*r?"([^"\n]{1,300})"\s*\]', text)
        if found:
            return found[1]
        node = node.prev_sibling
    return ""


def _exports(nodes: list[Node], source: bytes) -> list[ImportRow]:
    """JavaScript's `export {a as b}` without a module, and what `export default` names."""
    rows: list[ImportRow] = []
    for node in sorted(nodes, key=lambda n: n.start_byte):
        line = node.start_point[0] + 1
        if node.type != "export_clause":
            rows.append(ImportRow("", [_text(source, *node.byte_range)], line, ["default"], "exports"))
            continue
        if node.parent is not None and node.parent.child_by_field_name("source") is not None:
            continue
        names: list[str] = []
        as_names: list[str] = []
        for child in node.named_children:
            if name := _field(child, "name", source):
                names.append(name)
                as_names.append(_field(child, "alias", source) or name)
        if names:
            rows.append(ImportRow("", names, line, as_names if as_names != names else [], "exports"))
    return rows


def _dunder_all(source: bytes) -> list[ImportRow]:
    """Python's `__all__`, as far as it is written out."""
    names: list[str] = []
    line = 0
    open_ended = False
    for found in _ALL.finditer(source):
        line = line or source.count(b"\n", 0, found.start()) + 1
        if found[0].partition(b"(")[0].endswith(b".append"):
            quoted = _QUOTED.match(source, found.start(1))
        else:
            literal = _LITERAL.match(source, found.start(1))
            quoted = None
            if literal is not None:
                names.extend(_decoded(match) for match in _QUOTED.finditer(_uncommented(literal[1])))
                rest = source[literal.end() : literal.end() + 200].partition(b"\n")[0].split(b"#")[0].strip(b" \t\r)")
                open_ended = open_ended or bool(rest)
                continue
        if quoted is None:
            open_ended = True
        else:
            names.append(_decoded(quoted))
    if not line:
        return []
    names = names[:_MAX_LISTED]
    return [ImportRow("", [*names, "*"] if open_ended else names, line, [], "exports")]


def _uncommented(text: bytes) -> bytes:
    return re.sub(rb"#[^\n]*", b"", text) if b"#" in text else text


def _decoded(match: re.Match[bytes]) -> str:
    return (match[1] if match[1] is not None else match[2]).decode("utf-8", "replace")


def _field(node: Node, name: str, source: bytes) -> str:
    child = node.child_by_field_name(name)
    return _unquoted(child, source) if child is not None else ""


def _unquoted(node: Node, source: bytes) -> str:
    text = _text(source, *node.byte_range)
    if len(text) >= 2 and text[0] in "\"'`<" and text[-1] in "\"'`>":
        return text[1:-1]
    return text


def _text(source: bytes, start: int, end: int) -> str:
    return source[start:end].decode("utf-8", "replace")
