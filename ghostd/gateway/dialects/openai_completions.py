"""`POST /v1/completions`: continue a prompt, or fill the hole before a suffix."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiohttp import web

from ghostd.engine import Engine
from ghostd.errors import ContextTooLong, InvalidRequest, UnsupportedParameter
from ghostd.gateway.dialects.generation import Tally, ended_early, new_id, pieces, seeded, whole
from ghostd.gateway.dialects.openai_fields import GenerationFields, check_ranges, sampling, stops
from ghostd.gateway.dialects.openai_logprobs import LegacyLogprobs
from ghostd.gateway.dialects.token_input import texts_or_tokens
from ghostd.gateway.exchange import Exchange
from ghostd.types import CompletionRequest, Delta, FinishReason, Prompt, TokenLogprob

MAX_PROMPTS = 2048


class _Body(GenerationFields, kw_only=True):
    prompt: str | list[str | int | list[int]] | None = None
    suffix: str | None = None
    best_of: int | None = None
    echo: bool | None = None
    logprobs: int | None = None
    file_path: str | None = None
    root: str | None = None
    min_confidence: float | None = None


_DECODER = msgspec.json.Decoder(_Body)
_ENCODER = msgspec.json.Encoder()
_OWN_RANGES = {"logprobs": (0, 5), "min_confidence": (0, 1)}


@dataclass(frozen=True, slots=True)
class _Job:
    """One choice of the reply; `number` counts the choices of one prompt."""

    request: CompletionRequest
    number: int
    echo: str


async def completions(engine: Engine, exchange: Exchange) -> web.StreamResponse:
    """Answer one or more prompts, whole or as a stream."""
    body = await exchange.read(_DECODER)
    jobs = _jobs(body)
    try:
        if body.stream:
            with_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
            return await _stream(engine, exchange, jobs, with_usage=with_usage)
        return await _whole(engine, exchange, jobs)
    except ContextTooLong as error:
        if error.param == "messages":
            error.param = "prompt"  # there are no messages here
        raise


async def _whole(engine: Engine, exchange: Exchange, jobs: Sequence[_Job]) -> web.StreamResponse:
    choices: list[dict[str, object]] = []
    tally = Tally()
    model = jobs[0].request.model
    for index, job in enumerate(jobs):
        reply = await whole(engine.complete(job.request))
        model = reply.model or model
        tally.add(reply.usage, job.number)
        logprobs = job.request.sampling.logprobs
        choice: dict[str, object] = {
            "text": job.echo + reply.text,
            "index": index,
            "logprobs": None if logprobs is None else LegacyLogprobs(len(job.echo)).block(reply.logprobs),
            "finish_reason": reply.finish_reason,
        }
        if reply.confidence is not None:
            choice["confidence"] = reply.confidence
        choices.append(choice)
    return exchange.json(
        _ENCODER.encode(
            {
                "id": new_id("cmpl"),
                "object": "text_completion",
                "created": int(time.time()),
                "model": model,
                "choices": choices,
                "usage": tally.fields(),
            }
        )
    )


async def _stream(engine: Engine, exchange: Exchange, jobs: Sequence[_Job], *, with_usage: bool) -> web.StreamResponse:
    frames: _Frames | None = None
    tally = Tally()
    async with exchange.open_stream() as events:
        for index, job in enumerate(jobs):
            opening, finished = True, False
            logprobs = LegacyLogprobs(len(job.echo))
            async with aclosing(engine.complete(job.request)) as deltas:
                async for delta in deltas:
                    if frames is None:
                        frames = _Frames(delta.model or job.request.model, with_usage=with_usage)
                    event = frames.text(index, Delta(job.echo), logprobs) if opening else b""
                    opening = False
                    event += frames.text(index, delta, logprobs)
                    if delta.finish_reason is not None:
                        tally.add(delta.usage, job.number)
                        event += frames.finish(index, delta.finish_reason, delta.confidence)
                        finished = True
                    if event:
                        await events.send(event)
                    if finished:
                        break
            if not finished or frames is None:
                raise ended_early()
        assert frames is not None
        return await events.end(frames.usage(tally) if with_usage else b"")


class _Frames:
    """The chunks of one stream as events. What all have in common is encoded once."""

    def __init__(self, model: str, *, with_usage: bool) -> None:
        self._head = b'data: {"id":"%s","object":"text_completion","created":%d,"model":%s,"choices":[' % (
            new_id("cmpl").encode(),
            int(time.time()),
            _ENCODER.encode(model),
        )
        self._tail = b'}],"usage":null}\n\n' if with_usage else b"}]}\n\n"

    def text(self, index: int, delta: Delta, logprobs: LegacyLogprobs) -> bytes:
        """The chunks of a delta; empty for one without text."""
        return b"".join(self._piece(index, text, tokens, logprobs) for text, tokens in pieces(delta))

    def _piece(self, index: int, text: str, tokens: Sequence[TokenLogprob], logprobs: LegacyLogprobs) -> bytes:
        block = _ENCODER.encode(logprobs.block(tokens)) if tokens else b"null"
        return b'%s{"text":%s,"index":%d,"logprobs":%s,"finish_reason":null%s' % (
            self._head,
            _ENCODER.encode(text),
            index,
            block,
            self._tail,
        )

    def finish(self, index: int, reason: FinishReason, confidence: float | None) -> bytes:
        """A choice's last chunk."""
        extra = b"" if confidence is None else b',"confidence":' + _ENCODER.encode(confidence)
        return b'%s{"text":"","index":%d,"logprobs":null,"finish_reason":"%s"%s%s' % (
            self._head,
            index,
            reason.encode(),
            extra,
            self._tail,
        )

    def usage(self, tally: Tally) -> bytes:
        """The chunk after all choices."""
        return b'%s],"usage":%s}\n\n' % (self._head, _ENCODER.encode(tally.details()))


def _jobs(body: _Body) -> list[_Job]:
    check_ranges(body)
    check_ranges(body, _OWN_RANGES)
    if body.prompt is None:
        raise InvalidRequest("Missing required parameter: 'prompt'.", "prompt")
    prompts = texts_or_tokens(body.prompt, "prompt", MAX_PROMPTS)
    choices = body.n or 1
    if body.best_of is not None and body.best_of != choices:
        raise UnsupportedParameter("'best_of' is supported only where it equals 'n'.", "best_of")
    if body.echo and body.logprobs is not None:
        raise UnsupportedParameter("'echo' with 'logprobs' is not supported: prompts get no log probabilities.", "echo")
    how = sampling(body, body.logprobs)
    stop, path, root = stops(body), _path(body.file_path, "file_path"), _path(body.root, "root")
    if root is not None and not root.is_absolute():
        raise InvalidRequest("Invalid value for 'root': it must be an absolute path.", "root")
    return [
        _Job(
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
            number,
            _echo(prompt) if body.echo else "",
        )
        for prompt in prompts
        for number in range(choices)
    ]


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
