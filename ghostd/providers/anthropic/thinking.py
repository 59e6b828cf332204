"""How an Anthropic model is told to think: by a budget of tokens, or adaptively with an effort."""

from __future__ import annotations

from dataclasses import dataclass

from ghostd.conversation import NamedTool, Reasoning, Tools
from ghostd.errors import InvalidRequest
from ghostd.providers.anthropic.blocks import Block
from ghostd.providers.anthropic.models import ModelTraits
from ghostd.providers.unsupported import Unsupported
from ghostd.types import ChatRequest

_MIN_BUDGET = 1024
"""Least `budget_tokens` that the API takes."""
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768}
"""Thinking tokens for an effort, for models that know budgets only. The choice is ours."""


@dataclass(frozen=True, slots=True)
class Thinking:
    """What a request says of it."""

    field: Block | None = None
    """`thinking`"""
    effort: str | None = None
    """`output_config.effort`"""

    @property
    def is_on(self) -> bool:
        """Whether the model is told to think."""
        return self.field is not None and self.field["type"] != "disabled"

    @property
    def has_budget(self) -> bool:
        """Whether it thinks by a budget, with which less goes together."""
        return self.field is not None and self.field["type"] == "enabled"


def thinking_for(
    request: ChatRequest, traits: ModelTraits, max_tokens: int, unsupported: Unsupported, *, bare_loop: bool
) -> Thinking:
    """In the model's own way. Raises UnsupportedParameter or InvalidRequest.

    With a budget, the API wants the thoughts before the calls whose results it gets. Where a client has not kept them
    (`bare_loop`), as those of other dialects cannot, an effort is met without thoughts.
    """
    reasoning = request.reasoning
    unsupported = unsupported.lenient(wanted=reasoning.optional)
    thinking = _asked(reasoning, traits, max_tokens, unsupported)
    if not thinking.has_budget:
        return thinking
    if _forces_a_tool(request.tools):
        unsupported.refuse("tool_choice", "a model that thinks by a budget cannot be made to call a tool.")
        return Thinking(None, thinking.effort)
    if bare_loop:
        if reasoning.budget_tokens is not None:
            unsupported.refuse(_param(reasoning), "the thoughts before the last tool calls are missing.")
        return Thinking(None, thinking.effort)
    return thinking


def _asked(reasoning: Reasoning, traits: ModelTraits, max_tokens: int, unsupported: Unsupported) -> Thinking:
    asked = reasoning.effort is not None or reasoning.budget_tokens is not None
    if reasoning.effort == "none" or reasoning.budget_tokens == 0:
        return _off(traits, unsupported)
    if not traits.thinks:
        if asked:
            unsupported.refuse(_param(reasoning), "the model does not reason before it answers.")
        return Thinking()
    if not asked and not reasoning.include:
        return Thinking()
    if reasoning.budget_tokens is not None:
        return _budgeted(reasoning.budget_tokens, traits, max_tokens, unsupported, include=reasoning.include)
    if traits.adaptive:
        return Thinking(_adaptive(include=reasoning.include), _effort(reasoning, traits))
    # At most four fifths of the reply; no thinking where that leaves no room for it.
    budget = min(_BUDGETS[reasoning.effort or "low"], max_tokens * 4 // 5)
    return Thinking(_enabled(budget) if budget >= _MIN_BUDGET else None, _effort(reasoning, traits))


def _off(traits: ModelTraits, unsupported: Unsupported) -> Thinking:
    if not traits.adaptive:
        return Thinking()  # off is these models' default
    if not traits.can_disable:
        unsupported.refuse("reasoning_effort", 'the model always thinks; its least effort is "low".')
        return Thinking()
    return Thinking({"type": "disabled"})


def _budgeted(
    budget: int, traits: ModelTraits, max_tokens: int, unsupported: Unsupported, *, include: bool
) -> Thinking:
    if not traits.budget:
        unsupported.refuse("thinking.budget_tokens", "the model decides itself how long it thinks; ask by effort.")
        return Thinking(_adaptive(include=include))
    if not _MIN_BUDGET <= budget < max_tokens:
        raise InvalidRequest(
            f"Invalid value for 'thinking.budget_tokens': {budget} is not between {_MIN_BUDGET} and the limit of the "
            f"reply ({max_tokens}).",
            "thinking.budget_tokens",
        )
    return Thinking(_enabled(budget))


def _adaptive(*, include: bool) -> Block:
    return {"type": "adaptive", "display": "summarized"} if include else {"type": "adaptive"}


def _enabled(budget: int) -> Block:
    return {"type": "enabled", "budget_tokens": budget}


def _effort(reasoning: Reasoning, traits: ModelTraits) -> str | None:
    """The effort, or a lesser one that the model knows."""
    if reasoning.effort is None:
        return None
    wanted = "low" if reasoning.effort == "minimal" else reasoning.effort
    if wanted in traits.efforts:
        return wanted
    return "high" if "high" in traits.efforts else None


def _param(reasoning: Reasoning) -> str:
    return "reasoning_effort" if reasoning.effort is not None else "thinking.budget_tokens"


def _forces_a_tool(tools: Tools) -> bool:
    return bool(tools.tools) and (tools.choice == "required" or isinstance(tools.choice, NamedTool))
