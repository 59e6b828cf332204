"""Keeps a selection within its budget where its chunks have turned out longer than they were taken for."""

from __future__ import annotations

from dataclasses import replace

from ghostd.context.selection import MAX_LEFT_OUT, Context, LeftOut


def fitting(context: Context) -> Context:
    """The selection without its least valuable chunks that are beyond the budget after all."""
    total, kept, gone = 0, [], []
    for place, chunk in enumerate(context.chunks):
        if total + chunk.tokens <= context.budget_tokens:
            total += chunk.tokens
            kept.append(place)
        else:
            lines = chunk.first_line, chunk.last_line
            gone.append(LeftOut(chunk.path, *lines, chunk.source, chunk.score, chunk.tokens, "no room"))
    if not gone:
        return context
    now = {place: number for number, place in enumerate(kept)}
    return replace(
        context,
        chunks=tuple(context.chunks[place] for place in kept),
        prompt_order=tuple(now[place] for place in context.prompt_order if place in now),
        left_out=(*gone, *context.left_out)[:MAX_LEFT_OUT],
        tokens=total,
    )
