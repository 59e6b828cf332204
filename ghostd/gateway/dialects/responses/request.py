"""The fields of a Responses request → ChatRequest, for deployments that are asked in another dialect.

Types and ranges by the OpenAI API reference, "Create a model response". Fields that are not listed are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from ghostd.conversation import Message, Reasoning, ReasoningEffort
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.gateway.calls import decoded
from ghostd.gateway.dialects.openai.fields import check_ranges
from ghostd.gateway.dialects.responses.input import ConversationId
from ghostd.gateway.dialects.responses.items import WireItem, messages, read_items
from ghostd.gateway.dialects.responses.tools import HostedTools, ToolBook, WireChoice, WireTool, chosen
from ghostd.types import VERBOSITIES, ChatRequest, Sampling

_EFFORTS: Mapping[str, ReasoningEffort] = {
    "none": "none",
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "xhigh",
}
_SUMMARIES = ("auto", "concise", "detailed", "none")
TRUNCATIONS = ("auto", "disabled")
LOGPROBS = "message.output_text.logprobs"
ENCRYPTED = "reasoning.encrypted_content"
_INCLUDES = (
    LOGPROBS,
    ENCRYPTED,
    "web_search_call.action.sources",
    "web_search_call.results",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
)
RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "top_logprobs": (0, 20),
    "max_output_tokens": (1, 2**31 - 1),
    "max_tool_calls": (1, 2**31 - 1),
}
_PAIRS, _KEY_CHARS, _VALUE_CHARS = 16, 64, 512
"""Bounds of `metadata`."""


class _Reasoning(msgspec.Struct):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class _Format(msgspec.Struct):
    type: str = "text"
    name: str | None = None
    schema: msgspec.Raw = msgspec.Raw(b"")
    strict: bool | None = None


class _Text(msgspec.Struct):
    format: _Format | None = None
    verbosity: str | None = None


class _StreamOptions(msgspec.Struct):
    include_obfuscation: bool | None = None


class ResponsesBody(msgspec.Struct, kw_only=True):
    """The body, as far as it can be translated, without its `input`."""

    model: str
    instructions: str | None = None
    tools: list[WireTool] | None = None
    tool_choice: str | WireChoice | None = None
    parallel_tool_calls: bool | None = None
    text: _Text | None = None
    reasoning: _Reasoning | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = None
    truncation: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None
    stream_options: _StreamOptions | None = None
    prompt: msgspec.Raw = msgspec.Raw(b"null")


class ResponseRequest(ResponsesBody, kw_only=True):
    """The whole body, with what ghostd itself does about it."""

    input: str | list[WireItem] | None = None
    stream: bool | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: str | ConversationId | None = None


_DECODER = msgspec.json.Decoder(ResponsesBody)


@dataclass(frozen=True, slots=True)
class Translated:
    """A request in ghostd's own words."""

    request: ChatRequest
    body: ResponsesBody
    book: ToolBook


def translated(fields: Mapping[str, bytes], items: Sequence[bytes], own_from: int, hosted: HostedTools) -> Translated:
    """The request; `items` are all of the conversation's, those of this request from `own_from` on.

    Raises InvalidRequest or UnsupportedParameter with the path of the field.
    """
    body = _body(fields)
    book = ToolBook(hosted)
    book.add(body.tools or (), "tools")
    said = messages(read_items(items, own_from), book)
    book.settle()
    if not said:
        raise InvalidRequest("Missing required parameter: 'input'.", "input")
    if body.instructions:
        said.insert(0, Message("system", body.instructions))
    wanted = (body.text.format if body.text else None) or _Format()
    request = ChatRequest(
        model=body.model,
        messages=tuple(said),
        sampling=Sampling(
            temperature=body.temperature, top_p=body.top_p, logprobs=_logprobs(body), json_schema=_schema(wanted)
        ),
        max_tokens=body.max_output_tokens,
        # Here functions are strict unless a client says otherwise.
        tools=replace(chosen(book, body.tool_choice, body.parallel_tool_calls), strict_optional=True),
        reasoning=_reasoning(body.reasoning),
        user=body.safety_identifier or body.user,
        schema_name=wanted.name or "reply",
        schema_strict=wanted.strict,
        verbosity=next((word for word in VERBOSITIES if body.text and word == body.text.verbosity), None),
    )
    return Translated(request, body, book)


