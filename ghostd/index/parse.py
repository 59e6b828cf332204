"""Source text → definitions, references and imports, by tree-sitter and the query files in `queries/`.

Only the worker process imports this module: py-tree-sitter holds the GIL while it parses, and a hostile file can
crash it. Nothing here recurses, so the depth of a tree does not matter.

The query files use these captures. A definition is two captures, in one pattern: `@definition` (the whole) and
`@name.KIND` (its name; KIND is a SymbolKind). `@scope` with `@name.scope` names its inner definitions' container
without being a definition; `@container` names a definition's own container where that stands in its head (receivers
in Go, `Type::` in C++). `@local` marks an anonymous function, inside of which variables are local, and `@body` an
anonymous type, inside of which they are not. Where several patterns take the same name, the most specific kind wins.
`@import` is a whole import, with `@import.module`, `@import.name`, `@import.as` (the new name of what precedes it),
`@import.all`, `@import.default` and `@import.namespace` (what these are called in the file) and `@import.specifier`
(JavaScript's `a as b`) inside, or `@import.tree` (Rust's `use` tree), `@import.mod`, `@import.macro` (a macro's items
of these names), or `@import.dotted` (Java). `@exports` is what a file gives on by a list or as its default.

`@reference` is any use of a name, and is a pattern of a single node: a pattern that waits for a later sibling makes
the query quadratic in the tree's depth.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from operator import itemgetter
from typing import NamedTuple

from tree_sitter import Language, Node, Parser, Query, QueryCursor

from ghostd.index.imports import ImportRow, import_rows
from ghostd.index.typescript_gaps import filled

MAX_NAME_BYTES = 200
MAX_SIGNATURE_CHARS = 200
_MODULE_OF = {"tsx": ("typescript", "language_tsx"), "typescript": ("typescript", "language_typescript")}

_CALLABLE = frozenset(("function", "method", "test", "local"))
_TYPE_LIKE = frozenset(("class", "struct", "interface", "trait", "enum", "union", "type", "scope", "body"))
_LOCALS = frozenset(("variable", "constant"))
_UNSPECIFIC = frozenset(("variable", "constant", "field", "type"))
_BRACED = _TYPE_LIKE | {"test", "macro"}
"""Kinds whose head ends at the first brace, where the grammar has no field for the body."""
_ANONYMOUS = frozenset(("local", "body"))
_NAMELESS = frozenset(("", "local", "body"))
_VALUES = frozenset(("variable", "constant", "field", "property"))
_NAMELESS_OR_VALUE = _NAMELESS | _VALUES

SymbolRow = tuple[str, str, int, int, int, int, int, str, str]
"""name, kind, start, end, start of the name, end of the name, line, container, signature."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one file defines, uses and imports. Offsets are bytes, lines 1-based."""

    symbols: list[SymbolRow]
    imports: list[ImportRow]
    references: dict[bytes, list[int]]
    """Name → start offsets, ascending."""


class _Name(NamedTuple):
    text: str
    kind: str
    start: int
    end: int
    line: int


@dataclass(slots=True)
class _Open:
    """A definition whose end has not been reached yet while `_pair` goes through the file."""

    node: Node
    start: int
    end: int
    kind: str = ""
    """ "" until its first name is met."""
    text: str = ""
    """Its first name."""
    container: str = ""

    @property
    def label(self) -> str:
        """What definitions inside call their container."""
        return f"{self.container}.{self.text}" if self.container else self.text


@cache
def _grammar(name: str) -> tuple[Parser, Query]:
    package, function = _MODULE_OF.get(name, (name, "language"))
    module = importlib.import_module(f"tree_sitter_{package}")
    language = Language(getattr(module, function)())
    # TSX is TypeScript with more syntax; TypeScript's query is written to fit both.
    query_name = "typescript" if name == "tsx" else name
    text = (files("ghostd.index") / "queries" / f"{query_name}.scm").read_text(encoding="utf-8")
    return Parser(language), Query(language, text)


def load(grammar: str) -> None:
    """Load a grammar and compile its query; the first file of a language pays for that."""
    _grammar(grammar)


def parse(grammar: str, source: bytes) -> Parsed:
    """Everything the index wants to know about `source`, also around syntax errors."""
    parser, query = _grammar(grammar)
    tree = parser.parse(filled(source) if grammar in ("typescript", "tsx") else source)
    captures = QueryCursor(query).captures(tree.root_node)
    symbols, taken = _symbols(captures, source)
    references: dict[bytes, list[int]] = defaultdict(list)
    nodes = captures.get("reference", ())
    for start, end in zip([node.start_byte for node in nodes], [node.end_byte for node in nodes], strict=True):
        if start not in taken:
            references[source[start:end]].append(start)
    references.pop(b"", None)  # a node that the parser made up to recover from an error
    for name in [name for name in references if len(name) > MAX_NAME_BYTES]:
        del references[name]
    for starts in references.values():
        starts.sort()  # captures come in no order
    return Parsed(symbols, import_rows(grammar, captures, source), references)


