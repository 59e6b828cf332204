"""`POST /v1/completions`: continue a prompt, or fill the hole before a suffix."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from ghostd.engine import Engine
from ghostd.errors import ContextTooLong, InvalidRequest, UnsupportedParameter
from ghostd.gateway.answering import Reply, answer
from ghostd.gateway.calls import decoded, openai_call
from ghostd.gateway.dialects.generation import new_id, pieces, seeded, usage_details
from ghostd.gateway.dialects.llamacpp.models import default_model
from ghostd.gateway.dialects.openai.chunks import ending, framing
from ghostd.gateway.dialects.openai.fields import (
    RANGES,
    GenerationFields,
    check_ranges,
    check_stream_options,
    sampling,
    stops,
)
from ghostd.gateway.dialects.openai.logprobs import LegacyLogprobs
from ghostd.gateway.dialects.openai.replies import CompletionReply
from ghostd.gateway.dialects.tabby import completions as tabby_completions
from ghostd.gateway.dialects.token_input import texts_or_tokens
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.routing.call import Call, Job
from ghostd.types import CompletionRequest, Delta, Prompt, TokenLogprob

MAX_PROMPTS = 2048
MAX_GENERATIONS = 2048
"""Of one request: prompts times choices."""


class CompletionBody(GenerationFields, kw_only=True):
    """The body, as far as it can be translated; other fields are ignored."""

    prompt: str | list[str | int | list[int]] | None = None
    suffix: str | None = None
    best_of: int | None = None
    echo: bool | None = None
    logprobs: int | None = None
    file_path: str | None = None
    root: str | None = None
    min_confidence: float | None = None


_DECODER = msgspec.json.Decoder(CompletionBody)
_ENCODER = msgspec.json.Encoder()
_OWN_FIELDS = frozenset(("file_path", "root", "min_confidence"))
"""What only ghostd's own models know; the document that they name stays on this machine."""
_RANGES: Mapping[str, tuple[float, float]] = {
    **RANGES,
    "max_tokens": (0, 2**31 - 1),
    "logprobs": (0, 5),
    "min_confidence": (0, 1),
    "best_of": (1, 20),
}

DOC = Doc(
    "Continue a text, or fill the hole before a suffix",
    body=CompletionBody,
    reply=CompletionReply,
    streams="text/event-stream",
    event=CompletionReply,
    ranges=_RANGES,
)


async def completions(engine: Engine, exchange: Exchange) -> Response | None:
    """Answer one or more prompts, whole or as a stream."""
    encoder = _Encoder()
    call = await openai_call(
        engine, exchange, "openai.completions", "complete", encoder.jobs, default_model=default_model(exchange)
    )
    tabby_completions.check_model(engine, call)
    if tabby_completions.is_tabbys(call):
        return await tabby_completions.fill(engine, exchange, call)
    if call.fields.get("suffix", b"null") != b"null":
        call.capability = "fill"
    call.relayable = call.relayable and not call.fields.keys() & _OWN_FIELDS
    try:
        return await answer(engine, exchange, call, encoder)
    except ContextTooLong as error:
        if error.param == "messages":
            error.param = "prompt"  # there are no messages here
        raise
    except UnsupportedParameter as error:
        if error.param == "logprobs" and call.fields.get("logprobs", b"null") == b"null":
            raise _no_ranking() from None  # it was ghostd that asked for them
        raise


