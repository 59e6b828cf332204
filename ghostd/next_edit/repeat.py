"""The last edits were one transformation: the next places where it fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from ghostd.next_edit.document import Source
from ghostd.next_edit.history import Edit
from ghostd.next_edit.proposal import Proposal, propose
from ghostd.next_edit.tokens import Token, code, tokens_in
from ghostd.next_edit.transformation import Rewritten, Steps, Transformation, common

_TWICE = 0.7
_OFTENER = 0.85
_EDITS = 4
"""How many of the last edits are looked at."""
_LINES = 16
"""And of their lines."""
_MAX_FOUND = 1_000
_MAX_STEPS = 500_000
"""Of comparisons in one file: some 0.2 s."""
_REASON = "The last edits were the same change."


def transformations(edits: Sequence[Edit], path: PurePosixPath) -> list[tuple[Transformation, float]]:
    """What the last edits have in common, the last one among them; with how sure that is."""
    lines = [line for edit in edits[-_EDITS:] for line in _lines(edit, path)][-_LINES:]
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


def fitting(source: Source, made: Transformation, confidence: float) -> list[Proposal]:
    """The places of a file where a transformation fits, one a line; not all where it would take too long to look."""
    found: list[Proposal] = []
    steps = Steps(_MAX_STEPS)
    line: list[Token] = []
    for token in (*source.all_tokens, Token("newline", "\n", len(source.text), len(source.text))):
        if token.kind != "newline":
            if token.kind != "comment":
                line.append(token)
            continue
        proposal = _in_line(source, made, line, confidence, steps)
        found += [proposal] if proposal is not None else []
        if len(found) == _MAX_FOUND or not steps.left:
            break
        line = []
    return found


def _in_line(
    source: Source, made: Transformation, line: Sequence[Token], confidence: float, steps: Steps
) -> Proposal | None:
    for at in range(1 if made.line_start else len(line)):
        held = made.matches(line, at, steps)
        if held is None or made.stands(line, at, steps):
            continue
        tokens = line[at : at + made.length(held)]
        if not tokens:
            continue
        new = made.text(source.text, held)
        start, end = tokens[0].start, tokens[-1].end
        if new != source.text[start:end] and not source.text.startswith(new, start):
            return propose(source, start, end, new, "repeat", _REASON, confidence)
        return None
    return None


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
    steps = Steps(_MAX_STEPS)
    return any(made.matches(line.before, at, steps) is not None for at in range(len(line.before)))
