"""A name was changed where it is defined: its other places in the same file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ghostd.next_edit.changes import changes, renamed
from ghostd.next_edit.document import Source
from ghostd.next_edit.history import Edit
from ghostd.next_edit.innermost import Innermost
from ghostd.next_edit.proposal import Proposal, propose
from ghostd.next_edit.roles import MEMBERS, Defined, role_at
from ghostd.next_edit.tokens import is_everywhere
from ghostd.next_edit.words import is_word

_OWN = frozenset(("self", "this", "cls", "Self"))
_DEFINITION = 0.95
_FROM_A_USE = 0.6
_MAX_RENAMES = 8
"""Of one edit; where more names differ it was written anew."""
_MAX_LISTS = 4
"""Of `__all__` that are looked into."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """A name that has become another one."""

    old: str
    new: str
    defined: Defined
    at: int
    """In characters, in the text as it is now."""
    confidence: float


def renames(source: Source, earlier: Source, edit: Edit, newer: Sequence[Edit]) -> list[Renamed]:
    """The names that an edit changed; `earlier` is the file without the edit, `newer` are those made in it since."""
    span = source.span_of(edit)
    assert span is not None
    first, behind = source.tokens_between(*span)
    old_first, old_behind = earlier.tokens_between(span[0], span[0] + sum(map(len, edit.before)))
    before, after = earlier.tokens[old_first:old_behind], source.tokens[first:behind]
    pairs = renamed(before, after, changes(before, after))
    if len(pairs) > _MAX_RENAMES:
        return []
    moved = len(earlier.text) - len(source.text)
    since = Innermost(
        (start + moved * (start >= span[1]), end + moved * (start >= span[1]), True)
        for start, end in filter(None, map(source.span_of, newer))
    )
    edited = range(first, behind)
    made = [_rename(source, earlier, old, new, edited, since) for old, (new, _) in pairs.items()]
    return [each for each in made if each is not None]


def _rename(  # noqa: PLR0911 (one for each doubt)
    source: Source, earlier: Source, old: str, new: str, edited: range, since: Innermost[bool]
) -> Renamed | None:
    """What became of a name in the tokens that were edited; None where its other places do not follow.

    `since`: parts of the earlier text that were edited later, in which the new name stands because of this change.
    """
    if is_word(old, source.family) or is_word(new, source.family):
        return None
    if is_everywhere(source.text, old) or is_everywhere(earlier.text, new):
        return None
    best: tuple[Defined, int] | None = None
    for index in edited:
        if source.tokens[index].text == new:
            defined = role_at(source, index)
            if best is None or (best[0].role == "use" and defined.role != "use"):
                best = defined, index
    if best is None:
        return None
    defined, index = best
    at, confidence = source.tokens[index].start, _DEFINITION
    if defined.role == "use":
        known = _definition_of(source, old, at)
        if known is None or _clashes(earlier, new, Defined("top", 0, len(earlier.text)), since):
            return None
        defined, confidence = known, _FROM_A_USE
    elif defined.role != "member" and _binds(source, old, defined, at):
        return None  # it is not the first one: perhaps this one only is to have a name of its own
    if confidence == _DEFINITION and _clashes(earlier, new, defined, since):
        return None
    return Renamed(old, new, defined, at, confidence)


def places(source: Source, renaming: Renamed) -> Iterator[Proposal]:
    """The other places of a name in the file where it was renamed."""
    old, new, defined = renaming.old, renaming.new, renaming.defined
    reason = f"`{old}` has been renamed to `{new}`."
    hidden = Innermost(() if defined.role == "member" else _hidden(source, old, defined, renaming.at))
    owner = source.scopes.type_at(renaming.at) if defined.role == "member" else None
    alone = defined.role != "member" or not _other_members(source, old, owner)
    for at in source.places(old):
        token = source.tokens[at]
        if not defined.start <= token.start < defined.end or hidden.at(token.start):
            continue
        confidence, text = renaming.confidence, new
        if defined.role == "member":
            certain = _member_place(source, at, owner is not None and owner.start <= token.start < owner.end)
            if certain is None or (certain < 0.9 and not alone):
                continue
            confidence = min(confidence, certain)
        else:
            if not is_plain(source, at) or role_at(source, at).role == "member":
                continue
            if is_shorthand(source, at):
                text = f"{old}: {new}"
        yield propose(source, token.start, token.end, text, "rename", reason, confidence)
    if defined.role == "top" and source.family == "python":
        yield from _listed(source, old, new, reason)


def is_plain(source: Source, at: int) -> bool:
    """Whether a name at a place is neither a member's, nor that of an argument, a field or a key."""
    tokens, family = source.tokens, source.family
    before = tokens[at - 1].text if at else ""
    behind = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if before in MEMBERS:
        return False
    if family == "python":
        return not (behind == "=" and before in ("(", ",") and _innermost(source, at) == "(")
    if family in ("typescript", "rust") and behind == ":" and before in ("{", ",") and _innermost(source, at) == "{":
        return family == "typescript" and _is_block(source, at)
    return True