def _body(fields: Mapping[str, bytes]) -> ResponsesBody:
    members = (msgspec.json.encode(name) + b":" + raw for name, raw in fields.items() if name != "input")
    body = decoded(_DECODER, b"{" + b",".join(members) + b"}")
    check_ranges(body, RANGES)
    check_metadata(body.metadata)
    if bytes(body.prompt) != b"null":
        raise UnsupportedParameter("Prompts that OpenAI keeps are not known to this model; send 'input'.", "prompt")
    for number, name in enumerate(body.include or ()):
        _one_of(name, _INCLUDES, f"include[{number}]")
    _one_of(body.truncation, TRUNCATIONS, "truncation")
    _one_of(body.text.verbosity if body.text else None, VERBOSITIES, "text.verbosity")
    if body.reasoning is not None:
        _one_of(body.reasoning.summary, _SUMMARIES, "reasoning.summary")
        _one_of(body.reasoning.generate_summary, _SUMMARIES, "reasoning.generate_summary")
        _one_of(body.reasoning.effort, tuple(_EFFORTS), "reasoning.effort")
    return body


def check_metadata(metadata: Mapping[str, str] | None) -> None:
    """Raise InvalidRequest for metadata beyond the API's bounds."""
    if metadata is None:
        return
    if len(metadata) > _PAIRS:
        raise InvalidRequest(f"Invalid value for 'metadata': more than {_PAIRS} pairs.", "metadata")
    for key, value in metadata.items():
        if len(key) > _KEY_CHARS or len(value) > _VALUE_CHARS:
            raise InvalidRequest(
                f"Invalid value for 'metadata': a key has at most {_KEY_CHARS} characters, a value {_VALUE_CHARS}.",
                "metadata",
            )


def _one_of(value: str | None, known: Sequence[str], path: str) -> None:
    if value is not None and value not in known:
        raise InvalidRequest(f"Invalid value for '{path}': {value[:50]!r}; supported: {', '.join(known)}.", path)


def _reasoning(wanted: _Reasoning | None) -> Reasoning:
    if wanted is None:
        return Reasoning()
    summary = wanted.summary or wanted.generate_summary
    effort = None if wanted.effort is None else _EFFORTS[wanted.effort]
    # Agents ask for an effort by habit, whatever the model.
    return Reasoning(effort, include=summary not in (None, "none"), optional=True)


def _logprobs(body: ResponsesBody) -> int | None:
    if body.top_logprobs:
        return body.top_logprobs
    return 0 if LOGPROBS in (body.include or ()) else None


def _schema(wanted: _Format) -> str | None:
    """The JSON schema that the reply must follow, as JSON text."""
    if wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return '{"type":"object"}'
    if wanted.type != "json_schema":
        raise InvalidRequest(
            f"Invalid value for 'text.format.type': {wanted.type[:50]!r}; supported: text, json_object, json_schema.",
            "text.format.type",
        )
    schema = bytes(wanted.schema)
    if schema in (b"", b"null"):
        raise InvalidRequest("Missing required parameter: 'text.format.schema'.", "text.format.schema")
    if not schema.startswith(b"{"):
        raise InvalidRequest(
            "Invalid value for 'text.format.schema': a JSON schema is an object.", "text.format.schema"
        )
    if not wanted.name:
        raise InvalidRequest("Missing required parameter: 'text.format.name'.", "text.format.name")
    return schema.decode("utf-8")
