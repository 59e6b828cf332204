"""A body of the Messages API → ChatRequest, for deployments that speak another dialect."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from ghostd.conversation import NO_REASONING, Reasoning, ReasoningEffort
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.gateway.dialects.anthropic.content import Reader
from ghostd.gateway.dialects.anthropic.errors import THREAD_CODE
from ghostd.gateway.dialects.anthropic.fields import CacheControl
from ghostd.gateway.dialects.anthropic.parts import Block, MessageFields
from ghostd.gateway.dialects.anthropic.results import check_results
from ghostd.gateway.dialects.anthropic.tools import ToolChoiceFields, ToolFields, tools_of
from ghostd.gateway.dialects.openai.fields import check_one_of, check_ranges
from ghostd.types import ChatRequest, Sampling

RANGES = {
    "max_tokens": (1, 2**31 - 1),
    "temperature": (0, 1),
    "top_p": (0, 1),
    "top_k": (0, 1_000_000),
}
WORDS = {"service_tier": ("auto", "standard_only"), "speed": ("standard", "fast")}
_MIN_BUDGET = 1024
_EFFORTS: dict[str, ReasoningEffort] = {
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "xhigh",
}
_THINKING = ("enabled", "adaptive", "between_tools", "disabled")
_MAX_USER_CHARS = 64
"""What OpenAI takes for an id of an end user; Claude Code's are longer."""


class ThinkingFields(msgspec.Struct):
    """`thinking`"""

    type: str
    budget_tokens: int | None = None
    display: str | None = None

    @property
    def is_on(self) -> bool:
        """Whether thoughts are asked for."""
        return self.type != "disabled"

    @property
    def is_shown(self) -> bool:
        """Whether the client wants to read them."""
        return self.is_on and self.display != "omitted"


class FormatFields(msgspec.Struct):
    """`output_config.format` and the older `output_format`."""

    type: str
    schema: msgspec.Raw = msgspec.Raw(b"")


class OutputFields(msgspec.Struct):
    """`output_config`"""

    effort: str | None = None
    format: FormatFields | None = None


class Metadata(msgspec.Struct):
    """`metadata`"""

    user_id: str | None = None


class MessagesBody(msgspec.Struct, kw_only=True):
    """The body, as far as it can be translated; other fields are ignored."""

    model: str
    messages: list[MessageFields]
    max_tokens: int | None = None
    system: str | list[Block] | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    tools: list[ToolFields] | None = None
    tool_choice: ToolChoiceFields | None = None
    thinking: ThinkingFields | None = None
    output_config: OutputFields | None = None
    output_format: FormatFields | None = None
    metadata: Metadata | None = None
    service_tier: str | None = None
    speed: str | None = None
    cache_control: CacheControl | None = None
    mcp_servers: list[Any] | None = None
    thread: dict[str, Any] | None = None
    compaction: dict[str, Any] | None = None


class ThreadUnsupported(UnsupportedParameter):
    """The request leaves out what a thread of the service holds; upon this code the official SDKs send all of it."""

    code = THREAD_CODE


def chat_request(body: MessagesBody, *, counting: bool = False) -> ChatRequest:
    """The request; raises InvalidRequest or UnsupportedParameter with the path of the field.

    `counting`: the request is not to be answered, so that it need not limit the answer.
    """
    check_ranges(body, RANGES)
    check_one_of(body, WORDS)
    if body.max_tokens is None and not counting:
        raise InvalidRequest("Missing required parameter: 'max_tokens'.", "max_tokens")
    if not body.messages:
        raise InvalidRequest("Invalid value for 'messages': an empty list.", "messages")
    if body.thread:
        raise ThreadUnsupported("Only Anthropic's own service holds threads; send the whole conversation.", "thread")
    if body.compaction:
        raise UnsupportedParameter("Only Anthropic's own service compacts conversations by itself.", "compaction")
    if body.mcp_servers:
        raise UnsupportedParameter(
            "MCP servers that the service asks itself are only known to Anthropic's own models.", "mcp_servers"
        )
    reader = Reader()
    messages = (*reader.system(body.system), *reader.messages(body.messages))
    check_results(body.messages)
    return ChatRequest(
        model=body.model,
        messages=messages,
        sampling=Sampling(
            temperature=body.temperature,
            top_p=body.top_p,
            top_k=body.top_k,
            json_schema=_schema(body),
            optional=True,  # top_k, say, which OpenAI's models have not
        ),
        max_tokens=body.max_tokens,
        stop=tuple(filter(None, body.stop_sequences or ())),
        tools=tools_of([*(body.tools or ()), *reader.defined], body.tool_choice, reader.offered),
        reasoning=_reasoning(body),
        user=_user(body.metadata),
        tell_stop=True,
    )


def _schema(body: MessagesBody) -> str | None:
    path, wanted = "output_config.format", body.output_config.format if body.output_config else None
    if wanted is None:
        path, wanted = "output_format", body.output_format
    if wanted is None:
        return None
    if wanted.type != "json_schema":
        raise InvalidRequest(
            f"Invalid value for '{path}.type': {wanted.type[:50]!r}; supported: json_schema.", f"{path}.type"
        )
    schema = bytes(wanted.schema)
    if not schema.startswith(b"{"):
        raise InvalidRequest(f"Invalid value for '{path}.schema': a JSON schema is an object.", f"{path}.schema")
    return schema.decode("utf-8")


def _reasoning(body: MessagesBody) -> Reasoning:
    """What the API's clients ask for by habit, whatever the model: none of it is insisted on."""
    effort = _effort(body.output_config)
    thinking = body.thinking
    if thinking is None:
        return NO_REASONING if effort is None else Reasoning(effort, optional=True)
    if thinking.type not in _THINKING:
        known = ", ".join(_THINKING)
        raise InvalidRequest(
            f"Invalid value for 'thinking.type': {thinking.type[:50]!r}; supported: {known}.", "thinking.type"
        )
    if not thinking.is_on:
        return Reasoning("none", optional=True)
    if thinking.type == "enabled":
        budget = thinking.budget_tokens
        if budget is None:
            raise InvalidRequest("Missing required parameter: 'thinking.budget_tokens'.", "thinking.budget_tokens")
        if budget < _MIN_BUDGET:
            raise InvalidRequest(
                f"Invalid value for 'thinking.budget_tokens': {budget} is less than {_MIN_BUDGET}.",
                "thinking.budget_tokens",
            )
        return Reasoning(budget_tokens=budget, include=thinking.is_shown, optional=True)
    return Reasoning(effort, include=thinking.is_shown, optional=True)


def _effort(output: OutputFields | None) -> ReasoningEffort | None:
    if output is None or output.effort is None:
        return None
    effort = _EFFORTS.get(output.effort)
    if effort is None:
        known = ", ".join(_EFFORTS)
        raise InvalidRequest(
            f"Invalid value for 'output_config.effort': {output.effort[:50]!r}; supported: {known}.",
            "output_config.effort",
        )
    return effort


def _user(metadata: Metadata | None) -> str | None:
    """The end user's id; a long one is hashed, since it only tells users apart."""
    user = metadata.user_id if metadata is not None else None
    if not user or len(user) <= _MAX_USER_CHARS:
        return user or None
    return hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
