"""A selection for people: counted exactly where a tokenizer can, within its budget, and told in full."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from ghostd.context.cursor import Cursor
from ghostd.context.quote import comment_mark, prompt_of, quoted
from ghostd.context.selection import Context, ContextRequest
from ghostd.context_reports import ContextReport, Counter, OmittedPiece, QuotedPiece

_MIN_RATIO, _MAX_RATIO = 1.0, 16.0


@dataclass(frozen=True, slots=True)
class Counted:
    """A selection whose chunks tell the tokens that a tokenizer has counted."""

    context: Context
    bytes_per_token: float
    """Within bounds, whatever the tokenizer says."""


async def counted(
    context: Context, path: PurePosixPath, count: Callable[[str], Awaitable[int | None]]
) -> Counted | None:
    """The selection, each of its chunks counted as it is quoted; None where nobody can count."""
    mark = comment_mark(path)
    chunks, size = [], 0
    for chunk in context.chunks:
        text = quoted(chunk, mark)
        tokens = await count(text)
        if tokens is None:
            return None
        size += len(text.encode("utf-8", "replace"))
        chunks.append(replace(chunk, tokens=tokens))
    total = sum(chunk.tokens for chunk in chunks)
    ratio = min(max(size / max(total, 1), _MIN_RATIO), _MAX_RATIO)
    return Counted(replace(context, chunks=tuple(chunks), tokens=total), ratio)


def report_of(
    context: Context, request: ContextRequest, cursor: Cursor, model: str, exact: bool, bytes_per_token: float
) -> ContextReport:
    """All of it, as it is told."""
    return ContextReport(
        root=str(request.root),
        path=str(request.path),
        line=cursor.line,
        column=cursor.column,
        chunks=[
            QuotedPiece(
                str(one.path),
                one.first_line,
                one.last_line,
                one.text,
                one.source,
                one.score,
                one.tokens,
                list(one.why),
                one.redactions,
            )
            for one in context.chunks
        ],
        left_out=[
            OmittedPiece(str(one.path), one.first_line, one.last_line, one.source, one.score, one.tokens, one.reason)
            for one in context.left_out
        ],
        tokens=context.tokens,
        budget=context.budget_tokens,
        counter=Counter(model, exact, round(bytes_per_token, 3)),
        candidates=context.candidates,
        seconds=round(context.seconds, 6),
        late=list(context.late),
        redactions=sum(one.redactions for one in context.chunks),
        redacted=request.redact,
        prompt=prompt_of(context.in_prompt_order(), request.path),
    )
