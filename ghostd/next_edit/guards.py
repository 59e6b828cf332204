"""What is never proposed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ghostd.completion.lexing import lex, syntax_of
from ghostd.next_edit.asked import Asked
from ghostd.next_edit.document import Source
from ghostd.next_edit.proposal import Proposal
from ghostd.next_edit.tokens import tokens_in

_BRACKETS = frozenset("()[]{}")
_MAX_CHARS = 4_000
"""Of the lines that a proposal changes; in longer ones only names are."""
_MAX_REFUSED = 200
"""After so many the rest is not looked at."""


def keeps_order(proposal: Proposal) -> bool:
    """Whether the brackets and strings are as whole with a proposal as without it."""
    source = proposal.source
    if not (0 <= proposal.start <= proposal.end <= len(source.text)):
        return False
    if proposal.old == proposal.new:
        return False
    if proposal.old.isidentifier() and proposal.new.isidentifier():
        return True
    first, last = source.line_of(proposal.start), source.line_of(max(proposal.end - 1, proposal.start))
    start, end = source.line_span(first)[0], source.line_span(last)[1]
    end = max(end, proposal.end)
    if end - start > _MAX_CHARS:
        return False
    before = source.text[start:end]
    after = source.text[start : proposal.start] + proposal.new + source.text[proposal.end : end]
    syntax = syntax_of(None, proposal.path)
    was, now = lex(before, syntax), lex(after, syntax)
    if (was.inside, was.loose) != (now.inside, now.loose):
        return False
    return _open(before, source) == _open(after, source)


def undone(asked: Asked, proposal: Proposal) -> bool:
    """Whether the user has taken back this very change of the lines."""
    before, after = (tuple(text.splitlines(keepends=True)) for text in proposal.lines)
    return (proposal.source.file, before, after) in asked.undone


def chosen(asked: Asked, found: Sequence[Proposal], limit: int) -> list[Proposal]:
    """What passes all guards, in the order in which it is shown; of those that overlap the first one."""
    order = {path: place for place, path in enumerate(dict.fromkeys(each.path for each in found))}

    def rank(proposal: Proposal) -> tuple[object, ...]:
        elsewhere = proposal.path != asked.path
        above = not elsewhere and proposal.end < asked.offset
        return elsewhere, order[proposal.path], above, proposal.start, -proposal.confidence

    kept: list[Proposal] = []
    refused = 0
    for proposal in sorted(found, key=rank):
        if len(kept) == limit or refused == _MAX_REFUSED:
            break
        if any(_overlap(proposal, other) for other in kept):
            continue
        if keeps_order(proposal) and not undone(asked, proposal):
            kept.append(proposal)
        else:
            refused += 1
    return kept


def _overlap(one: Proposal, other: Proposal) -> bool:
    if one.path != other.path:
        return False
    if one.start == one.end == other.start == other.end:
        return one.new == other.new
    return one.start < other.end and other.start < one.end


def _open(text: str, source: Source) -> Counter[str]:
    """How many more brackets of each kind are opened than closed."""
    count: Counter[str] = Counter()
    for token in tokens_in(text, source.path):
        if token.kind == "op" and token.text in _BRACKETS:
            count[("([{".find(token.text) >= 0 and token.text) or "([{"[")]}".index(token.text)]] += (
                1 if token.text in "([{" else -1
            )
    return Counter({bracket: number for bracket, number in count.items() if number})
