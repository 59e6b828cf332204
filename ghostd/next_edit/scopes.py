"""Functions and blocks of a source text, from its tokens: where names live, without a parser."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ghostd.next_edit.blocks import Block, Function
from ghostd.next_edit.brace_blocks import brace_blocks
from ghostd.next_edit.brackets import around_of, pairs_of
from ghostd.next_edit.innermost import Innermost
from ghostd.next_edit.python_blocks import python_blocks
from ghostd.next_edit.tokens import Token

_NESTED = 16
"""Functions in the defaults of one function's parameters, at most."""


@dataclass(frozen=True, slots=True)
class Scopes:
    """All of a file, in order of their starts."""

    functions: Sequence[Function]
    by_name: Mapping[int, Function]
    """Where a function's name starts → the function."""
    heads: Sequence[int]
    """Of the functions, which are in the order of these."""
    pairs: Mapping[int, int]
    """Index of an opening bracket's token → that of its partner, and the other way round."""
    around: Sequence[int]
    """For each token the opening bracket that it stands in; -1 for none."""
    _functions: Innermost[Function]
    _blocks: Innermost[Block]
    _types: Innermost[Block]

    def heads_at(self, offset: int) -> Sequence[Function]:
        """The functions among whose parameters a place may be."""
        at = bisect_right(self.heads, offset)
        return self.functions[max(at - _NESTED, 0) : at]

    def functions_from(self, start: int, end: int) -> Sequence[Function]:
        """Those whose heads begin in a part of the text."""
        return self.functions[bisect_left(self.heads, start) : bisect_left(self.heads, end)]

    def is_head(self, offset: int) -> bool:
        """Whether a function's head begins at a place."""
        return bool(self.functions_from(offset, offset + 1))

    def function_at(self, offset: int) -> Function | None:
        """The innermost function around a place."""
        return self._functions.at(offset)

    def block_at(self, offset: int) -> Block | None:
        """The innermost block around a place."""
        return self._blocks.at(offset)

    def type_at(self, offset: int) -> Block | None:
        """The innermost type around a place."""
        return self._types.at(offset)


def scopes_of(text: str, tokens: Sequence[Token], family: str) -> Scopes:
    """Read the tokens of a text, without comments and line ends."""
    pairs = pairs_of(tokens)
    around = around_of(tokens, pairs)
    if family == "python":
        functions, blocks = python_blocks(text, tokens, pairs, around)
    else:
        functions, blocks = brace_blocks(tokens, pairs, family)
    functions.sort(key=lambda each: each.head)
    return Scopes(
        functions,
        {each.name_start: each for each in functions if each.name},
        [each.head for each in functions],
        pairs,
        around,
        Innermost((each.head, each.end, each) for each in functions),
        Innermost((each.start, each.end, each) for each in blocks),
        Innermost((each.start, each.end, each) for each in blocks if each.type_name is not None),
    )
