"""Requests as the bodies of Gemini's `generateContent` and `batchEmbedContents`."""

from __future__ import annotations

import msgspec

from ghostd.conversation import NamedTool, Reasoning, Tools
from ghostd.errors import InvalidRequest
from ghostd.providers.gemini.contents import Fields, contents
from ghostd.providers.gemini.models import GeminiTraits
from ghostd.providers.unsupported import Unsupported
from ghostd.types import ChatRequest, Sampling

_ENCODER = msgspec.json.Encoder()
_ANY = msgspec.json.Decoder(msgspec.Raw)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NO_PLACE = ("min_p", "repeat_penalty", "logit_bias", "grammar")
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576}
"""Thinking tokens for an effort, for models that know budgets only: those of Google's own OpenAI compatibility."""


def generate_body(request: ChatRequest, traits: GeminiTraits, unsupported: Unsupported) -> bytes:
    """The body of a chat. Raises UnsupportedParameter or InvalidRequest, naming the field."""
    unsupported.sampling(request.sampling, _NO_PLACE)
    if request.verbosity is not None:
        unsupported.lose("verbosity")
    said = contents(request.messages, unsupported, needs_signatures=traits.needs_signatures)
    body: Fields = {"contents": said.contents}
    if said.system:
        body["systemInstruction"] = {"parts": said.system}
    body.update(_tools(request.tools, unsupported))
    generation = _generation(request, traits, unsupported)
    if generation:
        body["generationConfig"] = generation
    return _ENCODER.encode(body)


def _tools(tools: Tools, unsupported: Unsupported) -> Fields:
    if not tools.tools:
        return {}
    declarations = []
    for tool in tools.tools:
        declared: Fields = {"name": tool.name}
        if tool.description:
            declared["description"] = tool.description
        if _schema(tool.parameters, "tools").get("properties") not in (None, msgspec.Raw(b"{}")):
            declared["parametersJsonSchema"] = msgspec.Raw(tool.parameters.encode())
        declarations.append(declared)
    calling: Fields = {}
    match tools.choice:
        case NamedTool(name):
            calling = {"mode": "ANY", "allowedFunctionNames": [name]}
        case "required":
            calling = {"mode": "ANY"}
        case "none":
            calling = {"mode": "NONE"}
        case _:
            # VALIDATED holds calls to their schemas, and leaves the model the choice of calling at all.
            if any(tool.strict for tool in tools.tools):
                calling = {"mode": "VALIDATED"}
            elif tools.choice == "auto":
                calling = {"mode": "AUTO"}
    fields: Fields = {"tools": [{"functionDeclarations": declarations}]}
    if calling:
        fields["toolConfig"] = {"functionCallingConfig": calling}
    return fields


def _schema(text: str, param: str) -> dict[str, msgspec.Raw]:
    try:
        return _OBJECT.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"Invalid JSON schema in '{param}': {error}.", param) from None


def _generation(request: ChatRequest, traits: GeminiTraits, unsupported: Unsupported) -> Fields:
    sampling = request.sampling
    fields: Fields = {
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "topK": sampling.top_k or None,
        "maxOutputTokens": request.max_tokens,
        "stopSequences": [text for text in request.stop if text] or None,
        "seed": sampling.seed,
        "presencePenalty": sampling.presence_penalty or None,
        "frequencyPenalty": sampling.frequency_penalty or None,
        **_reply_format(sampling),
    }
    if sampling.logprobs is not None:
        fields["responseLogprobs"] = True
        fields["logprobs"] = sampling.logprobs or None
    fields["thinkingConfig"] = _thinking(request.reasoning, traits, unsupported) or None
    return {name: value for name, value in fields.items() if value is not None}


def _reply_format(sampling: Sampling) -> Fields:
    if sampling.json_schema is None:
        return {}
    fields: Fields = {"responseMimeType": "application/json"}
    if _schema(sampling.json_schema, "response_format"):
        fields["responseJsonSchema"] = msgspec.Raw(sampling.json_schema.encode())
    return fields


def _thinking(reasoning: Reasoning, traits: GeminiTraits, unsupported: Unsupported) -> Fields:
    fields: Fields = {}
    if reasoning.include and traits.thinks:
        fields["includeThoughts"] = True
    off = reasoning.effort == "none" or reasoning.budget_tokens == 0
    asked = reasoning.effort is not None or reasoning.budget_tokens is not None
    param = "thinking.budget_tokens" if reasoning.effort is None else "reasoning_effort"
    if not asked or (off and not traits.thinks):
        return fields
    unsupported = unsupported.lenient(wanted=reasoning.optional)
    if not traits.thinks:
        unsupported.refuse(param, "the model does not reason before it answers.")
    elif off:
        if traits.can_disable:
            return {"thinkingBudget": 0}
        unsupported.refuse(param, "the model always thinks.")
    elif reasoning.budget_tokens is not None:
        most = _BUDGETS["xhigh"] if reasoning.optional else reasoning.budget_tokens
        fields["thinkingBudget"] = min(reasoning.budget_tokens, most)
    elif traits.levels:
        fields["thinkingLevel"] = _level(reasoning.effort or "high", traits.levels)
    else:
        fields["thinkingBudget"] = _BUDGETS[reasoning.effort or "high"]
    return fields


def _level(effort: str, levels: tuple[str, ...]) -> str:
    """The nearest level: the least for less than the model knows, the greatest for more."""
    if effort in levels:
        return effort
    return levels[0] if effort == "minimal" else levels[-1]


def embed_body(resource: str, texts: list[str], dimensions: int | None) -> bytes:
    """The body of one batch."""
    more: Fields = {} if dimensions is None else {"outputDimensionality": dimensions}
    return _ENCODER.encode(
        {"requests": [{"model": resource, "content": {"parts": [{"text": text}]}, **more} for text in texts]}
    )
