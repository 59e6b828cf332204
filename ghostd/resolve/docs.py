"""What is written of a definition beside its code: docstrings and doc comments."""

from __future__ import annotations

import ast
import re

from ghostd.indexed import Symbol
from ghostd.resolve.families import family_of

MAX_DOC_CHARS = 400
_MAX_LOOKED_AT = 8000
"""Bytes before or behind a definition's head."""

_DOCSTRING = re.compile(r"(?:\s|#[^\n]*\n|\\\n)*([rRuU]?)(\"\"\"|'''|\"|')", re.DOTALL)
_TAG = re.compile(r"^\s*@\w+")
_HEADING = re.compile(r"^#{1,6}\s+\S")


def doc_of(symbol: Symbol, source: bytes) -> str:
    """The first paragraph, on one line; "" where there is none, or the file is not the one the symbol was found in."""
    if source[symbol.name_span.start : symbol.name_span.end].decode("utf-8", "replace") != symbol.name:
        return ""
    if family_of(str(symbol.path)) == "python":
        text = _docstring(source[symbol.name_span.end : symbol.span.end][:_MAX_LOOKED_AT].decode("utf-8", "replace"))
    else:
        text = _comment_above(source[max(0, symbol.span.start - _MAX_LOOKED_AT) : symbol.span.start])
    return _first_paragraph(text)


def _docstring(code: str) -> str:
    """The string that follows a head, of which `code` begins behind the name."""
    depth = 0
    end = -1
    for match in re.finditer(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|#[^\n]*|[()\[\]{}:]", code):
        if match[0] in "([{":
            depth += 1
        elif match[0] in ")]}":
            depth -= 1
        elif match[0] == ":" and depth == 0:
            end = match.end()
            break
    opened = _DOCSTRING.match(code, end) if end >= 0 else None
    if opened is None:
        return ""
    closing = code.find(opened[2], opened.end())
    inner = code[opened.end() : closing if closing >= 0 else len(code)]
    if "\\" in inner and opened[1].lower() != "r":
        try:
            inner = str(ast.literal_eval(f'"""{inner}"""'))
        except (ValueError, SyntaxError):
            return inner
    return inner


def _comment_above(before: bytes) -> str:
    """The doc comment that ends right above: `///` lines, or `/** … */`; attributes and decorators may lie between."""
    lines = before.decode("utf-8", "replace").split("\n")
    lines.pop()  # what stands before the definition on its own line: `export`, `pub`, …
    found: list[str] = []
    while lines:
        line = lines.pop().strip()
        if line.startswith("///"):
            found.append(line[3:].removeprefix(" "))
        elif line.endswith("*/") and not found:
            return _block(line, lines)
        elif found or not line.startswith(("#[", "@", "#!")):
            break
    return "\n".join(reversed(found))


def _block(last: str, lines: list[str]) -> str:
    found = [last]
    while not found[-1].startswith("/*") and lines:
        found.append(lines.pop().strip())
    if not found[-1].startswith("/**"):
        return ""
    text = "\n".join(reversed(found)).removeprefix("/**").removesuffix("*/")
    return "\n".join(re.sub(r"^\*+ ?", "", line.strip()) for line in text.split("\n"))


def _first_paragraph(text: str) -> str:
    kept: list[str] = []
    for line in text.strip().split("\n"):
        plain = line.strip()
        if _TAG.match(plain) or (not plain and kept):
            break
        if plain and not _HEADING.match(plain):
            kept.append(plain)
    joined = " ".join(" ".join(kept).split())
    return joined if len(joined) <= MAX_DOC_CHARS else joined[: MAX_DOC_CHARS - 1].rstrip() + "…"
