"""llama.cpp's `POST /completion` (also `/completions`): continue one or more prompts."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ghostd.engine import Engine
from ghostd.errors import ContextTooLong, InvalidRequest, UnsupportedParameter
from ghostd.gateway.answering import answer
from ghostd.gateway.calls import decoded, estimated_tokens, number, read_call
from ghostd.gateway.dialects.generation import seeded
from ghostd.gateway.dialects.llamacpp.fields import CommonFields, check, local_sampling, passes, sampling, stops
from ghostd.gateway.dialects.llamacpp.models import default_model
from ghostd.gateway.dialects.llamacpp.reply import LlamacppReply
from ghostd.gateway.dialects.token_input import MAX_TOKEN_ID
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.routing.call import Call, Job
from ghostd.types import CompletionRequest, Markup, Prompt

MAX_GENERATIONS = 2048
"""Of one request: prompts times choices."""


class PromptObject(msgspec.Struct):
    """A prompt with what belongs to it."""

    prompt_string: str
    multimodal_data: list[str] | None = None


Mixed = list[str | int]
OnePrompt = str | PromptObject | Mixed


class CompletionFields(CommonFields, kw_only=True):
    """The body, as far as it can be translated."""

    prompt: str | PromptObject | list[str | int | PromptObject | Mixed] | None = None


_DECODER = msgspec.json.Decoder(CompletionFields)


async def completion(engine: Engine, exchange: Exchange) -> Response | None:
    """Answer the prompts, whole or as a stream."""
    reply = LlamacppReply()

    def jobs(body: bytes) -> Sequence[Job]:
        fields = decoded(_DECODER, body)
        made = _jobs(fields)
        reply.take(fields, [_text(job) for job in made])
        return made

    call = await read_call(
        engine, exchange, "llamacpp.completion", "complete", jobs, _glance, default_model=default_model(exchange)
    )
    call.relayable = call.relayable and passes(call)
    try:
        return await answer(engine, exchange, call, reply)
    except ContextTooLong as error:
        if error.param == "messages":
            error.param = "prompt"  # there are no messages here
        raise


def _glance(call: Call) -> None:
    prompt = call.fields.get("prompt", b"")
    call.prompt_tokens = estimated_tokens(prompt)
    call.several = prompt.startswith(b"[")
    call.max_tokens = number(call.fields, "n_predict")


def _jobs(fields: CompletionFields) -> list[Job]:
    check(fields)
    if fields.prompt is None:
        raise InvalidRequest("Missing required parameter: 'prompt'.", "prompt")
    prompts = _prompts(fields.prompt)
    if len(prompts) * fields.choices > MAX_GENERATIONS:
        raise InvalidRequest(
            f"Invalid value for 'prompt': {len(prompts)} prompts times {fields.choices}; at most {MAX_GENERATIONS} "
            "generations are made for one request.",
            "prompt",
        )
    how, stop = sampling(fields), stops(fields)
    return [
        Job(
            CompletionRequest(
                model=fields.model or "",
                prompt=prompt,
                sampling=seeded(how, choice),
                max_tokens=fields.limit,
                stop=stop,
                ending=fields.ending,
                local=local_sampling(fields),
            ),
            counts_prompt=choice == 0,
        )
        for prompt in prompts
        for choice in range(fields.choices)
    ]


def _prompts(given: OnePrompt | list[str | int | PromptObject | Mixed]) -> list[Prompt]:
    """A list that holds a token id is one prompt of texts and ids; any other list holds a prompt in each item."""
    if not isinstance(given, list):
        return [_prompt(given, "prompt")]
    if not given:
        raise InvalidRequest("Invalid value for 'prompt': an empty list.", "prompt")
    if any(isinstance(item, int) for item in given):
        return [_mixed(given, "prompt")]
    return [_prompt(item, f"prompt[{place}]") for place, item in enumerate(given) if not isinstance(item, int)]


def _prompt(given: OnePrompt, path: str) -> Prompt:
    if isinstance(given, list):
        return _mixed(given, path)
    if isinstance(given, PromptObject):
        if given.multimodal_data:
            raise UnsupportedParameter(
                "Prompts with images or sound are only known to llama.cpp's own server.", f"{path}.multimodal_data"
            )
        given = given.prompt_string
    return (Markup(given),)


def _mixed(given: Sequence[object], path: str) -> Prompt:
    pieces: list[str | int] = []
    for place, item in enumerate(given):
        if isinstance(item, str):
            pieces.append(Markup(item))
        elif isinstance(item, int) and 0 <= item <= MAX_TOKEN_ID:
            pieces.append(item)
        else:
            raise InvalidRequest(
                f"Invalid value for '{path}[{place}]': it must be a text or a token id from 0 to {MAX_TOKEN_ID}.",
                f"{path}[{place}]",
            )
    if not pieces:
        raise InvalidRequest(f"Invalid value for '{path}': an empty list.", path)
    return tuple(pieces)


def _text(job: Job) -> str:
    assert isinstance(job.request, CompletionRequest)
    return "".join(piece for piece in job.request.prompt if isinstance(piece, str))
