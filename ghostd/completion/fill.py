"""The fill engine: from a hole in a file to its text, by whichever model answers best."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from ghostd.completion import families
from ghostd.completion.postprocess import ended_by, limit_lines
from ghostd.completion.window import quotable, window
from ghostd.errors import ContextTooLong, ProviderError
from ghostd.routing.deployment import Deployment
from ghostd.types import NO_ENDING, CompletionRequest, Delta, FillRequest, TokenLogprob, Usage

DEFAULT_FILL_TOKENS = 128
_FALLBACK_CONTEXT_TOKENS = 2048


async def fill_along(tiers: Sequence[Deployment], request: FillRequest) -> AsyncGenerator[Delta, None]:
    """Stream the text of the hole by the first tier that has something to say.

    A tier that stays silent, or fails before it spoke, is passed over where another one is left.
    """
    for position, deployment in enumerate(tiers):
        last = position == len(tiers) - 1
        spoke = False
        async with aclosing(fill_with(deployment, replace(request, model=deployment.model))) as deltas:
            try:
                async for delta in deltas:
                    if not delta.text and not spoke and not last:
                        continue
                    spoke = True
                    yield delta.said_by(deployment.name)
            except ProviderError:
                if spoke or last:
                    raise
        if spoke:
            return


def fill_with(deployment: Deployment, request: FillRequest) -> AsyncGenerator[Delta, None]:
    """Stream the text of the hole by one deployment, `request.model` being its provider's name for the model."""
    if request.max_tokens == 0:
        return nothing()
    if deployment.info.fim is None:
        source = deployment.provider.fill(request)
    else:
        source = _prompted(deployment, request)
        if request.max_lines is not None:
            source = limit_lines(source, request.max_lines)
    return source if request.ending == NO_ENDING else ended_by(source, request.ending)


async def nothing() -> AsyncGenerator[Delta, None]:
    """The reply of no tokens."""
    yield Delta(finish_reason="length", usage=Usage(0, 0))


async def _prompted(deployment: Deployment, request: FillRequest) -> AsyncGenerator[Delta, None]:
    """Fill by a FIM prompt. The window shrinks when the tokenizer needs more than was estimated."""
    info = deployment.info
    assert info.fim is not None
    max_tokens = request.max_tokens or DEFAULT_FILL_TOKENS
    context = info.context_tokens or _FALLBACK_CONTEXT_TOKENS
    budget = context - max_tokens - 16
    if budget < 32:
        raise ContextTooLong(max_tokens, context, "max_tokens")
    sampling = request.sampling
    if sampling.temperature is None:
        sampling = replace(sampling, temperature=0.0)
    documents = request.open_documents if request.quote_documents else ()
    while True:
        prefix, suffix = window(request.prefix, request.suffix, budget)
        completion = CompletionRequest(
            model=info.id,
            prompt=families.fill_prompt(info.fim, prefix, suffix, quotable(documents, prefix, suffix, budget)),
            sampling=sampling,
            max_tokens=max_tokens,
            stop=request.stop,
        )
        async with aclosing(deployment.provider.complete(completion)) as deltas:
            try:
                async for delta in deltas:
                    yield delta
            except ContextTooLong:
                if budget < 64:
                    raise
                budget //= 2
                continue
        return


async def collect(deltas: AsyncGenerator[Delta, None]) -> Delta:
    """The whole reply as one delta."""
    text: list[str] = []
    logprobs: list[TokenLogprob] = []
    last = Delta()
    async with aclosing(deltas):
        async for delta in deltas:
            text.append(delta.text)
            logprobs.extend(delta.logprobs)
            last = replace(
                delta,
                confidence=delta.confidence if delta.confidence is not None else last.confidence,
                finish_reason=delta.finish_reason or last.finish_reason,
                usage=delta.usage or last.usage or Usage(0, 0),
            )
    return replace(last, text="".join(text), logprobs=tuple(logprobs))
