"""Functions and blocks of languages with braces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ghostd.next_edit.blocks import Block, Function
from ghostd.next_edit.brackets import ends_of
from ghostd.next_edit.tokens import Token

_CONTROL = frozenset(
    "if for while switch catch match with return new await typeof else do loop and or not in super function fn".split()  # noqa: SIM905
)
_TYPE_WORDS = frozenset("class struct enum union trait interface impl namespace mod module opaque".split())  # noqa: SIM905
_STOPS = frozenset((",", ";"))
"""What ends an expression, beside the bracket that it stands in."""


def brace_blocks(tokens: Sequence[Token], pairs: Mapping[int, int], family: str) -> tuple[list[Function], list[Block]]:
    """In no order; `pairs` as in `brackets`."""
    stops = ends_of(tokens, pairs, _STOPS) if family == "typescript" else ()
    functions: list[Function] = []
    blocks: list[Block] = []
    types: set[int] = set()
    """Tokens "{" that open a type."""
    around: list[int] = []
    for at, token in enumerate(tokens):
        while around and at > pairs[around[-1]]:
            around.pop()
        partner = pairs.get(at, -1)
        if token.text == "{" and partner > at:
            name = _type_before(tokens, pairs, at)
            if name is not None:
                types.add(at)
            blocks.append(Block(token.start, tokens[partner].end, name))
            around.append(at)
        elif token.text == "(" and partner > at:
            member = bool(around) and around[-1] in types
            found = _function(tokens, pairs, stops, at, partner, family, member)
            if found is not None:
                functions.append(found)
        elif token.text == "=>" and at and tokens[at - 1].kind == "name" and family == "typescript":
            end = _expression_end(tokens, pairs, stops, at + 1)
            functions.append(Function("", tokens[at - 1].start, tokens[at - 1].start, token.start, end, False))
    return functions, blocks


def _type_before(tokens: Sequence[Token], pairs: Mapping[int, int], at: int) -> str | None:  # noqa: PLR0911
    """The name of the type whose body a brace opens."""
    place = at - 1
    for _ in range(40):
        if place < 0:
            return None
        text = tokens[place].text
        if text in (";", "{", "}", "=>", "=") or (text == ")" and tokens[at - 1].text == ")" and place == at - 1):
            before = pairs.get(place, -1) - 1
            if text == ")" and before >= 0 and tokens[before].text in ("union", "enum", "struct"):
                return ""
            return None
        if tokens[place].kind == "name" and text in _TYPE_WORDS:
            name = tokens[place + 1]
            if text == "impl":
                words = [t.text for t in tokens[place + 1 : at] if t.kind == "name"]
                return words[words.index("for") + 1] if "for" in words[:-1] else (words[-1] if words else "")
            if name.kind == "name":
                return name.text
            # Zig: const Name = struct {
            before = place - 1
            if before >= 1 and tokens[before].text in ("packed", "extern"):
                before -= 1
            return tokens[before - 1].text if before >= 1 and tokens[before].text == "=" else ""
        place -= 1
    return None


def _function(
    tokens: Sequence[Token],
    pairs: Mapping[int, int],
    stops: Sequence[int],
    at: int,
    close: int,
    family: str,
    member: bool,
) -> Function | None:
    """The function whose parameters stand in these parentheses, if it is one."""
    name_at = at - 1
    if name_at >= 0 and tokens[name_at].text == ">":
        name_at = _before_generics(tokens, name_at)
    name = tokens[name_at] if name_at >= 0 and tokens[name_at].kind == "name" else None
    keyword = tokens[name_at - 1].text if name is not None and name_at >= 1 else ""
    declared = keyword in ("fn", "function", "func") or (name is not None and name.text in ("fn", "function"))
    if name is not None and name.text in ("fn", "function"):
        name = None
    behind = close + 1
    arrow = family == "typescript" and _arrow_behind(tokens, pairs, behind)
    if declared or arrow:
        if arrow and not declared:
            name = None
            if at >= 2 and tokens[at - 1].text in ("=", "async"):
                bound = at - 2 if tokens[at - 1].text == "=" else at - 3
                name = tokens[bound] if bound >= 0 and tokens[bound].kind == "name" else None
    elif not (
        family == "typescript"
        and name is not None
        and name.text not in _CONTROL
        and (name_at == 0 or tokens[name_at - 1].text not in (".", "?.", "new", "="))
        and member
    ):
        return None
    end = _body_end(tokens, pairs, stops, behind, arrow=arrow)
    start = tokens[at].start if name is None else name.start
    return Function(
        "" if name is None else name.text,
        start,
        tokens[at].start,
        tokens[close].end,
        max(end, tokens[close].end),
        member,
    )


def _before_generics(tokens: Sequence[Token], at: int) -> int:
    depth = 0
    for place in range(at, max(at - 80, -1), -1):
        depth += (tokens[place].text == ">") - (tokens[place].text == "<")
        if depth == 0:
            return place - 1
    return -1


def _arrow_behind(tokens: Sequence[Token], pairs: Mapping[int, int], at: int) -> bool:
    """Whether `=>` follows, perhaps behind a return type."""
    if at < len(tokens) and tokens[at].text == "=>":
        return True
    if at >= len(tokens) or tokens[at].text != ":":
        return False
    place = at + 1
    for _ in range(24):
        if place >= len(tokens) or tokens[place].text in (";", ",", ")", "}", "=", "?"):
            return False
        if tokens[place].text == "=>":
            return True
        place = pairs[place] + 1 if pairs.get(place, -1) > place else place + 1
    return False


def _body_end(tokens: Sequence[Token], pairs: Mapping[int, int], stops: Sequence[int], at: int, *, arrow: bool) -> int:
    """Behind the body of a function whose parameters end before `at`."""
    place = at
    for _ in range(80):
        if place >= len(tokens) or tokens[place].text in (";", "}"):
            break
        if arrow and tokens[place].text == "=>":
            return _expression_end(tokens, pairs, stops, place + 1)
        is_type = tokens[place - 1].text in (":", "|", "&", "error")
        if tokens[place].text == "{" and place in pairs and not is_type:
            return tokens[pairs[place]].end
        place = pairs[place] + 1 if pairs.get(place, -1) > place else place + 1
    return tokens[min(at, len(tokens)) - 1].end


def _expression_end(tokens: Sequence[Token], pairs: Mapping[int, int], stops: Sequence[int], at: int) -> int:
    """Behind an arrow function's body."""
    if at < len(tokens) and tokens[at].text == "{" and at in pairs:
        return tokens[pairs[at]].end
    return tokens[stops[at] - 1].end
