"""Rust's `use` trees as (module, names) pairs."""

from __future__ import annotations

import re

_PIECE = re.compile(r"\{|\}|,|[^{},]+")


def flatten_use(text: str) -> list[tuple[str, list[str]]]:
    """`a::{b, c::{d, e as f}, g::*}` → [("a", ["b"]), ("a::c", ["d", "e"]), ("a::g", ["*"])].

    A path of one name is a module without names. `self` in a group stands for the module around it.
    """
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
    found: dict[str, list[str]] = {}
    prefixes: list[str] = [""]
    pending = ""
    for piece in _PIECE.findall(text):
        if piece == "{":
            prefixes.append(prefixes[-1] + pending.strip())
            pending = ""
        elif piece in ("}", ","):
            _add(found, prefixes[-1], pending)
            pending = ""
            if piece == "}" and len(prefixes) > 1:
                prefixes.pop()
        else:
            pending = re.sub(r"\s+as\s+\w+\s*$", "", piece).strip()
    _add(found, prefixes[-1], pending)
    return list(found.items())


def _add(found: dict[str, list[str]], prefix: str, path: str) -> None:
    if not path:
        return
    if path == "self":
        found.setdefault(prefix.removesuffix("::"), [])
        return
    module, separator, name = (prefix + path).rpartition("::")
    if separator:
        found.setdefault(module, []).append(name)
    else:
        found.setdefault(name, [])
