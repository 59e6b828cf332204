"""Requests in ghostd's own vocabulary, as one deployment is asked them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from ghostd.completion.by_chat import as_chat
from ghostd.completion.fill import fill_with, nothing
from ghostd.completion.postprocess import ended_by
from ghostd.completion.prompting import NO_KNOWLEDGE, Knowledge
from ghostd.completion.stops import stopped_at
from ghostd.errors import ContextTooLong, InvalidRequest, UnsupportedParameter
from ghostd.ports import TokenCounter
from ghostd.routing.call import Job
from ghostd.routing.deployment import Deployment
from ghostd.types import (
    NO_ENDING,
    ChatRequest,
    CompletionRequest,
    Delta,
    Embeddings,
    EmbedRequest,
    FillRequest,
    Prompt,
    Timeouts,
)


async def translate(
    deployment: Deployment, jobs: Sequence[Job], timeouts: Timeouts, known: Knowledge = NO_KNOWLEDGE
) -> AsyncGenerator[Delta | Embeddings, None]:
    """The jobs' answers by one deployment, one after the other; every delta says its model and its choice."""
    name = deployment.name
    if len(jobs) > 1:
        await _check_prompts(deployment, [job.request for job in jobs], timeouts)
    for choice, job in enumerate(jobs):
        request = job.request
        if isinstance(request, EmbedRequest):
            yield await _embed(deployment, replace(request, model=deployment.model, timeouts=timeouts))
            continue
        async with aclosing(_generate(deployment, request, timeouts, known)) as deltas:
            async for delta in deltas:
                yield delta.said_by(name, choice)


async def _check_prompts(deployment: Deployment, requests: Sequence[object], timeouts: Timeouts) -> None:
    """Raise what is wrong with a later prompt of a local model before a stream has begun with the first one."""
    provider = deployment.provider
    if deployment.upstream or not isinstance(provider, TokenCounter):
        return
    continued = [r for r in requests if isinstance(r, CompletionRequest) and r.suffix is None and r.max_tokens != 0]
    different = {request.prompt: request for request in continued}
    for request in list(different.values())[1:]:  # the first one shows by itself
        counted = await provider.count_tokens(replace(request, model=deployment.model, timeouts=timeouts))
        if not counted:
            raise InvalidRequest("A prompt is empty, and this model needs at least one token.", "prompt")
        most = deployment.info.context_tokens
        if most is not None and counted >= most:
            raise ContextTooLong(counted, most, "prompt")


def _generate(
    deployment: Deployment,
    request: ChatRequest | CompletionRequest | FillRequest,
    timeouts: Timeouts,
    known: Knowledge,
) -> AsyncGenerator[Delta, None]:
    settings = deployment.settings
    sampling = request.sampling
    if sampling.temperature is None and settings.temperature is not None:
        sampling = replace(sampling, temperature=settings.temperature)
    request = replace(
        request,
        model=deployment.model,
        timeouts=timeouts,
        sampling=sampling,
        max_tokens=_limit(request.max_tokens, settings.max_tokens, deployment.info.max_output_tokens),
    )
    if request.max_tokens == 0:
        return nothing()
    if isinstance(request, ChatRequest):
        if request.tell_stop and request.stop and not deployment.info.tells_stop:
            # Sent along, a stop text would end the reply unseen: "stop" is also how a reply ends by itself.
            return stopped_at(deployment.provider.chat(replace(request, stop=())), request.stop)
        return deployment.provider.chat(request)
    if isinstance(request, CompletionRequest):
        able = deployment.info.capabilities
        if (param := request.local.param) is not None and (deployment.upstream or "complete" not in able):
            raise UnsupportedParameter(f"'{param}' cannot be asked of '{deployment.name}'.", param)
        if request.suffix is None and ("complete" in able or "fill" not in able):
            provider = deployment.provider
            deltas = provider.complete(request) if "complete" in able else provider.chat(as_chat(request))
            return deltas if request.ending == NO_ENDING else ended_by(deltas, request.ending)
        request = as_fill(request)
    return fill_with(deployment, request, known)


def _limit(asked: int | None, default: int | None, most: int | None) -> int | None:
    """The longest reply to ask for: "at most so many" holds for fewer, too, where the model cannot give more."""
    wanted = default if asked is None else asked
    return wanted if wanted is None or most is None else min(wanted, most)


async def _embed(deployment: Deployment, request: EmbedRequest) -> Embeddings:
    found = await deployment.provider.embed(request)
    size = len(found.vectors[0]) if found.vectors else 0
    if request.dimensions is not None and request.dimensions != size:
        raise UnsupportedParameter(
            f"The model '{deployment.name}' makes vectors of {size} dimensions only.", "dimensions"
        )
    return found


def as_fill(request: CompletionRequest | FillRequest) -> FillRequest:
    """The hole that a completion with a suffix asks to fill; raises InvalidRequest for a prompt that is no text."""
    if isinstance(request, FillRequest):
        return request
    return FillRequest(
        model=request.model,
        prefix=_plain_text(request.prompt),
        suffix=request.suffix or "",
        path=request.path,
        root=request.root,
        sampling=request.sampling,
        max_tokens=request.max_tokens,
        stop=request.stop,
        min_confidence=request.min_confidence,
        ending=request.ending,
        timeouts=request.timeouts,
        claim=request.claim,
    )


def _plain_text(prompt: Prompt) -> str:
    if any(isinstance(piece, int) for piece in prompt):
        raise InvalidRequest("A prompt of token ids cannot be filled; send text.", "prompt")
    return "".join(str(piece) for piece in prompt)
