"""C++ that its grammar does not know, made into what it knows, with every byte at its place.

Macros that stand where no name may (`class JSON_API Value {`, `FMT_BEGIN_NAMESPACE`), and modules: the grammar takes
the class for a function called Value, and what is inside for no members.
"""

from __future__ import annotations

import re

_MACRO = rb"[A-Z][A-Z0-9]{0,60}_[A-Z0-9_]{1,60}(?:\([^()\n]{0,100}\))?"
_HEAD = re.compile(
    rb"\b(?:class|struct|union|enum(?:[ \t]+(?:class|struct))?)[ \t]+"
    rb"((?:" + _MACRO + rb"[ \t]+){1,3})"
    rb"(?=[A-Za-z_][\w:]{0,200}\s{0,20}(?:<[^<>;{}\n]{0,200}>\s{0,20})?(?:final\s{0,20})?[:{])"
)
"""`class JSON_API Value : public Base {`"""
_SPECIFIER = re.compile(
    rb"^[ \t]*(?:(?:static|inline|virtual|friend|extern|constexpr|template[ \t]{0,4}<[^;{}()\n]{0,200}>)[ \t]+){0,4}"
    rb"((?:" + _MACRO + rb"[ \t]+){1,3})"
    rb"(?=(?:[A-Za-z_][\w:<>,]{0,200}[ \t*&]{1,20}){1,6}(?:[\w:~]{1,200}[ \t]*|operator[^\w\s(]{1,3})\("
    rb"|[A-Za-z_][\w:]{0,200}::~?\w{1,200}[ \t]*\()",
    re.MULTILINE,
)
"""`SPDLOG_INLINE bool path_exists(`; not where the macro is all there is of a type."""
_TRAILING = re.compile(rb"\)[ \t]*(?:const[ \t]+)?(" + _MACRO + rb")(?=\s{0,20}[;{])")
"""`void close() FMT_NOEXCEPT {`"""
_ALONE = re.compile(
    rb"(?:\A|(?:[;}]|\*/|^[ \t]*(?:#|//)[^\n]*)[ \t]*\r?\n(?:[ \t]*\r?\n){0,5})"
    rb"((?:[ \t]*" + _MACRO + rb"[ \t]*\r?\n(?:[ \t]*\r?\n){0,3}){1,5})"
    rb"(?=\s{0,200}[A-Za-z#/~\[])",
    re.MULTILINE,
)
"""`FMT_BEGIN_NAMESPACE` on a line of its own, between two declarations."""
_MODULE = re.compile(rb"^[ \t]*(?:export[ \t]+)?module\b[^;\n]{0,200};", re.MULTILINE)
_OF_MODULES = re.compile(
    rb"^[ \t]*((?:(?:export[ \t]+)?(?:module|import)\b[^;\n({=]{0,200};)|export(?=[ \t]+[A-Za-z_]))", re.MULTILINE
)
"""`export module shop;`, `import std;`, and the `export` before a declaration."""
_NAME = re.compile(rb"[A-Z]\w{2,}")


def filled(source: bytes) -> tuple[bytes, list[tuple[bytes, int]]]:
    """The text for the parser, as long as `source`, and the macros that are not in it, with their offsets."""
    gone: list[tuple[bytes, int]] = []

    def blank(match: re.Match[bytes]) -> bytes:
        start, end = match.start(1) - match.start(), match.end(1) - match.start()
        gone.extend((name[0], match.start(1) + name.start()) for name in _NAME.finditer(match[1]))
        return match[0][:start] + re.sub(rb"[^\r\n]", b" ", match[1]) + match[0][end:]

    text = source
    for pattern in (_ALONE, _HEAD, _SPECIFIER, _TRAILING):
        text = pattern.sub(blank, text)
    if _MODULE.search(text):
        text = _OF_MODULES.sub(lambda match: re.sub(rb"\S", b" ", match[0]), text)
    return text, gone
