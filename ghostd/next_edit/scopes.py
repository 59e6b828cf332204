"""Functions and blocks of a source text, from its tokens: where names live, without a parser.

Python's blocks are told by indentation, those of other languages by braces.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ghostd.next_edit.tokens import Token

_NESTED = 16
"""Functions in the defaults of one function's parameters, at most."""
_CLOSER = {"(": ")", "[": "]", "{": "}"}
_CONTROL = frozenset(
    "if for while switch catch match with return new await typeof else do loop and or not in super function fn".split()  # noqa: SIM905
)
_TYPE_WORDS = frozenset("class struct enum union trait interface impl namespace mod module opaque".split())  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Function:
    """A function with a list of parameters. Offsets are characters."""

    name: str
    """"" for one without a name."""
    name_start: int
    head: int
    """Where the list's "(" is; for a lambda without one, where its parameters start."""
    head_end: int
    """Behind the list's ")"."""
    end: int
    """Of the whole function; where it has no body, of its head."""
    member: bool
    """Whether it stands directly in a type."""

    def holds(self, offset: int) -> bool:
        """Whether a place is among its parameters or in its body."""
        return self.head <= offset < self.end


@dataclass(frozen=True, slots=True)
class Block:
    """What a brace, or a head with a colon, begins."""

    start: int
    end: int
    type_name: str | None
    """Of a type that it is the body of; None for any other block. "" for a type without a name."""


@dataclass(frozen=True, slots=True)
class Scopes:
    """All of a file, in order of their starts."""

    functions: Sequence[Function]
    blocks: Sequence[Block]
    by_name: dict[int, Function]
    """Where a function's name starts → the function."""
    heads: Sequence[int]
    """Of the functions, which are in the order of these."""
    pairs: dict[int, int]
    """Index of an opening bracket's token → that of its partner, and the other way round."""

    def heads_at(self, offset: int) -> Sequence[Function]:
        """The functions among whose parameters a place may be."""
        at = bisect_right(self.heads, offset)
        return self.functions[max(at - _NESTED, 0) : at]

    def function_at(self, offset: int) -> Function | None:
        """The innermost function around a place."""
        around = [each for each in self.functions if each.holds(offset)]
        return min(around, key=lambda each: each.end - each.head, default=None)

    def block_at(self, offset: int) -> Block | None:
        """The innermost block around a place."""
        around = [each for each in self.blocks if each.start <= offset < each.end]
        return min(around, key=lambda each: each.end - each.start, default=None)

    def type_at(self, offset: int) -> Block | None:
        """The innermost type around a place."""
        around = [each for each in self.blocks if each.type_name is not None and each.start <= offset < each.end]
        return min(around, key=lambda each: each.end - each.start, default=None)


def scopes_of(text: str, tokens: Sequence[Token], family: str) -> Scopes:
    """Read the tokens of a text, without comments and line ends."""
    pairs = pairs_of(tokens)
    if family == "python":
        functions, blocks = _python(text, tokens, pairs)
    else:
        functions, blocks = _braces(text, tokens, pairs, family)
    functions.sort(key=lambda each: each.head)
    by_name = {each.name_start: each for each in functions if each.name}
    return Scopes(functions, blocks, by_name, [each.head for each in functions], pairs)


def pairs_of(tokens: Sequence[Token]) -> dict[int, int]:
    """Brackets and their partners, as far as they have one."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for at, token in enumerate(tokens):
        if token.kind != "op":
            continue
        if token.text in _CLOSER:
            opened.append(at)
        elif token.text in (")", "]", "}"):
            while opened and _CLOSER[tokens[opened[-1]].text] != token.text:
                opened.pop()
            if opened:
                partner = opened.pop()
                pairs[partner], pairs[at] = at, partner
    return pairs


def _python(text: str, tokens: Sequence[Token], pairs: dict[int, int]) -> tuple[list[Function], list[Block]]:
    functions: list[Function] = []
    blocks: list[Block] = []
    starts: list[tuple[int, int, int]] = []
    """(token, column, line start) of the first token of each line that is not inside of brackets."""
    last_line = -1
    skip_until = -1
    for at, token in enumerate(tokens):
        line = text.rfind("\n", 0, token.start) + 1
        if at > skip_until and line != last_line:
            starts.append((at, token.start - line, line))
        last_line = text.rfind("\n", 0, token.end) + 1
        if at in pairs and pairs[at] > at > skip_until:
            skip_until = pairs[at]
        if at == skip_until:
            last_line = text.rfind("\n", 0, token.start) + 1
    ends = _indented_ends(starts, len(text))
    open_types: list[tuple[int, int]] = []
    """(column, end) of the blocks around, and whether each is a type: a function's column is negative."""
    for (at, column, _), end in zip(starts, ends, strict=True):
        while open_types and tokens[at].start >= open_types[-1][1]:
            open_types.pop()
        word = at + 1 if tokens[at].text == "async" else at
        if word + 1 >= len(tokens) or tokens[word].text not in ("def", "class"):
            continue
        name = tokens[word + 1]
        if tokens[word].text == "class":
            blocks.append(Block(tokens[at].start, end, name.text))
            open_types.append((column, end))
            continue
        opening = next((i for i in range(word + 2, min(word + 400, len(tokens))) if tokens[i].text in ("(", ":")), -1)
        if opening >= 0 and tokens[opening].text == "(" and opening in pairs:
            head_end = tokens[pairs[opening]].end
            member = bool(open_types) and open_types[-1][0] >= 0
            whole = max(end, head_end)
            functions.append(Function(name.text, name.start, tokens[opening].start, head_end, whole, member))
            open_types.append((-1, end))
            blocks.append(Block(tokens[at].start, whole, None))
    for at, token in enumerate(tokens):
        if token.text == "lambda" and token.kind == "name":
            end_at = _lambda_end(tokens, pairs, at)
            colon = next((i for i in range(at + 1, min(at + 80, len(tokens))) if tokens[i].text == ":"), at)
            functions.append(Function("", token.start, token.end, tokens[colon].start, end_at, False))
        elif token.text in _CLOSER and pairs.get(at, -1) > at and _is_comprehension(tokens, pairs, at):
            end_at = tokens[pairs[at]].end
            functions.append(Function("", token.start, token.start, token.start, end_at, False))
    return functions, blocks


