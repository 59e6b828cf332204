"""The self-test of fill-in-the-middle: a freshly loaded model fills a hole of one token that any code model can fill.

A vocabulary does not tell everything: Mellum has StarCoder's markers and was trained in another order, and some chat
models have markers that they never saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ghostd.fim_markers import PROBE, Order, form_of, ordered, stop_ids
from ghostd.workers.engines.contract import Engine, GenerationOptions, TokenStep, generate
from ghostd.workers.gguf_header import GgufHeader
from ghostd.workers.prompts import PromptEncoder


@dataclass(frozen=True, slots=True)
class FimFinding:
    """What the self-test has found."""

    order: Order | None = None
    """None where the vocabulary leaves no choice, or there is nothing to test."""
    works: bool = True


def try_fill(engine: Engine, header: GgufHeader, encoder: PromptEncoder) -> FimFinding:
    """Fill the hole in each order that the vocabulary allows; raises as `generate` does.

    The form's own order stays unless the other one alone gives the right token. The model works unless each order
    gives a marker, or nothing.
    """
    form = form_of(header.fim_ids)
    if form is None:
        return FimFinding()
    orders: tuple[Order, ...] = (form.order,) if form.or_order is None else (form.order, form.or_order)
    prefix, suffix, right = PROBE
    verdicts: list[Literal["right", "text", "none"]] = []
    for order in orders:
        prompt = encoder.encode(ordered(form, order, header.fim_ids, prefix, suffix))
        verdicts.append(_verdict(engine, prompt, right.encode(), stop_ids(header.fim_ids)))
        if verdicts[-1] == "right":
            break
    works = any(verdict != "none" for verdict in verdicts)
    if len(orders) == 1:
        return FimFinding(works=works)
    return FimFinding(orders[verdicts.index("right")] if "right" in verdicts else form.order, works)


def _verdict(
    engine: Engine, prompt: Sequence[int], right: bytes, stops: frozenset[int]
) -> Literal["right", "text", "none"]:
    for step in generate(engine, prompt, GenerationOptions(1, temperature=0.0)):
        if isinstance(step, TokenStep):
            if not step.data or stops.intersection(step.ids):
                return "none"
            return "right" if step.data.strip().startswith(right) else "text"
    return "none"
