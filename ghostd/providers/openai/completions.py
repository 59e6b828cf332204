"""Plain completions and fills in OpenAI's legacy dialect.

Source: the OpenAI API reference, "Create completion"; the services' own for their quirks.
"""

from __future__ import annotations

from typing import Any

from ghostd.errors import UnsupportedParameter
from ghostd.providers.openai.chat_request import add_grammar, add_samplers, raw_object
from ghostd.providers.openai.quirks import Quirks
from ghostd.providers.openai.reply import legacy_logprobs
from ghostd.providers.openai.stream import StreamCheck
from ghostd.providers.openai.types import WireChunk, finish_of
from ghostd.providers.unsupported import Unsupported
from ghostd.types import CompletionRequest, Delta, FillRequest, Prompt

Json = dict[str, Any]


def completion_body(request: CompletionRequest, quirks: Quirks, unsupported: Unsupported) -> Json:
    """The body of a streamed completion; raises UnsupportedParameter."""
    body = _generation(request, quirks, unsupported)
    body["prompt"] = wire_prompt(request.prompt, "prompt")
    if request.suffix is not None:
        if quirks.fill_path is None:
            unsupported.refuse("suffix", "the service fills no holes.")
        else:
            body["suffix"] = request.suffix
    return body


def fill_body(request: FillRequest, quirks: Quirks, unsupported: Unsupported) -> Json:
    """The body of a streamed completion with `suffix`; raises UnsupportedParameter."""
    body = _generation(request, quirks, unsupported)
    body["prompt"] = request.prefix
    body["suffix"] = request.suffix
    if request.sampling.temperature is None:
        body["temperature"] = 0  # as for every other fill
    return body


def _generation(request: CompletionRequest | FillRequest, quirks: Quirks, unsupported: Unsupported) -> Json:
    body: Json = {"model": request.model, "stream": True}
    if quirks.include_usage:
        body["stream_options"] = {"include_usage": True}
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    if request.stop:
        body["stop"] = list(request.stop)
    add_samplers(body, request.sampling, quirks, unsupported)
    if request.sampling.logprobs is not None:
        if "logprobs" in quirks.samplers:
            body["logprobs"] = request.sampling.logprobs
        else:
            unsupported.refuse("logprobs", "the API has no such parameter.")
    if request.sampling.grammar is not None:
        add_grammar(body, request.sampling.grammar, quirks, unsupported)
    if request.sampling.json_schema is not None:
        _add_schema(body, request.sampling.json_schema, quirks, unsupported)
    return body


def _add_schema(body: Json, schema: str, quirks: Quirks, unsupported: Unsupported) -> None:
    """Services that take a grammar take a schema for plain text, too, each in its own member."""
    if quirks.grammar == "grammar":
        body["json_schema"] = raw_object(schema, "json_schema")
    elif quirks.grammar == "structured_outputs":
        body["structured_outputs"] = {"json": raw_object(schema, "json_schema")}
    elif quirks.grammar == "response_format":
        body["response_format"] = {"type": "json_object", "schema": raw_object(schema, "json_schema")}
    else:
        unsupported.refuse("json_schema", "completions of plain text follow no schema.")


def wire_prompt(prompt: Prompt, param: str) -> str | list[int]:
    """Text or token ids; raises UnsupportedParameter for a mixture of both."""
    if all(isinstance(piece, str) for piece in prompt):
        return "".join(str(piece) for piece in prompt)
    tokens = [piece for piece in prompt if isinstance(piece, int)]
    if len(tokens) != len(prompt):
        raise UnsupportedParameter("Text and token ids cannot be mixed in one prompt here.", param)
    return tokens


class TextReply:
    """The text that one stream of completion chunks makes."""

    __slots__ = ("_upstream",)

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream

    def delta(self, chunk: WireChunk) -> Delta | None:
        """What the chunk says; None where it says nothing. Raises UpstreamMalformed."""
        for choice in chunk.choices or ():
            if choice.index != 0:
                continue  # only one was asked for
            said = choice.text
            if said is None and choice.delta is not None and isinstance(choice.delta.content, str):
                said = choice.delta.content
            logprobs = () if choice.logprobs is None else legacy_logprobs(choice.logprobs, self._upstream)
            if said or logprobs:
                return Delta(said or "", logprobs=logprobs)
        return None

    def last(self, check: StreamCheck) -> Delta:
        """The delta that ends the reply; usage is None where the upstream never said it."""
        usage = check.counted()
        return Delta(finish_reason=finish_of(check.reasons.get(0, "stop")), usage=usage)


class LineLimit:
    """Cuts a fill behind its last wanted line.

    A fill that starts with a line break starts on a new line, which does not count as one of its lines.
    """

    def __init__(self, max_lines: int) -> None:
        self._left = max_lines
        self._started = False

    def cut(self, text: str) -> tuple[str, bool]:
        """The part of the next piece that is wanted, and whether it ends the fill."""
        at = -1
        if not self._started and text:
            self._started = True
            if text.startswith("\n"):
                at = 0
        while (at := text.find("\n", at + 1)) >= 0:
            self._left -= 1
            if self._left == 0:
                return text[:at], True
        return text, False
