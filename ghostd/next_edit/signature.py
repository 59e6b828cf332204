"""Parameters were added, removed, renamed or put into another order: the calls, and the definitions that override."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ghostd.next_edit.arguments import Argument, Parameter, arguments, parameters, pieces
from ghostd.next_edit.blocks import Function
from ghostd.next_edit.document import Source
from ghostd.next_edit.history import Edit
from ghostd.next_edit.proposal import Proposal, propose
from ghostd.next_edit.roles import DEFINES, role_at
from ghostd.next_edit.tokens import is_everywhere

_PLACEHOLDERS = {"python": "...", "typescript": "undefined", "rust": "todo!()", "zig": "undefined"}
_GENERATED = 0.9
_NAMED = 0.75
_PLACEHOLDER = 0.55
_MAX_FUNCTIONS = 32
"""Whose heads one edit touches; where there are more it was written anew."""
_MAX_HEAD_CHARS = 16_000
_MAX_NEW = 8
"""Parameters that a function gets at once; where there are more it is another one."""

_Bound = Sequence[tuple[int, int, int]]
"""Of one name, (start, end) of the scopes that have it, and where it is defined in each."""


@dataclass(frozen=True, slots=True)
class Resigned:
    """A function whose parameters have changed."""

    function: Function
    name: str
    """As calls have it: for a constructor that of its type."""
    old: Sequence[Parameter]
    new: Sequence[Parameter]
    renamed: dict[str, str]
    """Parameters, old → new."""

    @property
    def reason(self) -> str:
        """One sentence for people."""
        before, after = [each.name for each in self.old], [each.name for each in self.new]
        added = [name for name in after if name not in before and name not in self.renamed.values()]
        removed = [name for name in before if name not in after and name not in self.renamed]
        said = [f"has a new parameter `{name}`" for name in added]
        said += [f"has no parameter `{name}` any more" for name in removed]
        said += [f"calls `{old}` now `{new}`" for old, new in self.renamed.items()]
        return f"`{self.name}` " + (" and ".join(said) if said else "takes its parameters in another order") + "."


def resigned(source: Source, earlier: Source, edit: Edit) -> list[Resigned]:
    """The functions whose parameters an edit changed."""
    span = source.span_of(edit)
    assert span is not None
    edited = [
        each
        for each in source.scopes.functions_from(span[0] - _MAX_HEAD_CHARS, span[1] + _MAX_HEAD_CHARS)
        if each.name and each.head_end > span[0] and each.name_start < span[1]
    ]
    found = []
    for function in edited if len(edited) <= _MAX_FUNCTIONS else ():
        before = [
            each
            for each in _may_have_been(source, earlier, function, span)
            if each.name == function.name and each.member == function.member
        ]
        old = parameters(earlier, before[0]) if len(before) == 1 else None
        new = parameters(source, function)
        if old is None or new is None:
            continue
        change = _compared(old, new)
        if change is not None:
            name = _called(source, function)
            found.append(Resigned(function, name, old, new, change))
    return found


def _may_have_been(source: Source, earlier: Source, function: Function, span: tuple[int, int]) -> Iterator[Function]:
    """The functions of the earlier text that have their heads where this one may have had it."""
    shift = len(earlier.text) - len(source.text)
    for start in dict.fromkeys((function.head, function.head + shift)):
        if not span[0] <= start < span[1]:
            yield from earlier.scopes.functions_from(start, start + 1)
    yield from earlier.scopes.functions_from(*span)


def calls(source: Source, change: Resigned, places: Sequence[int] | None = None) -> Iterator[Proposal]:
    """The calls of a function in a file: those at `places`, by default all that its file has."""
    tokens = source.tokens
    if is_everywhere(source.text, change.name):
        return
    old = {each.name for each in change.old}
    known_names = {each.name: _bound(source, each.name) for each in change.new if each.name not in old}
    for at in source.places(change.name) if places is None else places:
        if at + 1 >= len(tokens):
            continue
        opening = at + 1
        if tokens[opening].text in ("::", "<"):
            opening = next((i for i in range(at + 1, min(at + 20, len(tokens))) if tokens[i].text == "("), -1)
        if opening < 0 or tokens[opening].text != "(" or (at and tokens[at - 1].text in DEFINES):
            continue
        if source.scopes.is_head(tokens[opening].start):
            continue
        by_member = bool(at) and tokens[at - 1].text in (".", "?.", "::")
        if places is None and change.function.member != by_member and change.name == change.function.name:
            continue
        given = arguments(source, opening)
        if given is None or any(each.spread for each in given):
            continue
        made = _rewritten(source, change, given, tokens[at].start, known_names)
        if made is None:
            continue
        texts, confidence, placeholder = made
        if texts == [each.text for each in given]:
            continue
        start, end = tokens[opening].end, tokens[source.scopes.pairs[opening]].start
        new = _joined(source, given, texts, start, end)
        if new is None:
            continue
        yield propose(source, start, end, new, "signature", change.reason, confidence, placeholder=placeholder)


def overrides(source: Source, change: Resigned, function: Function) -> Proposal | None:
    """A definition of the same name, in a type that extends the one around, with the same change."""
    mine = parameters(source, function)
    if mine is None or [each.name for each in mine] != [each.name for each in change.old]:
        return None
    opening = source.token_at(function.head)
    start, end = source.tokens[opening].end, function.head_end - 1
    by_name = {each.name: each.text for each in mine}
    back = {new: old for old, new in change.renamed.items()}
    texts = []
    for each in change.new:
        old = back.get(each.name, each.name)
        text = by_name.get(old, each.text)
        texts.append(each.name + text[len(old) :] if old != each.name and text.startswith(old) else text)
    spans = [(source.tokens[one].start, source.tokens[other - 1].end) for one, other in pieces(source, opening) or ()]
    if _between(source, spans, start, end) is None:
        return None
    receiver = source.text[start:end].split(",")[0].strip()
    if receiver.lstrip("&").removeprefix("mut ") in ("self", "cls"):
        texts.insert(0, receiver)
    new = ", ".join(texts)
    if "\n" in source.text[start:end] or any(each.style != "plain" for each in (*change.new, *mine)):
        return None
    return propose(source, start, end, new, "signature", change.reason, _NAMED)


def _called(source: Source, function: Function) -> str:
    owner = source.scopes.type_at(function.name_start)
    if function.name in ("__init__", "constructor") and owner is not None and owner.type_name:
        return owner.type_name
    return function.name


def _compared(old: Sequence[Parameter], new: Sequence[Parameter]) -> dict[str, str] | None:
    """The renamed parameters; None where nothing has changed that a call has to know, or too much."""
    before, after = [each.name for each in old], [each.name for each in new]
    if len(set(before)) != len(before) or len(set(after)) != len(after):
        return None
    if [(each.name, each.style) for each in old] == [(each.name, each.style) for each in new]:
        return None
    gone = [name for name in before if name not in after]
    come = [name for name in after if name not in before]
    if len(come) > _MAX_NEW:
        return None
    if gone and come:
        if len(before) != len(after) or len(gone) > 2:
            return None
        pairs = {one: other for one, other in zip(before, after, strict=True) if one != other}
        return pairs if set(pairs) == set(gone) and set(pairs.values()) == set(come) else None
    return {}


def _rewritten(  # noqa: PLR0912 (one for each kind of argument)
    source: Source, change: Resigned, given: Sequence[Argument], offset: int, known_names: Mapping[str, _Bound]
) -> tuple[list[str], float, bool] | None:
    """The arguments that a call needs now, how sure they are, and whether one is a placeholder."""
    bound: dict[str, Argument] = {}
    plain = [each for each in change.old if each.style == "plain"]
    rest: list[str] = []
    place = 0
    for argument in given:
        if argument.name:
            if not any(each.name == argument.name for each in change.old):
                if not any(each.style == "rest" for each in change.old):
                    return None  # a call of something else, or one that is mended already
                rest.append(argument.text)
                continue
            bound[argument.name] = argument
        elif place < len(plain):
            bound[plain[place].name] = argument
            place += 1
        elif any(each.style == "rest" for each in change.old):
            rest.append(argument.text)
        else:
            return None
    if any(each.default is None and each.style != "rest" and each.name not in bound for each in change.old):
        return None
    back = {new: old for old, new in change.renamed.items()}
    positional: list[str] = []
    named: list[tuple[int, str]] = []
    confidence, placeholder, gap = _GENERATED, False, False
    last = max((i for i, each in enumerate(change.new) if _needed(each, back, bound, by_place=True)), default=-1)
    for index, each in enumerate(change.new):
        argument_ = bound.get(back.get(each.name, each.name))
        if each.style == "rest":
            continue
        if argument_ is not None:
            if argument_.name or gap or each.style == "keyword":
                named.append((argument_.start, f"{each.name}={argument_.value}"))
                if source.family != "python":
                    return None
            else:
                positional.append(argument_.text)
            continue
        known = any(old.name == each.name for old in change.old)
        if known or each.default is not None:
            if index < last and not gap:
                if source.family == "python":
                    gap = True
                elif each.default is not None:
                    positional.append(each.default if source.family != "typescript" else "undefined")
            continue
        value, sure = _value(source, each, offset, known_names[each.name])
        placeholder = placeholder or sure == _PLACEHOLDER
        confidence = min(confidence, sure)
        if gap or each.style == "keyword" or (named and all(a.name for a in given)):
            named.append((1 << 60, f"{each.name}={value}"))
        else:
            positional.append(value)
    texts = [*positional, *rest, *(text for _, text in sorted(named))]
    return texts, confidence, placeholder


def _needed(each: Parameter, back: dict[str, str], bound: dict[str, Argument], *, by_place: bool) -> bool:
    argument = bound.get(back.get(each.name, each.name))
    return argument is not None and not (by_place and argument.name)


def _value(source: Source, parameter: Parameter, offset: int, bound: _Bound) -> tuple[str, float]:
    """What a call gives for a new parameter: what is called so there, or a placeholder."""
    for start, end, at in bound:
        if start <= offset < end and at < offset:
            return parameter.name, _NAMED
    return _PLACEHOLDERS.get(source.family, parameter.name), _PLACEHOLDER


def _bound(source: Source, name: str) -> _Bound:
    """The scopes that have a name, and where it stands there; none where it is everywhere."""
    found: list[tuple[int, int, int]] = []
    if is_everywhere(source.text, name):
        return found
    for at in source.places(name):
        defined = role_at(source, at)
        if defined.role in ("parameter", "local", "top"):
            found.append((defined.start, defined.end, source.tokens[at].start))
    return found


def _joined(source: Source, given: Sequence[Argument], texts: Sequence[str], start: int, end: int) -> str | None:
    """The arguments between the parentheses, laid out as they were; None where there is a comment among them."""
    between = _between(source, [(each.start, each.end) for each in given], start, end)
    if between is None:
        return None
    if not texts or not given:
        return ", ".join(texts)
    lead, *gaps, tail = between
    gap = "," + lead if "\n" in lead else next((one for one in gaps if "\n" in one), ", ")
    return lead + gap.join(texts) + tail


def _between(source: Source, spans: Sequence[tuple[int, int]], start: int, end: int) -> list[str] | None:
    """What stands before, between and behind what a pair of parentheses holds; None where that is not only commas."""
    edges = [start, *(edge for span in spans for edge in span), end]
    between = [source.text[edge:following] for edge, following in zip(edges[::2], edges[1::2], strict=True)]
    return None if any(one.strip(", \t\r\n") for one in between) else between
