"""Rust's `use` trees as (module, names, names in this file)."""

from __future__ import annotations

import re

_PIECE = re.compile(r"\{|\}|,|[^{},]+")
_ALIAS = re.compile(r"\s+as\s+((?:r#)?\w+)\s*$")


def flatten_use(text: str) -> list[tuple[str, list[str], list[str]]]:
    """`a::{b, c::{d, e as f}, g::*}` → [("a", ["b"], []), ("a::c", ["d", "e"], ["d", "f"]), ("a::g", ["*"], [])].

    A path of one name is a module without names. `self` in a group stands for the path around it. The third list
    is empty where nothing is renamed.
    """
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
    found: dict[str, list[tuple[str, str]]] = {}
    whole: list[tuple[str, list[str], list[str]]] = []
    prefixes: list[str] = [""]
    pending = alias = ""

    def add() -> None:
        path = pending.strip()
        if not path:
            return
        path = prefixes[-1].removesuffix("::") if path == "self" else prefixes[-1] + path
        module, separator, name = path.rpartition("::")
        if separator and module:
            found.setdefault(module, []).append((name, alias or name))
        elif name:
            whole.append((path, [], [alias] if alias else []))

    for piece in _PIECE.findall(text):
        if piece == "{":
            prefixes.append(prefixes[-1] + pending.strip())
            pending = alias = ""
        elif piece in ("}", ","):
            add()
            pending = alias = ""
            if piece == "}" and len(prefixes) > 1:
                prefixes.pop()
        else:
            renamed = _ALIAS.search(piece)
            alias = renamed[1] if renamed else ""
            pending = (piece[: renamed.start()] if renamed else piece).strip()
    add()
    rows = []
    for module, pairs in found.items():
        names, as_names = [name for name, _ in pairs], [own for _, own in pairs]
        rows.append((module, names, as_names if as_names != names else []))
    return [*whole, *rows]
