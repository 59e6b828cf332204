"""What has to follow a change in other files."""

from __future__ import annotations

from ghostd.next_edit.document import Source
from ghostd.next_edit.proposal import Proposal, propose
from ghostd.next_edit.rename import Renamed, is_shorthand
from ghostd.next_edit.signature import Resigned, calls, overrides
from ghostd.next_edit.uses import Site, uses

_HEAD_CHARS = 200
"""Of a type, in which the one that it extends is looked for."""


def renamed_there(renaming: Renamed, where: str, site: Site) -> list[Proposal]:
    """The places of a renamed name; `where` says in which file it was renamed."""
    reason = f"`{renaming.old}` has been renamed to `{renaming.new}` in {where}."
    found = []
    for use in uses(site):
        token = use.source.tokens[use.at]
        new = f"{renaming.old}: {renaming.new}" if is_shorthand(use.source, use.at) else renaming.new
        found.append(propose(use.source, token.start, token.end, new, "rename", reason, use.confidence))
    return found


def called_there(change: Resigned, site: Site) -> list[Proposal]:
    """The calls of a function whose parameters have changed."""
    places = [use.at for use in uses(site)]
    return list(calls(site.source, change, places)) if places else []


def overridden_there(source: Source, change: Resigned, other: Source) -> list[Proposal]:
    """The definitions of the same name in types that extend the one whose method has changed."""
    owner = source.scopes.type_at(change.function.name_start)
    if owner is None or not owner.type_name:
        return []
    found = []
    for function in other.scopes.functions:
        if function.name != change.function.name or not function.member:
            continue
        kind = other.scopes.type_at(function.name_start)
        if kind is None or (other.path == source.path and kind == owner):
            continue
        head = (
            other.text[max(kind.start - _HEAD_CHARS, 0) : kind.start]
            + other.text[kind.start : kind.start + _HEAD_CHARS].partition("\n")[0]
        )
        line = head.rpartition("\n")[2]
        if owner.type_name in line.replace("(", " ").replace(")", " ").replace(",", " ").split():
            made = overrides(other, change, function)
            found += [made] if made is not None else []
    return found