def _is_comprehension(tokens: Sequence[Token], pairs: dict[int, int], at: int) -> bool:
    """Whether a bracket has names of its own: those of its `for`."""
    place = at + 1
    while place < pairs[at]:
        if tokens[place].text == "for" and tokens[place].kind == "name":
            return True
        place = pairs[place] + 1 if pairs.get(place, -1) > place else place + 1
    return False


def _indented_ends(starts: Sequence[tuple[int, int, int]], end: int) -> list[int]:
    """Where each line's block ends: at the next line that is not indented more."""
    ends = [end] * len(starts)
    waiting: list[int] = []
    for at, (_, column, line) in enumerate(starts):
        while waiting and starts[waiting[-1]][1] >= column:
            ends[waiting.pop()] = line
        waiting.append(at)
    return ends


def _lambda_end(tokens: Sequence[Token], pairs: dict[int, int], at: int) -> int:
    """Behind a lambda's expression."""
    colon = False
    place = at + 1
    while place < len(tokens):
        text = tokens[place].text
        if text in (")", "]", "}") or (colon and text == ","):
            return tokens[place].start
        colon = colon or text == ":"
        place = pairs[place] + 1 if pairs.get(place, -1) > place else place + 1
        if place - at > 400:
            break
    return tokens[min(place, len(tokens)) - 1].end


def _braces(
    text: str, tokens: Sequence[Token], pairs: dict[int, int], family: str
) -> tuple[list[Function], list[Block]]:
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
            found = _function(tokens, pairs, at, partner, family, member)
            if found is not None:
                functions.append(found)
        elif token.text == "=>" and at and tokens[at - 1].kind == "name" and family == "typescript":
            end = _expression_end(tokens, pairs, at + 1)
            functions.append(Function("", tokens[at - 1].start, tokens[at - 1].start, token.start, end, False))
    return functions, blocks


def _type_before(tokens: Sequence[Token], pairs: dict[int, int], at: int) -> str | None:  # noqa: PLR0911
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
    tokens: Sequence[Token], pairs: dict[int, int], at: int, close: int, family: str, member: bool
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
    end = _body_end(tokens, pairs, behind, arrow)
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


def _arrow_behind(tokens: Sequence[Token], pairs: dict[int, int], at: int) -> bool:
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


def _body_end(tokens: Sequence[Token], pairs: dict[int, int], at: int, arrow: bool) -> int:
    """Behind the body of a function whose parameters end before `at`."""
    place = at
    for _ in range(80):
        if place >= len(tokens) or tokens[place].text in (";", "}"):
            break
        if arrow and tokens[place].text == "=>":
            return _expression_end(tokens, pairs, place + 1)
        is_type = tokens[place - 1].text in (":", "|", "&", "error")
        if tokens[place].text == "{" and place in pairs and not is_type:
            return tokens[pairs[place]].end
        place = pairs[place] + 1 if pairs.get(place, -1) > place else place + 1
    return tokens[min(at, len(tokens)) - 1].end


def _expression_end(tokens: Sequence[Token], pairs: dict[int, int], at: int) -> int:
    """Behind an arrow function's body."""
    if at < len(tokens) and tokens[at].text == "{" and at in pairs:
        return tokens[pairs[at]].end
    place = at
    for _ in range(400):
        if place >= len(tokens) or tokens[place].text in (")", "]", "}", ",", ";"):
            break
        place = pairs[place] + 1 if pairs.get(place, -1) > place else place + 1
    return tokens[min(place, len(tokens)) - 1].end
