"""ChatRequest → the body of a chat completion request, always a streamed one.

Source: the OpenAI API reference, "Create chat completion"; the services' own for their quirks.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ghostd.conversation import NamedTool, ReasoningEffort, Tools
from ghostd.errors import InvalidRequest
from ghostd.providers.openai.messages import wire_messages
from ghostd.providers.openai.quirks import Quirks
from ghostd.providers.unsupported import Unsupported
from ghostd.types import ChatRequest, Sampling

Json = dict[str, Any]

_SAMPLERS = (
    "temperature", "top_p", "top_k", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty", "seed",
    "logit_bias",
)  # fmt: skip
_ANY_OBJECT = ("{}", '{"type":"object"}')
"""Schemas that ask for JSON and nothing more."""
_VERBOSE = re.compile(r"\bgpt-[5-9]")
"""Models that take more than one `verbosity`; others refuse it."""
_MIN_THOUGHTS = ((2048, "low"), (8192, "medium"))
"""Where only an effort can be asked for, a budget below so many tokens is this one; above, "high"."""
ENCODER = msgspec.json.Encoder()


def chat_body(request: ChatRequest, quirks: Quirks, unsupported: Unsupported, *, reasons: bool | None = None) -> Json:
    """The body, as Python values; raises InvalidRequest or UnsupportedParameter.

    `reasons` says whether the model can think before it answers, None where nobody knows.
    """
    if not request.messages:
        raise InvalidRequest("There is no message to answer.", "messages")
    body: Json = {
        "model": request.model,
        "messages": wire_messages(request.messages, quirks, unsupported),
        "stream": True,
    }
    _add_prefill(body, quirks)
    if quirks.include_usage:
        body["stream_options"] = {"include_usage": True}
    if request.max_tokens is not None:
        body[quirks.max_tokens] = request.max_tokens
    if request.stop:
        if quirks.stop:
            body["stop"] = list(request.stop)
        else:
            unsupported.refuse("stop", "the API has no such parameter.")
    if request.user is not None and quirks.user:
        body["user"] = request.user  # a mere hint: nothing is lost where it is not known
    if request.verbosity is not None:
        if quirks.verbosity and _VERBOSE.search(request.model):
            body["verbosity"] = request.verbosity
        else:
            unsupported.lose("verbosity")
    add_samplers(body, request.sampling, quirks, unsupported)
    _add_logprobs(body, request.sampling, quirks, unsupported)
    _add_format(body, request, quirks, unsupported)
    _add_tools(body, request.tools, quirks, unsupported)
    _add_reasoning(body, request, quirks, unsupported, reasons)
    return body


def _add_prefill(body: Json, quirks: Quirks) -> None:
    last = body["messages"][-1]
    if last["role"] != "assistant" or "tool_calls" in last:
        return
    if quirks.prefill == "prefix":
        last["prefix"] = True
    elif quirks.prefill == "continue_final_message":
        body |= {"continue_final_message": True, "add_generation_prompt": False}


def add_samplers(body: Json, sampling: Sampling, quirks: Quirks, unsupported: Unsupported) -> None:
    """The members that say how tokens are picked, but for logprobs, grammar and schema."""
    known = quirks.samplers
    for field in _SAMPLERS:
        value = getattr(sampling, field)
        if value is None or (field == "logit_bias" and not value):
            continue
        member = known.get(field)
        if member is None:
            unsupported.sampling(sampling, (field,))
        elif field == "logit_bias":
            body[member] = {str(token): bias for token, bias in value.items()}
        else:
            body[member] = value


def _add_logprobs(body: Json, sampling: Sampling, quirks: Quirks, unsupported: Unsupported) -> None:
    if sampling.logprobs is None:
        return
    if "logprobs" not in quirks.samplers:
        unsupported.refuse("logprobs", "the API has no such parameter.")
        return
    body["logprobs"] = True
    if sampling.logprobs:
        body["top_logprobs"] = sampling.logprobs


def _add_format(body: Json, request: ChatRequest, quirks: Quirks, unsupported: Unsupported) -> None:
    sampling = request.sampling
    if sampling.grammar is not None:
        add_grammar(body, sampling.grammar, quirks, unsupported)
    if sampling.json_schema is None:
        return
    if quirks.schemas == "none":
        unsupported.refuse("response_format", "the API has no such parameter.")
    elif sampling.json_schema in _ANY_OBJECT:
        body["response_format"] = {"type": "json_object"}
    elif quirks.schemas == "json_object":
        unsupported.refuse("response_format", "it can promise JSON, but not a schema.")
        body["response_format"] = {"type": "json_object"}
    else:
        schema: Json = {"name": request.schema_name, "schema": raw_object(sampling.json_schema, "response_format")}
        if request.schema_strict is not None:
            schema["strict"] = request.schema_strict
        body["response_format"] = {"type": "json_schema", "json_schema": schema}


def add_grammar(body: Json, grammar: str, quirks: Quirks, unsupported: Unsupported) -> None:
    """The member that holds a grammar."""
    if quirks.grammar == "none":
        unsupported.refuse("grammar", "the API has no such parameter.")
    elif quirks.grammar == "grammar":
        body["grammar"] = grammar
    elif quirks.grammar == "structured_outputs":
        body["structured_outputs"] = {"grammar": grammar}
    else:
        body["response_format"] = {"type": "grammar", "grammar": grammar}


def _add_tools(body: Json, tools: Tools, quirks: Quirks, unsupported: Unsupported) -> None:
    if not tools.tools:
        return
    body["tools"] = [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                **({"description": tool.description} if tool.description else {}),
                "parameters": raw_object(tool.parameters, f"tools[{number}].function.parameters"),
                **({"strict": tool.strict} if tool.strict is not None else {}),
            },
        }
        for number, tool in enumerate(tools.tools)
    ]
    if tools.choice is not None:
        if quirks.tool_choice:
            body["tool_choice"] = _choice(tools, quirks)
        elif tools.choice != "auto":
            unsupported.refuse("tool_choice", "the API has no such parameter.")
    if tools.parallel is not None:
        if quirks.parallel:
            body["parallel_tool_calls"] = tools.parallel
        elif not tools.parallel:
            unsupported.refuse("parallel_tool_calls", "the API has no such parameter.")


def _choice(tools: Tools, quirks: Quirks) -> str | Json:
    if isinstance(tools.choice, NamedTool):
        return {"type": "function", "function": {"name": tools.choice.name}}
    return quirks.any_tool if tools.choice == "required" else str(tools.choice)


def _add_reasoning(
    body: Json, request: ChatRequest, quirks: Quirks, unsupported: Unsupported, reasons: bool | None
) -> None:
    wanted = request.reasoning
    if wanted.effort is None and wanted.budget_tokens is None:
        return
    if wanted.optional and reasons is None:
        return  # services refuse it for models that do not think, and nobody knows whether this one does
    unsupported = unsupported.lenient(wanted=wanted.optional)
    effort = wanted.effort or effort_of(wanted.budget_tokens or 0)
    if effort == "none" and (reasons is False or quirks.effort == "none"):
        return  # it does not think anyway
    if quirks.effort == "none" or reasons is False:
        unsupported.refuse("reasoning_effort", f"'{request.model}' does not think before it answers.")
    elif quirks.effort == "reasoning":
        body["reasoning"] = {"max_tokens": wanted.budget_tokens} if wanted.budget_tokens else {"effort": effort}
    elif quirks.effort == "thinking":
        body["thinking"] = {"type": "disabled" if effort == "none" else "enabled"}
    else:
        body["reasoning_effort"] = effort


def effort_of(budget_tokens: int) -> ReasoningEffort:
    """The effort that comes closest to a budget of thoughts; 0 is none."""
    if budget_tokens <= 0:
        return "none"
    if budget_tokens < _MIN_THOUGHTS[0][0]:
        return "low"
    return "medium" if budget_tokens < _MIN_THOUGHTS[1][0] else "high"


def raw_object(text: str, param: str) -> msgspec.Raw:
    """JSON text that goes on as it is; raises InvalidRequest where it is no object."""
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        raise InvalidRequest(f"Invalid value for '{param}': it must be a JSON object.", param) from None
    return msgspec.Raw(text.encode())
