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
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from operator import itemgetter

from tree_sitter import Language, Node, Parser, Query, QueryCursor

from ghostd.index import cpp_gaps, rust_gaps
from ghostd.index.imports import ImportRow, import_rows
from ghostd.index.typescript_gaps import filled

MAX_NAME_BYTES = 200
MAX_SIGNATURE_CHARS = 200
_MODULE_OF = {"tsx": ("typescript", "language_tsx"), "typescript": ("typescript", "language_typescript")}

_CALLABLE = frozenset(("function", "method", "test", "local"))
_TYPE_LIKE = frozenset(("class", "struct", "interface", "trait", "enum", "union", "type", "scope", "body"))
_LOCALS = frozenset(("variable", "constant", "prototype"))
"""A prototype inside a function is most often a variable: `Value item(key);`."""
_UNSPECIFIC = frozenset(("variable", "constant", "field", "type"))
_BRACED = _TYPE_LIKE | {"test", "macro"}
"""Kinds whose head ends at the first brace, where the grammar has no field for the body."""
_ANONYMOUS = frozenset(("local", "body"))
_NAMELESS = frozenset(("", "local", "body"))
_VALUES = frozenset(("variable", "constant", "field", "property"))
_BODILESS = frozenset(("variable", "constant"))
_NAMELESS_OR_VALUE = _NAMELESS | _VALUES
_ENCLOSING = frozenset(("definition", "scope", "local", "body"))
_BY_PLACE = {"variable": "field", "function": "method", "prototype": "method"}
"""What these kinds are inside a type."""
_COLON = ord(":")
_ORDER = itemgetter(0, 1, 2)
_PLACE = itemgetter(2, 4)

SymbolRow = tuple[str, str, int, int, int, int, int, str, str]
"""name, kind, start, end, start of the name, end of the name, line, container, signature."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one file defines, uses and imports. Offsets are bytes, lines 1-based."""

    symbols: list[SymbolRow]
    imports: list[ImportRow]
    references: dict[bytes, list[int]]
    """Name → start offsets, ascending."""


@dataclass(slots=True, eq=False)
class _Open:
    """A definition, or what else encloses some."""

    node: Node
    start: int
    end: int
    kind: str
    """ "" until its first name is met."""
    outer: _Open | None
    """What encloses it."""
    text: str = ""
    """Its first name."""
    container: str = ""
    _path: tuple[str, ...] | None = None
    _method_path: tuple[str, ...] | None = None

    def is_local(self) -> bool:
        """Whether a value defined here is a function's own, and so no symbol."""
        outer = self.outer
        while outer is not None and outer.kind == "":
            outer = outer.outer
        return outer is not None and outer.kind in _CALLABLE

    def inner_kind(self) -> str:
        """What kind of thing a definition inside stands in; values do not count."""
        item: _Open | None = self
        while item is not None and (item.kind == "" or item.kind in _VALUES):
            item = item.outer
        return item.kind if item is not None else ""

    def path(self, kind: str) -> tuple[str, ...]:
        """The names around a definition of this kind inside, outermost first.

        A value holds methods (an object literal), but `A = B = 1` does not make B a part of A. To be asked only after
        the whole file has been gone through: a name may stand behind what it contains.
        """
        answer, passed_over = ("_method_path", _NAMELESS) if kind == "method" else ("_path", _NAMELESS_OR_VALUE)
        path: tuple[str, ...] | None = None
        pending: list[_Open] = []
        item: _Open | None = self
        while item is not None and (path := getattr(item, answer)) is None:
            pending.append(item)
            item = item.outer
        path = path or ()
        for item in reversed(pending):
            if item.kind not in passed_over:
                path = (*path, f"{item.container}.{item.text}" if item.container else item.text)
            setattr(item, answer, path)
        return path


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


_EMPTY_CONTAINER = re.compile(
    rb"(\b(?:struct|enum|union|opaque)[ \t]*(?:\([^()\n]{0,200}\))?[ \t]*\{)(?:\s|//[^\n]*+\n)*+\}"
)