def _symbols(captures: dict[str, list[Node]], source: bytes) -> tuple[list[SymbolRow], set[int]]:
    """The definitions in source order, and where their names start."""
    events: list[tuple[int, int, int, str, Node]] = []
    for capture, nodes in captures.items():
        if capture in ("definition", "scope", "local", "body"):
            events += [(n.start_byte, 0, -n.end_byte, capture, n) for n in nodes]
        elif capture == "container":
            events += [(n.start_byte, 1, -1, capture, n) for n in nodes]
        elif capture.startswith("name."):
            kind = capture[5:]
            unspecific = int(kind in _UNSPECIFIC)
            events += [(n.start_byte, 1, unspecific, kind, n) for n in nodes]
    events.sort(key=itemgetter(0, 1, 2))
    rows: list[SymbolRow] = []
    taken: set[int] = set()
    for name, item, containers in _pair(events, source):
        kind = _kind(name.kind, containers)
        taken.add(name.start)
        # A value holds methods (an object literal), but `A = B = 1` does not make B a part of A.
        passed_over = _NAMELESS if kind == "method" else _NAMELESS_OR_VALUE
        dotted = [c.label for c in containers if c.kind not in passed_over]
        if kind == "field" and dotted and containers[-1].text == "constructor":
            dotted.pop()  # TypeScript: a parameter that becomes the class's field
        if item.container:
            dotted.append(item.container)
        signature = _signature(item, kind, name.end, source)
        rows.append(
            (
                *(name.text, kind, item.start, item.end, name.start, name.end, name.line),
                *(".".join(dotted), signature),
            )
        )
    rows.sort(key=itemgetter(2, 4))
    return rows, taken


def _pair(events: list[tuple[int, int, int, str, Node]], source: bytes) -> list[tuple[_Name, _Open, list[_Open]]]:
    """Each name with its definition and what encloses that, outermost first.

    A name belongs to the innermost definition around it; `int a, b;` is one definition of two names. Where two
    patterns take the same name, the more specific one comes first.
    """
    stack: list[_Open] = []
    found: list[tuple[_Name, _Open, list[_Open]]] = []
    last = -1
    for begin, order, key, capture, node in events:
        # Ruby's symbols (":name") name what `attr_reader` defines.
        start = begin + 1 if order == 1 and source[begin : begin + 1] == b":" else begin
        while stack and stack[-1].end <= start:
            stack.pop()
        if order == 0:
            stack.append(_Open(node, start, -key, capture if capture in _NAMELESS else ""))
            continue
        depth = len(stack) - 1
        while depth >= 0 and stack[depth].kind in _ANONYMOUS:
            depth -= 1
        if depth < 0 or start == last:
            continue
        item = stack[depth]
        if capture in _LOCALS and _is_local(stack, depth):
            continue
        end = node.end_byte
        text = _text(source, start, end)
        if capture == "container":
            item.container = f"{item.container}.{text}" if item.container else text
            continue
        last = start
        if item.kind == "":
            item.kind = capture
            item.text = text
        if capture != "scope" and 0 < end - start <= MAX_NAME_BYTES:
            found.append((_Name(text, capture, start, end, node.start_point[0] + 1), item, stack[:depth]))
    return found


def _is_local(stack: list[_Open], depth: int) -> bool:
    """Whether a value defined at this depth is a function's own, and so no symbol."""
    depth -= 1
    while depth >= 0 and stack[depth].kind == "":
        depth -= 1
    return depth >= 0 and stack[depth].kind in _CALLABLE


def _kind(kind: str, containers: list[_Open]) -> str:
    """The symbol's kind in its place."""
    inner = ""
    for container in reversed(containers):
        if container.kind and container.kind not in _VALUES:
            inner = container.kind
            break
    if kind == "variable" and inner in _TYPE_LIKE:
        return "field"
    if kind == "function" and inner in _TYPE_LIKE:
        return "method"
    return kind


def _signature(item: _Open, kind: str, name_end: int, source: bytes) -> str:
    """The definition's head on one line, without its body."""
    body = item.node.child_by_field_name("body")
    if body is None and kind in _CALLABLE:
        value = item.node.child_by_field_name("value") or item.node.child_by_field_name("right")
        body = value.child_by_field_name("body") if value is not None else None
    end = item.end
    if body is not None and body.start_byte > name_end:
        end = body.start_byte
    elif (newline := source.find(b"\n", name_end, end)) >= 0:
        end = newline
    head = source[item.start : min(end, item.start + 4 * MAX_SIGNATURE_CHARS)]
    if body is None and kind in _BRACED:
        head = head.partition(b"{")[0]
    text = " ".join(head.decode("utf-8", "replace").split())
    return text[:MAX_SIGNATURE_CHARS].removesuffix("=>").rstrip(" {:=;,")


def _text(source: bytes, start: int, end: int) -> str:
    return source[start:end].decode("utf-8", "replace")
