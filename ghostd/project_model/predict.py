"""From a request to its answer: read the hole, search the likeliest line, decide whether to show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ghostd.project_model.calibration import Calibration, confidence, probability_floors
from ghostd.project_model.document import Hole, TokenText, read_hole
from ghostd.project_model.evidence import Evidence
from ghostd.project_model.lexicon import Lexicon
from ghostd.project_model.memory import RootMemory
from ghostd.project_model.search import Line, best_line
from ghostd.project_model.tokens import EDGE, Indentation
from ghostd.types import FinishReason, OpenDocument

BUDGET = 10
"""Partial lines to expand for one answer."""
SURE_BLOCK = 0.4
"""Confidence of the first line from which more lines may follow."""
SURE_LINE = 0.7
"""Confidence that each of those must have."""
OPEN_DOCUMENT_TOKENS = 20_000
"""Tokens of other open documents that are looked into."""


@dataclass(frozen=True, slots=True)
class Query:
    """What the prediction needs of a request."""

    prefix: str
    suffix: str
    path: str | None
    """Relative to the root."""
    open_documents: tuple[OpenDocument, ...]
    min_confidence: float
    max_tokens: int | None
    max_lines: int
    stop: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer; an empty text where nothing is likely enough."""

    text: str
    confidence: float
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int


def predict(
    memory: RootMemory,
    query: Query,
    weights: Sequence[float],
    calibration: Calibration,
    cancelled: Callable[[], bool],
) -> Prediction:
    """Answer one request; a cancelled one gets an empty answer soon.

    Further lines follow the first one only while each is very likely.
    """
    whole = _predict_line(memory, query, weights, calibration, cancelled)
    rest = query.suffix.partition("\n")[0].strip()
    if not whole.text or rest or query.stop or whole.finish_reason == "length":
        return whole
    first = whole.confidence
    eol = "\r\n" if "\r\n" in query.prefix else "\n"
    below = query.suffix.split("\n", 2)[1:2]
    for _ in range(query.max_lines - 1):
        # One token is the line break.
        room = None if query.max_tokens is None else query.max_tokens - whole.completion_tokens - 1
        if first < SURE_BLOCK or cancelled() or (room is not None and room < 1):
            break
        prefix = query.prefix + whole.text + eol
        following = replace(query, prefix=prefix, min_confidence=SURE_LINE, max_tokens=room)
        more = _predict_line(memory, following, weights, calibration, cancelled)
        if not more.text or more.finish_reason == "length" or [more.text.strip()] == [line.strip() for line in below]:
            break
        whole = replace(
            whole,
            text=whole.text + eol + more.text,
            confidence=whole.confidence * more.confidence,
            completion_tokens=whole.completion_tokens + more.completion_tokens + 1,
        )
    return whole


def _predict_line(
    memory: RootMemory,
    query: Query,
    weights: Sequence[float],
    calibration: Calibration,
    cancelled: Callable[[], bool],
) -> Prediction:
    """The rest of the line, or the next line where the cursor is at the start of one."""
    lexicon = memory.lexicon
    hole = read_hole(lexicon, query.prefix, query.suffix)
    written = ""
    if hole.new_line and (written := likely_indentation(hole)):
        hole = read_hole(lexicon, query.prefix + written, query.suffix)
    opened, shown = _open_texts(memory, query)
    hidden = shown if query.path is None else shown | {query.path}
    fresh = [*memory.fresh_texts(hidden), *opened]
    near = memory.texts_near(query.path, hidden)
    evidence = Evidence(lexicon, hole, near, fresh, memory.outdated(hidden), weights)
    prompt_tokens = len(hole.text.tokens)
    line = best_line(evidence, probability_floors(calibration, query.min_confidence), BUDGET, cancelled)
    if line is None:
        return Prediction("", 0.0, "stop", prompt_tokens, 0)
    sure = confidence(calibration, line)
    text = finished_text(lexicon, hole, line)
    if sure < query.min_confidence or not text.strip():
        return Prediction("", sure, "stop", prompt_tokens, 0)
    return _limited(written + text, line, sure, prompt_tokens, query, lexicon, hole.typed)


def finished_text(lexicon: Lexicon, hole: Hole, line: Line) -> str:
    """What is to be inserted at the cursor: without what is typed, or stands behind the cursor, already."""
    text = lexicon.text(line.tokens)[len(hole.typed) :].rstrip()
    return _without_repeat(text, hole.rest)


def _without_repeat(text: str, rest: str) -> str:
    """`text` without its end where `rest`, the text behind the cursor, begins with it: all of it, or closing signs."""
    for length in range(min(len(rest), len(text)), 0, -1):
        if text.endswith(rest[:length]) and (length == len(rest) or rest[0] in ")]}\"'`;,"):
            return text[:-length]
    return text


def likely_indentation(hole: Hole) -> str:
    """The white space for a line whose cursor stands at column 0."""
    above, below = _indent(hole.above), _indent(hole.next_line)
    if hole.above.rstrip().endswith((":", "{", "(", "[")):
        return above + hole.unit
    ended = hole.above.split(maxsplit=1)[:1]
    if hole.next_line and len(below) < len(above) and (hole.after_blank or ended[0] in _ENDS):
        return below
    return above


_ENDS = frozenset(("return", "raise", "break", "continue", "pass", "}", ")", "]", "return;", "break;", "continue;"))


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _open_texts(memory: RootMemory, query: Query) -> tuple[list[TokenText], frozenset[str]]:
    """The other open documents as one text, and the paths in this root whose saved text it stands for."""
    lexicon = memory.lexicon
    tokens: list[str] = []
    shapes: list[str] = []
    paths: set[str] = set()
    room = OPEN_DOCUMENT_TOKENS
    for document in query.open_documents:
        if len(document.text) > 8 * OPEN_DOCUMENT_TOKENS:
            continue
        more = lexicon.texts(document.text.replace("\r\n", "\n"), Indentation())
        if len(more[0]) <= room:
            room -= len(more[0])
            tokens.append(more[0])
            shapes.append(more[1])
            if document.path.is_relative_to(memory.root):
                paths.add(document.path.relative_to(memory.root).as_posix())
    edge = chr(EDGE)
    texts = [TokenText(edge.join(tokens), edge.join(shapes), 0)] if tokens else []
    return texts, frozenset(paths)


def _limited(
    text: str, line: Line, sure: float, prompt_tokens: int, query: Query, lexicon: Lexicon, typed: str
) -> Prediction:
    """Apply the request's stops and limits."""
    tokens = _new_tokens(lexicon, line, typed)
    count = len(tokens) or 1
    reason: FinishReason = "stop"
    if query.max_tokens is not None and count > query.max_tokens:
        surplus = lexicon.text(tokens[query.max_tokens :]).rstrip()
        text = text.removesuffix(surplus)
        count, reason = query.max_tokens, "length"
    ends = [at for stop in query.stop if stop and (at := text.find(stop)) >= 0]
    if ends:
        text, reason = text[: min(ends)], "stop"
    return Prediction(text, sure, reason, prompt_tokens, count)


def _new_tokens(lexicon: Lexicon, line: Line, typed: str) -> tuple[int, ...]:
    """The line's tokens that are not typed already; one that is typed in part counts."""
    length = 0
    for number, token in enumerate(line.tokens):
        length += len(lexicon.word(token))
        if length > len(typed):
            return line.tokens[number:]
    return ()
