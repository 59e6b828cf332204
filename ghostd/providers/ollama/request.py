"""Requests as the bodies of Ollama's own API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from ghostd.conversation import (
    File,
    Image,
    Message,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Tools,
)
from ghostd.errors import InvalidRequest
from ghostd.providers.ollama.forced import forced_format, instruction, is_forced
from ghostd.providers.unsupported import Unsupported
from ghostd.types import ChatRequest, CompletionRequest, EmbedRequest, FillRequest, Prompt, Sampling

Fields = dict[str, object]

_ENCODER = msgspec.json.Encoder()
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_DATA_URL = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)
_NO_PLACE = ("logit_bias", "grammar")
_THINKS_BY_LEVEL = re.compile(r"(.*/)?gpt-oss\b")
"""Models whose `think` is a level; with others it is true or false (docs/capabilities/thinking of Ollama)."""


def chat_body(request: ChatRequest, unsupported: Unsupported, *, thinks: bool = True) -> bytes:
    """The body of a streamed `POST /api/chat`. Raises UnsupportedParameter or InvalidRequest, naming the field.

    `thinks`: whether the model can reason, as far as anybody knows.
    """
    messages = list(_messages(request.messages, unsupported))
    if request.verbosity is not None:
        unsupported.lose("verbosity")
    if not messages:
        raise InvalidRequest("Invalid value for 'messages': an empty list.", "messages")
    body: Fields = {"model": request.model, "messages": messages}
    body.update(_tools(request, unsupported))
    body.update(_generation(request.sampling, request.max_tokens, request.stop, unsupported))
    if is_forced(request.tools):
        _force(body, messages, request.tools)
    think = _think(request.reasoning, request.model, unsupported, thinks=thinks)
    if think is not None:
        body["think"] = think
    body["stream"] = True
    return _ENCODER.encode(body)


def complete_body(request: CompletionRequest, unsupported: Unsupported) -> bytes:
    """The body of a streamed `POST /api/generate` that continues the prompt as it is, without the model's template."""
    body: Fields = {"model": request.model, "prompt": plain(request.prompt, "prompt", unsupported), "raw": True}
    body.update(_generation(request.sampling, request.max_tokens, request.stop, unsupported))
    body["stream"] = True
    return _ENCODER.encode(body)


def fill_body(request: FillRequest, unsupported: Unsupported) -> bytes:
    """The body of a streamed `POST /api/generate` that fills the hole by the model's own template for it."""
    body: Fields = {"model": request.model, "prompt": request.prefix, "suffix": request.suffix}
    body.update(_generation(request.sampling, request.max_tokens, request.stop, unsupported))
    body["stream"] = True
    return _ENCODER.encode(body)


def embed_body(request: EmbedRequest, unsupported: Unsupported) -> bytes:
    """The body of `POST /api/embed`; a text that is too long is an error, never cut."""
    body: Fields = {
        "model": request.model,
        "input": [plain(text, "input", unsupported) for text in request.inputs],
        "truncate": False,
    }
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    return _ENCODER.encode(body)


def plain(prompt: Prompt, param: str, unsupported: Unsupported) -> str:
    """A prompt as text. Raises UnsupportedParameter if it holds token ids."""
    if any(isinstance(piece, int) for piece in prompt):
        raise unsupported.refuse_part(param, "the API takes text, not token ids.")
    return "".join(str(piece) for piece in prompt)


def _messages(messages: Sequence[Message], unsupported: Unsupported) -> Iterable[Fields]:
    names = {part.id: part.name for message in messages for part in message.parts if isinstance(part, ToolCall)}
    for number, message in enumerate(messages):
        path = f"messages[{number}]"
        if message.role == "tool":
            for result in message.parts:
                if isinstance(result, ToolResult):
                    yield _tool_result(result, names, path, unsupported)
            continue
        yield _message(message, path, unsupported)


def _message(message: Message, path: str, unsupported: Unsupported) -> Fields:
    texts: list[str] = []
    images: list[str] = []
    thoughts: list[str] = []
    calls: list[Fields] = []
    for number, part in enumerate(message.parts):
        match part:
            case Text() | Refusal():
                texts.append(part.text)
            case Image():
                images.append(_image(part, f"{path}.content[{number}]", unsupported))
            case Thinking():
                thoughts.append(part.text)
            case ToolCall():
                calls.append(_call(part))
            case File() if (text := part.text) is not None:
                texts.append(text)
            case _:
                raise unsupported.refuse_part(f"{path}.content[{number}]", "the API takes text and images only.")
    role = "system" if message.role == "developer" else message.role
    fields: Fields = {"role": role, "content": "\n".join(texts)}
    if images:
        fields["images"] = images
    if any(thoughts):
        fields["thinking"] = "".join(thoughts)
    if calls:
        fields["tool_calls"] = calls
    return fields


