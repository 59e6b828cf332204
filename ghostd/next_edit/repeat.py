"""The last edits were one transformation: the next places where it fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from ghostd.next_edit.document import Source
from ghostd.next_edit.history import Edit
from ghostd.next_edit.proposal import Proposal, propose
from ghostd.next_edit.tokens import Token, code, tokens_in
from ghostd.next_edit.transformation import Rewritten, Transformation, common

_TWICE = 0.7
_OFTENER = 0.85
_EDITS = 4
"""How many of the last edits are looked at."""
_REASON = "The last edits were the same change."


def transformations(edits: Sequence[Edit], path: PurePosixPath) -> list[tuple[Transformation, float]]:
    """What the last edits have in common, the last one among them; with how sure that is."""
    lines = [line for edit in edits[-_EDITS:] for line in _lines(edit, path)]
    if len(lines) < 2:
        return []
    last = lines[-1]
    found: list[tuple[Transformation, float]] = []
    for earlier in reversed(lines[:-1]):
        made = common(last, earlier)
        if made is None:
            continue
        instances = sum(_is_instance(made, each) for each in lines)
        found.append((made, _OFTENER if instances > 2 else _TWICE))
        break
    return found


def fitting(source: Source, made: Transformation, confidence: float) -> Iterator[Proposal]:
    """The places of a file where a transformation fits, one a line."""
    whole = tokens_in(source.text, source.path)
    line: list[Token] = []
    for token in (*whole, Token("newline", "\n", len(source.text), len(source.text))):
        if token.kind != "newline":
            if token.kind != "comment":
                line.append(token)
            continue
        yield from _in_line(source, made, line, confidence)
        line = []


def _in_line(source: Source, made: Transformation, line: Sequence[Token], confidence: float) -> Iterator[Proposal]:
    for at in range(1 if made.line_start else len(line)):
        held = made.matches(line, at)
        if held is None or made.stands(line, at):
            continue
        tokens = line[at : at + made.length(held)]
        if not tokens:
            continue
        new = made.text(source.text, held)
        start, end = tokens[0].start, tokens[-1].end
        if new != source.text[start:end] and not source.text.startswith(new, start):
            yield propose(source, start, end, new, "repeat", _REASON, confidence)
        return


def _lines(edit: Edit, path: PurePosixPath) -> Iterator[Rewritten]:
    """An edit line by line, where it has as many as before."""
    if len(edit.before) != len(edit.after):
        return
    for before, after in zip(edit.before, edit.after, strict=True):
        if before != after:
            yield Rewritten(_tokens(before, path), _tokens(after, path), after)


def _tokens(text: str, path: PurePosixPath) -> tuple[Token, ...]:
    return code(tokens_in(text, path))


def _is_instance(made: Transformation, line: Rewritten) -> bool:
    for at in range(len(line.before)):
        held = made.matches(line.before, at)
        if held is not None:
            return True
    return False
