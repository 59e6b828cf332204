"""Functions and blocks of Python, whose blocks are told by indentation."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from ghostd.next_edit.blocks import Block, Function
from ghostd.next_edit.brackets import CLOSER, ends_of
from ghostd.next_edit.tokens import Token, line_starts

_HEAD = 40
"""Tokens between the name of a function and its "(", which are those of its type parameters."""


def python_blocks(
    text: str, tokens: Sequence[Token], pairs: Mapping[int, int], around: Sequence[int]
) -> tuple[list[Function], list[Block]]:
    """In no order; `pairs` and `around` as in `brackets`."""
    lines = line_starts(text)
    functions: list[Function] = []
    blocks: list[Block] = []
    starts = _line_tokens(lines, tokens, pairs)
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
        near = range(word + 2, min(word + _HEAD, len(tokens)))
        opening = next((i for i in near if tokens[i].text in ("(", ":")), -1)
        if opening >= 0 and tokens[opening].text == "(" and opening in pairs:
            head_end = tokens[pairs[opening]].end
            member = bool(open_types) and open_types[-1][0] >= 0
            whole = max(end, head_end)
            functions.append(Function(name.text, name.start, tokens[opening].start, head_end, whole, member))
            open_types.append((-1, end))
            blocks.append(Block(tokens[at].start, whole, None))
    return functions + _nameless(lines, tokens, pairs, around), blocks


def _line_tokens(lines: Sequence[int], tokens: Sequence[Token], pairs: Mapping[int, int]) -> list[tuple[int, int, int]]:
    """(token, column, line start) of the first token of each line that is not inside of brackets."""
    starts: list[tuple[int, int, int]] = []
    last_line = -1
    skip_until = -1
    for at, token in enumerate(tokens):
        line = _line_at(lines, token.start)
        if at > skip_until and line != last_line:
            starts.append((at, token.start - line, line))
        last_line = line if at == skip_until else _line_at(lines, token.end)
        if pairs.get(at, -1) > at > skip_until:
            skip_until = pairs[at]
    return starts


def _line_at(lines: Sequence[int], offset: int) -> int:
    return lines[bisect_right(lines, offset) - 1]


def _indented_ends(starts: Sequence[tuple[int, int, int]], end: int) -> list[int]:
    """Where each line's block ends: at the next line that is not indented more."""
    ends = [end] * len(starts)
    waiting: list[int] = []
    for at, (_, column, line) in enumerate(starts):
        while waiting and starts[waiting[-1]][1] >= column:
            ends[waiting.pop()] = line
        waiting.append(at)
    return ends


def _nameless(
    lines: Sequence[int], tokens: Sequence[Token], pairs: Mapping[int, int], around: Sequence[int]
) -> list[Function]:
    """Lambdas, and comprehensions, which have names of their own likewise."""
    colons = ends_of(tokens, pairs, frozenset(":"))
    commas = ends_of(tokens, pairs, frozenset(","))
    functions: list[Function] = []
    for at, token in enumerate(tokens):
        if token.text == "lambda" and token.kind == "name":
            colon = colons[at + 1]
            if colon >= len(tokens) or tokens[colon].text != ":":
                continue
            stop = commas[colon + 1]
            end = tokens[stop].start if stop < len(tokens) else tokens[-1].end
            if around[at] < 0:  # it ends with its line
                line = bisect_right(lines, tokens[colon].start)
                end = min(end, lines[line] if line < len(lines) else end)
            functions.append(Function("", token.start, token.end, tokens[colon].start, end, False))
        elif token.text in CLOSER and pairs.get(at, -1) > at and _is_comprehension(tokens, pairs, at):
            end = tokens[pairs[at]].end
            functions.append(Function("", token.start, token.start, token.start, end, False))
    return functions


def _is_comprehension(tokens: Sequence[Token], pairs: Mapping[int, int], at: int) -> bool:
    """Whether a bracket has names of its own: those of its `for`."""
    place = at + 1
    while place < pairs[at]:
        if tokens[place].text == "for" and tokens[place].kind == "name":
            return True
        place = pairs[place] + 1 if pairs.get(place, -1) > place else place + 1
    return False
