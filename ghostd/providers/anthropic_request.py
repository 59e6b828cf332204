"""A chat request as the body of `POST /v1/messages`."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ghostd.conversation import NamedTool, Reasoning, Tool, Tools
from ghostd.errors import InvalidRequest
from ghostd.providers.anthropic_blocks import Block, cache_control, conversation
from ghostd.providers.anthropic_models import ModelTraits
from ghostd.providers.unsupported import Unsupported
from ghostd.types import ChatRequest, Sampling

_ENCODER = msgspec.json.Encoder()
_SCHEMA = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FILES_BETA = "files-api-2025-04-14"
_MIN_BUDGET = 1024
"""Least `budget_tokens` that the API takes."""
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768}
"""Thinking tokens for an effort, for models that know budgets only. The choice is ours."""
_NO_PLACE = (
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "logit_bias",
    "logprobs",
    "grammar",
)


@dataclass(frozen=True, slots=True)
class MessagesBody:
    """A body and the beta features that it uses."""

    body: bytes
    betas: tuple[str, ...] = ()


def messages_body(request: ChatRequest, traits: ModelTraits, unsupported: Unsupported) -> MessagesBody:
    """The streamed request. Raises UnsupportedParameter or InvalidRequest, naming the field."""
    unsupported.sampling(request.sampling, _NO_PLACE)
    said = conversation(request.messages, unsupported)
    max_tokens = traits.default_max_tokens if request.max_tokens is None else request.max_tokens
    body: dict[str, object] = {"model": request.model, "max_tokens": max_tokens, "messages": said.messages}
    if said.system:
        body["system"] = said.system
    if request.stop:
        # The API refuses stop sequences of whitespace only, and empty ones match nothing.
        body["stop_sequences"] = [text for text in request.stop if text]
    if request.user is not None:
        body["metadata"] = {"user_id": request.user}
    body.update(_tools(request.tools, traits, unsupported))
    thinking, effort = _thinking(request, traits, max_tokens, unsupported)
    if thinking is not None:
        body["thinking"] = thinking
    body.update(_sampling(request.sampling, traits, unsupported, thinking=_is_on(thinking)))
    output: dict[str, object] = {}
    if effort is not None:
        output["effort"] = effort
    schema = _schema(request.sampling.json_schema, traits, unsupported)
    if schema is not None:
        output["format"] = {"type": "json_schema", "schema": schema}
    if output:
        body["output_config"] = output
    body["stream"] = True
    return MessagesBody(_ENCODER.encode(body), (_FILES_BETA,) if said.uses_files else ())


def _tools(tools: Tools, traits: ModelTraits, unsupported: Unsupported) -> dict[str, object]:
    if not tools.tools:
        return {}
    fields: dict[str, object] = {"tools": [_tool(tool, traits, unsupported) for tool in tools.tools]}
    choice: Block | None = None
    match tools.choice:
        case NamedTool(name):
            choice = {"type": "tool", "name": name}
        case "required":
            choice = {"type": "any"}
        case "none":
            choice = {"type": "none"}
        case "auto":
            choice = {"type": "auto"}
    if tools.parallel is False and tools.choice != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    if choice is not None:
        fields["tool_choice"] = choice
    return fields


def _tool(tool: Tool, traits: ModelTraits, unsupported: Unsupported) -> Block:
    fields: Block = {"name": tool.name}
    if tool.description:
        fields["description"] = tool.description
    fields["input_schema"] = _object_schema(tool.parameters, "tools")
    if tool.strict:
        if traits.structured:
            fields["strict"] = True
        else:
            unsupported.refuse("tools.strict", "the model does not follow tool schemas strictly.")
    if tool.cache_ttl is not None:
        fields["cache_control"] = cache_control(tool.cache_ttl)
    return fields


def _object_schema(text: str, param: str) -> object:
    """A tool's schema, which must say that it is an object's; a schema that says nothing of it gets the word."""
    try:
        fields = _SCHEMA.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"Invalid JSON schema in '{param}': {error}.", param) from None
    return fields if "type" in fields else {"type": "object", **fields}


def _schema(text: str | None, traits: ModelTraits, unsupported: Unsupported) -> msgspec.Raw | None:
    if text is None:
        return None
    try:
        fields = _SCHEMA.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"Invalid JSON schema in 'response_format': {error}.", "response_format") from None
    if not fields:
        unsupported.refuse("response_format", "the API follows a JSON schema, but has no mode for any JSON.")
        return None
    if not traits.structured:
        unsupported.refuse("response_format", "the model cannot be held to a JSON schema.")
        return None
    return msgspec.Raw(text.encode())


def _is_on(thinking: Block | None) -> bool:
    return thinking is not None and thinking["type"] != "disabled"


def _thinking(
    request: ChatRequest, traits: ModelTraits, max_tokens: int, unsupported: Unsupported
) -> tuple[Block | None, str | None]:
    """The field `thinking` and the effort."""
    reasoning = request.reasoning
    if reasoning.effort is None and reasoning.budget_tokens is None and not reasoning.include:
        return None, None
    off = reasoning.effort == "none" or reasoning.budget_tokens == 0
    if off:
        return _off(traits, unsupported), None
    if not traits.thinks:
        if reasoning.effort is not None or reasoning.budget_tokens is not None:
            unsupported.refuse(_param(reasoning), "the model does not reason before it answers.")
        return None, None
    if reasoning.budget_tokens is not None:
        thinking, effort = _budgeted(
            reasoning.budget_tokens, traits, max_tokens, unsupported, include=reasoning.include
        )
    elif traits.adaptive:
        thinking, effort = _adaptive(reasoning.include), _effort(reasoning, traits)
    else:
        thinking, effort = _by_effort(reasoning, traits, max_tokens)
    if thinking is not None and thinking["type"] == "enabled" and _forces_a_tool(request.tools):
        unsupported.refuse("tool_choice", "a model that thinks by a budget cannot be made to call a tool.")
        return None, effort
    return thinking, effort


def _param(reasoning: Reasoning) -> str:
    return "reasoning_effort" if reasoning.effort is not None else "thinking.budget_tokens"


def _off(traits: ModelTraits, unsupported: Unsupported) -> Block | None:
    if not traits.adaptive:
        return None  # off is these models' default
    if not traits.can_disable:
        unsupported.refuse("reasoning_effort", 'the model always thinks; its least effort is "low".')
        return None
    return {"type": "disabled"}


def _adaptive(include: bool) -> Block:
    return {"type": "adaptive", "display": "summarized"} if include else {"type": "adaptive"}


def _effort(reasoning: Reasoning, traits: ModelTraits) -> str | None:
    if reasoning.effort is None:
        return None
    wanted = "low" if reasoning.effort == "minimal" else reasoning.effort
    if wanted in traits.efforts:
        return wanted
    return "high" if "high" in traits.efforts else None


def _budgeted(
    budget: int, traits: ModelTraits, max_tokens: int, unsupported: Unsupported, *, include: bool
) -> tuple[Block | None, str | None]:
    if not traits.budget:
        unsupported.refuse("thinking.budget_tokens", "the model decides itself how long it thinks; ask by effort.")
        return _adaptive(include), None
    if not _MIN_BUDGET <= budget < max_tokens:
        raise InvalidRequest(
            f"Invalid value for 'thinking.budget_tokens': {budget} is not between {_MIN_BUDGET} and the limit of the "
            f"reply ({max_tokens}).",
            "thinking.budget_tokens",
        )
    return {"type": "enabled", "budget_tokens": budget}, None


def _by_effort(reasoning: Reasoning, traits: ModelTraits, max_tokens: int) -> tuple[Block | None, str | None]:
    """A budget for the effort, at most four fifths of the reply; no thinking where that leaves no room for it."""
    effort = _effort(reasoning, traits)
    if reasoning.effort is None and not reasoning.include:
        return None, effort
    budget = min(_BUDGETS[reasoning.effort or "low"], max_tokens * 4 // 5)
    if budget < _MIN_BUDGET:
        return None, effort
    return {"type": "enabled", "budget_tokens": budget}, effort


def _forces_a_tool(tools: Tools) -> bool:
    return bool(tools.tools) and (tools.choice == "required" or isinstance(tools.choice, NamedTool))


def _sampling(
    sampling: Sampling, traits: ModelTraits, unsupported: Unsupported, *, thinking: bool
) -> dict[str, object]:
    """Temperature, top_p and top_k as far as the model takes them; 1 is the default of the first two."""
    temperature = None if sampling.temperature == 1 else sampling.temperature
    top_p = None if sampling.top_p == 1 else sampling.top_p
    top_k = sampling.top_k or None
    if temperature is not None and temperature > 1:
        unsupported.refuse("temperature", "it goes from 0 to 1.")
        temperature = None
    if traits.sampling == "none" or thinking:
        why = "the model takes no sampling parameters." if traits.sampling == "none" else "not while the model thinks."
        for name, value in (("temperature", temperature), ("top_p", top_p), ("top_k", top_k)):
            # While it thinks by a budget, a top_p from 0.95 on is taken.
            if value is not None and not (traits.sampling != "none" and name == "top_p" and value >= 0.95):
                unsupported.refuse(name, why)
        temperature, top_k = None, None
        if traits.sampling == "none" or (top_p is not None and top_p < 0.95):
            top_p = None
    elif traits.sampling == "one" and temperature is not None and top_p is not None:
        unsupported.refuse("top_p", "the model takes temperature or top_p, not both.")
        top_p = None
    fields = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    return {name: value for name, value in fields.items() if value is not None}
