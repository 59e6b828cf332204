"""What can be told of a request without a model: how hard it is, how much it may cost, what it needs."""

from __future__ import annotations

import msgspec

from ghostd.routing.call import Call, Complexity

DEFAULT_REPLY_TOKENS = 500
"""Guess of a reply's length where the request sets no limit; a limit above it says little about the length."""

_LONG_PROMPT_TOKENS = 4_000
_SHORT_PROMPT_TOKENS = 300
_HARD_INTENTS = frozenset(("architecture", "refactor", "debug", "review", "security", "design", "plan", "analysis"))
_EASY_INTENTS = frozenset(("completion", "complete", "commit", "rename", "explain", "chat", "summary", "terminal"))
_HARD_EFFORTS = frozenset(("high", "xhigh", "max"))
_EASY_EFFORTS = frozenset(("none", "minimal", "low"))


class Features(msgspec.Struct, frozen=True):
    """What the policies look at. Recorded in the ledger, so that a policy can be replayed over past requests."""

    capability: str
    complexity: Complexity
    prompt_tokens: int
    reply_tokens: int
    needs: tuple[str, ...]
    stream: bool
    urgent: bool
    """Whether speed was asked for."""
    thrifty: bool
    """Whether a low price was asked for."""
    intent: str = ""
    language: str = ""


def features_of(call: Call) -> Features:
    """The features of a call."""
    hints = call.hints
    reply = DEFAULT_REPLY_TOKENS if call.max_tokens is None else min(call.max_tokens, DEFAULT_REPLY_TOKENS)
    return Features(
        capability=call.capability,
        complexity=complexity_of(call),
        prompt_tokens=call.prompt_tokens,
        reply_tokens=reply,
        needs=tuple(sorted(call.features)),
        stream=call.stream,
        urgent=hints.priority in ("low-latency", "fast", "interactive", "high"),
        thrifty=hints.priority in ("low-cost", "cheap", "low") or hints.budget_usd is not None,
        intent=hints.intent,
        language=hints.language,
    )


def complexity_of(call: Call) -> Complexity:
    """What the client says; else by the reasoning asked for, the intent, tools and the prompt's length."""
    said = call.hints.complexity
    if said in ("simple", "medium", "complex"):
        return said  # type: ignore[return-value]
    if call.effort in _HARD_EFFORTS or call.hints.intent in _HARD_INTENTS:
        return "complex"
    if call.prompt_tokens > _LONG_PROMPT_TOKENS or call.features & {"vision", "files"}:
        return "complex"
    if call.effort in _EASY_EFFORTS or call.hints.intent in _EASY_INTENTS:
        return "simple"
    if call.prompt_tokens < _SHORT_PROMPT_TOKENS and "tools" not in call.features:
        return "simple"
    return "medium"