def is_shorthand(source: Source, at: int) -> bool:
    """Whether a name in braces is both the key and the value."""
    tokens = source.tokens
    if source.family not in ("typescript", "rust"):
        return False
    before = tokens[at - 1].text if at else ""
    behind = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if before not in ("{", ",") or behind not in (",", "}") or _innermost(source, at) != "{":
        return False
    opened = source.scopes.around[at]
    lead = tokens[opened - 1].text if opened else ""
    if source.family == "rust":
        head = [t.text for t in tokens[max(opened - 30, 0) : opened]]
        for word in reversed(head):
            if word == "use":
                return False
            if word in (";", "}", "{"):
                break
        return opened > 0 and tokens[opened - 1].kind == "name" and lead[:1].isupper()
    if lead in ("import", "export", "type", ")", "else", "try", "finally", "do", ";"):
        return False
    return lead in ("(", ",", "=", "return", ":", "[", "?", "=>", "&&", "||", "??", "const", "let", "var", "...")


def _definition_of(source: Source, name: str, offset: int) -> Defined | None:
    """What defines a name that was in use at a place."""
    for at in source.places(name):
        defined = role_at(source, at)
        if defined.role in ("local", "parameter") and defined.start <= offset < defined.end:
            return defined
    return None


def _binds(source: Source, name: str, scope: Defined, before: int) -> bool:
    """Whether a scope defines a name before a place."""
    for at in source.places(name):
        start = source.tokens[at].start
        if start >= before:
            return False
        if start >= scope.start:
            defined = role_at(source, at)
            if defined.role not in ("use", "member") and (defined.start, defined.end) == (scope.start, scope.end):
                return True
    return False


def _clashes(earlier: Source, new: str, defined: Defined, since: Innermost[bool]) -> bool:
    """Whether the new name was something else's already."""
    starts = {index: earlier.tokens[index].start for index in earlier.places(new)}
    near = [index for index, start in starts.items() if defined.start <= start < defined.end and not since.at(start)]
    if defined.role == "member":
        return any(role_at(earlier, index).role == "member" for index in near)
    return any(is_plain(earlier, index) and role_at(earlier, index).role != "member" for index in near)


def _hidden(source: Source, old: str, defined: Defined, at: int) -> Iterator[tuple[int, int, bool]]:
    """(start, end, True) of the parts of the scope where the old name is something else's."""
    for index in source.places(old):
        token = source.tokens[index]
        if not defined.start <= token.start < defined.end:
            continue
        inner = role_at(source, index)
        if inner.role in ("parameter", "local") and (inner.start, inner.end) != (defined.start, defined.end):
            start = inner.start if source.family == "python" or inner.role == "parameter" else token.start
            if not start <= at < inner.end:
                yield start, inner.end, True


def _member_place(source: Source, at: int, inside: bool) -> float | None:
    """How sure a place of a member's name is its; None where it is another name."""
    tokens = source.tokens
    before = tokens[at - 1].text if at else ""
    behind = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if before in MEMBERS:
        owner = tokens[at - 2].text if at >= 2 else ""
        return _DEFINITION if inside and owner in _OWN and (at < 3 or tokens[at - 3].text not in MEMBERS) else 0.7
    if source.family == "rust" and before in ("{", ",") and behind == ":" and _innermost(source, at) == "{":
        return 0.7
    if inside and source.family == "python" and source.scopes.function_at(tokens[at].start) is None:
        return 0.8 if is_plain(source, at) else None  # in the class's own body
    return None


def _other_members(source: Source, name: str, owner: object) -> bool:
    """Whether another type of the file has a member of this name."""
    for at in source.places(name):
        if role_at(source, at).role == "member":
            before = source.tokens[at - 1].text if at else ""
            if before not in MEMBERS and source.scopes.type_at(source.tokens[at].start) != owner:
                return True
    return False


def _listed(source: Source, old: str, new: str, reason: str) -> Iterator[Proposal]:
    """Its place in `__all__`."""
    tokens = source.tokens
    for at in source.places("__all__")[:_MAX_LISTS]:
        if at + 2 < len(tokens) and tokens[at + 1].text in ("=", "+="):
            close = source.scopes.pairs.get(at + 2, -1)
            for item in tokens[at + 3 : close] if close > 0 else ():
                if item.kind == "string" and item.text[1:-1] == old:
                    yield propose(source, item.start + 1, item.end - 1, new, "rename", reason, _DEFINITION)


def _innermost(source: Source, at: int) -> str:
    place = source.scopes.around[at]
    return source.tokens[place].text if place >= 0 else ""


def _is_block(source: Source, at: int) -> bool:
    """Whether the braces around hold statements."""
    place = source.scopes.around[at]
    return place > 0 and source.tokens[place - 1].text in (")", "else", "try", "finally", "do", "=>")
