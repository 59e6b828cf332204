"""A chat request as the body of `POST /v1/messages`."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ghostd.conversation import NamedTool, Tool, Tools
from ghostd.errors import InvalidRequest
from ghostd.providers.anthropic.blocks import Block, cache_control, conversation
from ghostd.providers.anthropic.models import ModelTraits
from ghostd.providers.anthropic.thinking import thinking_for
from ghostd.providers.unsupported import Unsupported
from ghostd.types import ChatRequest, Sampling

_ENCODER = msgspec.json.Encoder()
_SCHEMA = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FILES_BETA = "files-api-2025-04-14"
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
    if request.verbosity is not None:
        unsupported.lose("verbosity")
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
    thinking = thinking_for(request, traits, max_tokens, unsupported, bare_loop=said.in_bare_loop)
    if thinking.field is not None:
        body["thinking"] = thinking.field
    body.update(_sampling(request.sampling, traits, unsupported, thinking=thinking.is_on))
    output: dict[str, object] = {}
    if thinking.effort is not None:
        output["effort"] = thinking.effort
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
    lenient = unsupported.lenient(wanted=tools.strict_optional)
    fields: dict[str, object] = {"tools": [_tool(tool, traits, lenient) for tool in tools.tools]}
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


def _sampling(
    sampling: Sampling, traits: ModelTraits, unsupported: Unsupported, *, thinking: bool
) -> dict[str, object]:
    """Temperature, top_p and top_k as far as the model takes them; 1 is the default of the first two."""
    unsupported = unsupported.lenient(wanted=sampling.optional)
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
