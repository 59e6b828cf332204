"""Parts that are found by entry point: providers and front-ends, ghostd's own and other distributions'.

Those of ghostd's own distribution are read from its metadata without `importlib.metadata`, whose import and whose look
at every installed distribution take a tenth of a start; it is asked for what ghostd itself does not have.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

Group = Literal["ghostd.frontends", "ghostd.providers"]


def find(group: Group, name: str) -> Any:
    """What the entry point names, loaded; None where there is no such entry point."""
    own = _own().get(group, {}).get(name)
    if own is not None:
        module, _, attribute = own.partition(":")
        return getattr(import_module(module), attribute)
    from importlib.metadata import entry_points

    found = entry_points(group=group, name=name)
    return next(iter(found)).load() if found else None


@cache
def known(group: Group) -> tuple[str, ...]:
    """The names of all entry points of a group, sorted."""
    from importlib.metadata import entry_points

    return tuple(sorted(entry_points(group=group).names))


def is_known(group: Group, name: str) -> bool:
    """Whether there is an entry point of this name."""
    return name in _own().get(group, {}) or name in known(group)


@cache
def _own() -> dict[str, dict[str, str]]:
    """ghostd's own entry points by group and name: "module:attribute". Empty where its metadata lies elsewhere."""
    for folder in sys.path:
        for file in sorted(Path(folder or ".").glob("ghostd-*.dist-info/entry_points.txt")):
            return _read(file.read_text("utf-8"))
    return {}


def _read(text: str) -> dict[str, dict[str, str]]:
    groups: dict[str, dict[str, str]] = {}
    group: dict[str, str] = {}
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            group = groups.setdefault(line.strip("[]"), {})
        elif "=" in line:
            name, _, value = line.partition("=")
            group[name.strip()] = value.strip()
    return groups