class _Encoder:
    """Deltas as OpenAI's completions. What a stream's chunks have in common is encoded once."""

    def __init__(self) -> None:
        self._head = self._tail = b""
        self._echoes: list[str] = []
        self._logprobs: dict[int, LegacyLogprobs] = {}
        self._with_logprobs = False
        self._best: tuple[int, int] | None = None
        """How many of how many choices of each prompt to give out, where more are made than wanted."""

    def jobs(self, body: bytes) -> list[Job]:
        """One generation for each choice of each prompt."""
        fields = decoded(_DECODER, body)
        self._with_logprobs = fields.logprobs is not None
        wanted, made = fields.n or 1, fields.best_of or fields.n or 1
        self._best = (wanted, made) if made > wanted else None
        jobs, self._echoes = _jobs(fields)
        return jobs

    def whole(self, call: Call, model: str, replies: list[Reply]) -> bytes:
        """The body of a reply that is not streamed."""
        body: dict[str, object] = {
            "id": new_id("cmpl"),
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
            "choices": [
                self._choice(index, self._echoes[made], reply)
                for index, (made, reply) in enumerate(self._chosen(replies))
            ],
        }
        if call.trace.usage is not None:
            body["usage"] = usage_details(call.trace.usage)
        return _ENCODER.encode(body)

    def begin(self, call: Call, model: str) -> None:
        """A stream begins."""
        self._head, self._tail = framing(call, model, "text_completion", "cmpl")

    def events(self, delta: Delta) -> bytes:
        """The chunks of a delta."""
        index = delta.choice
        event = b""
        if index not in self._logprobs:
            echo = self._echoes[index]
            self._logprobs[index] = LegacyLogprobs(len(echo))
            event = b"".join(self._text(index, text, ()) for text, _ in pieces(Delta(echo)))
        event += b"".join(self._text(index, text, tokens) for text, tokens in pieces(delta))
        if delta.finish_reason is not None:
            confidence = delta.confidence
            extra = b"" if confidence is None else b',"confidence":' + _ENCODER.encode(confidence)
            event += b'%s{"text":"","index":%d,"logprobs":null,"finish_reason":"%s"%s%s' % (
                self._head,
                index,
                delta.finish_reason.encode(),
                extra,
                self._tail,
            )
        return event

    def end(self, call: Call) -> bytes:
        """The usage, if it was asked for, and the end marker."""
        return ending(call, self._head)

    def _text(self, index: int, text: str, tokens: Sequence[TokenLogprob]) -> bytes:
        block = _ENCODER.encode(self._logprobs[index].block(tokens)) if tokens else b"null"
        return b'%s{"text":%s,"index":%d,"logprobs":%s,"finish_reason":null%s' % (
            self._head,
            _ENCODER.encode(text),
            index,
            block,
            self._tail,
        )

    def _chosen(self, replies: list[Reply]) -> list[tuple[int, Reply]]:
        """The replies to give out, each with its number among all that were made."""
        made = list(enumerate(replies))
        if self._best is None:
            return made
        wanted, each = self._best
        chosen: list[tuple[int, Reply]] = []
        for start in range(0, len(made), each):
            chosen += sorted(made[start : start + each], key=lambda item: _likelihood(item[1]), reverse=True)[:wanted]
        return chosen

    def _choice(self, index: int, echo: str, reply: Reply) -> dict[str, object]:
        choice: dict[str, object] = {
            "text": echo + "".join(reply.text),
            "index": index,
            "logprobs": LegacyLogprobs(len(echo)).block(reply.logprobs) if self._with_logprobs else None,
            "finish_reason": reply.finish_reason,
        }
        if reply.confidence is not None:
            choice["confidence"] = reply.confidence
        return choice


def _jobs(body: CompletionBody) -> tuple[list[Job], list[str]]:
    """The generations, and what each of them echoes."""
    check_ranges(body, _RANGES)
    if body.prompt is None:
        raise InvalidRequest("Missing required parameter: 'prompt'.", "prompt")
    prompts = texts_or_tokens(body.prompt, "prompt", MAX_PROMPTS)
    choices = body.best_of or body.n or 1
    _check_count(body, len(prompts), choices)
    check_stream_options(body)
    if body.echo and body.logprobs is not None:
        raise UnsupportedParameter("'echo' with 'logprobs' is not supported: prompts get no log probabilities.", "echo")
    ranked = choices > (body.n or 1)
    how = sampling(body, 0 if ranked and body.logprobs is None else body.logprobs)
    stop, path, root = stops(body), _path(body.file_path, "file_path"), _path(body.root, "root")
    if root is not None and not root.is_absolute():
        raise InvalidRequest("Invalid value for 'root': it must be an absolute path.", "root")
    jobs = [
        Job(
            CompletionRequest(
                model=body.model,
                prompt=prompt,
                suffix=body.suffix,
                sampling=seeded(how, number),
                max_tokens=body.max_tokens,
                stop=stop,
                path=path,
                root=root,
                min_confidence=body.min_confidence,
            ),
            counts_prompt=number == 0,
        )
        for prompt in prompts
        for number in range(choices)
    ]
    return jobs, [_echo(prompt) if body.echo else "" for prompt in prompts for _ in range(choices)]


def _check_count(body: CompletionBody, prompts: int, choices: int) -> None:
    if choices < (body.n or 1):
        raise InvalidRequest(f"Invalid value for 'best_of': {choices} is less than 'n'.", "best_of")
    if choices > (body.n or 1) and body.stream:
        raise InvalidRequest("'best_of' greater than 'n' cannot be streamed.", "best_of")
    if prompts * choices > MAX_GENERATIONS:
        param = "best_of" if body.best_of else "n"
        raise InvalidRequest(
            f"Invalid value for '{param}': {choices} choices of {prompts} prompts; at most {MAX_GENERATIONS} "
            "generations are made for one request.",
            param,
        )


def _no_ranking() -> UnsupportedParameter:
    return UnsupportedParameter("'best_of' greater than 'n' needs a model that tells log probabilities.", "best_of")


def _likelihood(reply: Reply) -> float:
    """The mean log probability of a reply's tokens, by which OpenAI ranks `best_of`."""
    if not reply.logprobs:
        raise _no_ranking()
    return sum(token.logprob for token in reply.logprobs) / len(reply.logprobs)


def _echo(prompt: Prompt) -> str:
    if any(isinstance(piece, int) for piece in prompt):
        raise UnsupportedParameter("'echo' is supported for prompts of text only.", "echo")
    return "".join(str(piece) for piece in prompt)


def _path(text: str | None, param: str) -> Path | None:
    if not text:
        return None
    if "\0" in text:
        raise InvalidRequest(f"Invalid value for '{param}': a path has no NUL character.", param)
    return Path(text)