def _image(part: Image, path: str, unsupported: Unsupported) -> str:
    if part.data is not None:
        return part.data
    inline = _DATA_URL.match(part.url or "")
    if inline is None or part.url is None:
        raise unsupported.refuse_part(path, "the API takes images as base64 and fetches no URL.")
    return part.url[inline.end() :]


def _call(call: ToolCall) -> Fields:
    text = call.arguments.strip() or "{}"
    arguments: object = msgspec.Raw(text.encode("utf-8", "replace"))
    try:
        _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        arguments = {"INVALID_JSON": call.arguments}
    return {"id": call.id, "function": {"name": call.name, "arguments": arguments}}


def _tool_result(result: ToolResult, names: dict[str, str], path: str, unsupported: Unsupported) -> Fields:
    texts: list[str] = []
    images: list[str] = []
    for part in result.content:
        if isinstance(part, Image):
            images.append(_image(part, path, unsupported))
        elif (text := part.text) is not None:
            texts.append(text)
        else:
            raise unsupported.refuse_part(path, "the API takes text and images only.")
    fields: Fields = {"role": "tool", "content": "\n".join(texts), "tool_call_id": result.call_id}
    name = names.get(result.call_id) or result.name
    if name is not None:
        fields["tool_name"] = name
    if images:
        fields["images"] = images
    return fields


def _tools(request: ChatRequest, unsupported: Unsupported) -> Fields:
    tools = request.tools
    if not tools.tools:
        return {}
    if is_forced(tools):
        return {}  # see `_force`
    if any(tool.strict for tool in tools.tools):
        lenient = unsupported.lenient(wanted=tools.strict_optional)
        lenient.refuse("tools.strict", "the API does not hold calls to their schemas.")
    if tools.choice == "none":
        return {}  # a model that is told of no tools calls none
    return {"tools": [_tool(tool.name, tool.description, tool.parameters) for tool in tools.tools]}


def _force(body: Fields, messages: list[Fields], tools: Tools) -> None:
    """Have the model reply with nothing but calls of the tools."""
    for tool in tools.tools:
        _check_schema(tool.parameters, "tools")
    told = instruction(tools)
    if messages[0]["role"] == "system":  # many templates show one system message only
        messages[0]["content"] = f"{messages[0]['content']}\n\n{told}"
    else:
        messages.insert(0, {"role": "system", "content": told})
    body["format"] = forced_format(tools)


def _tool(name: str, description: str, parameters: str) -> Fields:
    _check_schema(parameters, "tools")
    function: Fields = {"name": name, "description": description, "parameters": msgspec.Raw(parameters.encode())}
    return {"type": "function", "function": function}


def _check_schema(text: str, param: str) -> dict[str, msgspec.Raw]:
    try:
        return _OBJECT.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"Invalid JSON schema in '{param}': {error}.", param) from None


def _generation(sampling: Sampling, max_tokens: int | None, stop: Sequence[str], unsupported: Unsupported) -> Fields:
    unsupported.sampling(sampling, _NO_PLACE)
    options: Fields = {
        "num_predict": max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repeat_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "seed": sampling.seed,
        "stop": [text for text in stop if text] or None,
    }
    fields: Fields = {}
    given = {name: value for name, value in options.items() if value is not None}
    if given:
        fields["options"] = given
    if sampling.json_schema is not None:
        schema = _check_schema(sampling.json_schema, "response_format")
        fields["format"] = msgspec.Raw(sampling.json_schema.encode()) if schema else "json"
    if sampling.logprobs is not None:
        fields["logprobs"] = True
        if sampling.logprobs:
            fields["top_logprobs"] = sampling.logprobs
    return fields


def _think(reasoning: Reasoning, model: str, unsupported: Unsupported, *, thinks: bool) -> bool | str | None:
    effort = reasoning.effort
    unsupported = unsupported.lenient(wanted=reasoning.optional)
    if effort == "none" or reasoning.budget_tokens == 0:
        return False if thinks else None
    if not thinks:
        if effort is not None or reasoning.budget_tokens is not None:
            param = "thinking.budget_tokens" if effort is None else "reasoning_effort"
            unsupported.refuse(param, "the model does not reason before it answers.")
        return None
    if reasoning.budget_tokens is not None:
        unsupported.refuse("thinking.budget_tokens", "the API has no budget for thoughts; ask by effort.")
        return True
    if effort is None:
        return True if reasoning.include else None
    if not _THINKS_BY_LEVEL.match(model):
        return True
    return {"minimal": "low", "xhigh": "high"}.get(effort, effort)