def is_sound(grammar: str, source: bytes) -> bool:
    """Whether the grammar takes all of `source`."""
    if grammar == "zig":
        source = _EMPTY_CONTAINER.sub(rb"\1 const a = 0; }", source)  # which the grammar does not know
    return not _grammar(grammar)[0].parse(_filled(grammar, source)[0]).root_node.has_error


def _filled(grammar: str, source: bytes) -> tuple[bytes, list[tuple[bytes, int]]]:
    """The text for the parser, as long as `source`, and the macros that are not in it, with their offsets."""
    if grammar in ("typescript", "tsx"):
        return filled(source), []
    if grammar == "rust":
        return rust_gaps.filled(source)
    if grammar == "cpp":
        return cpp_gaps.filled(source)
    return source, []


def parse(grammar: str, source: bytes) -> Parsed:
    """Everything the index wants to know about `source`, also around syntax errors."""
    parser, query = _grammar(grammar)
    text, macros = _filled(grammar, source)
    tree = parser.parse(text)
    captures = QueryCursor(query).captures(tree.root_node)
    symbols, taken = _symbols(captures, source)
    references: dict[bytes, list[int]] = defaultdict(list)
    for name, start in macros:
        references[name].append(start)
    for node in captures.get("reference", ()):
        start = node.start_byte
        if start not in taken:
            references[source[start : node.end_byte]].append(start)
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
        if capture in _ENCLOSING:
            events += [(n.start_byte, 0, -n.end_byte, capture, n) for n in nodes]
        elif capture == "container":
            events += [(n.start_byte, 1, -1, capture, n) for n in nodes]
        elif capture.startswith("name."):
            kind = capture[5:]
            unspecific = int(kind in _UNSPECIFIC)
            events += [(n.start_byte, 1, unspecific, kind, n) for n in nodes]
    events.sort(key=_ORDER)
    rows: list[SymbolRow] = []
    taken: set[int] = set()
    for text, named, start, node, item in _pair(events, source):
        kind, outer = named, item.outer
        around: tuple[str, ...] = ()
        if outer is not None:
            if kind in _BY_PLACE and outer.inner_kind() in _TYPE_LIKE:
                kind = _BY_PLACE[kind]
            around = outer.path(kind)
            if kind == "field" and outer.text == "constructor":
                around = around[:-1]  # TypeScript: a parameter that becomes the class's field
        if item.container:
            around = (*around, item.container)
        if kind == "prototype":
            kind = "function"
        taken.add(start)
        end = node.end_byte
        rows.append(
            (
                *(text, kind, item.start, item.end, start, end, node.start_point[0] + 1),
                *(".".join(around), _signature(item, kind, end, source)),
            )
        )
    rows.sort(key=_PLACE)
    return rows, taken


def _pair(events: list[tuple[int, int, int, str, Node]], source: bytes) -> list[tuple[str, str, int, Node, _Open]]:
    """Each name's text, kind, start and node, and its definition.

    A name belongs to the innermost definition around it; `int a, b;` is one definition of two names. Where two
    patterns take the same name, the more specific one comes first.
    """
    top: _Open | None = None
    found: list[tuple[str, str, int, Node, _Open]] = []
    last = -1
    for begin, order, key, capture, node in events:
        # Ruby's symbols (":name") name what `attr_reader` defines.
        start = begin + 1 if order == 1 and source[begin] == _COLON else begin
        while top is not None and top.end <= start:
            top = top.outer
        if order == 0:
            top = _Open(node, start, -key, capture if capture in _NAMELESS else "", top)
            continue
        item = top
        while item is not None and item.kind in _ANONYMOUS:
            item = item.outer
        if item is None or start == last or (capture in _LOCALS and item.is_local()):
            continue
        end = node.end_byte
        text = source[start:end].decode("utf-8", "replace")
        if capture == "container":
            item.container = f"{item.container}.{text}" if item.container else text
            continue
        last = start
        if item.kind == "":
            item.kind = capture
            item.text = text
        if capture != "scope" and 0 < end - start <= MAX_NAME_BYTES:
            found.append((text, capture, start, node, item))
    return found


def _signature(item: _Open, kind: str, name_end: int, source: bytes) -> str:
    """The definition's head on one line, without its body."""
    body = item.node.child_by_field_name("body") if kind not in _BODILESS else None
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
