"""The fill engine: from a hole in a file to its text, by whichever model answers best."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import cache, partial

from ghostd.completion.by_chat import fill_as_chat, hole_between
from ghostd.completion.chatter import code_of
from ghostd.completion.halting import Halt, halt_at
from ghostd.completion.lexing import Syntax, syntax_of
from ghostd.completion.postprocess import ended_by, halted, limit_chars, limit_lines, tidied, trimmed, until_tokens
from ghostd.completion.prompting import LEAST_TOKENS, NO_KNOWLEDGE, Knowledge, Prompting, greedy, room_for
from ghostd.completion.shape import wants_lines
from ghostd.completion.window import window
from ghostd.errors import ContextTooLong, ProviderError
from ghostd.fim_markers import stop_ids
from ghostd.ports import PromptCache
from ghostd.routing.deployment import Deployment
from ghostd.types import NO_ENDING, Delta, FillRequest, TokenLogprob, Usage

_USUAL_TOKENS = 512
"""Of a text for an editor, where the request says nothing."""
_TOKEN_CHARS = 16
"""No text has so many for each of its tokens, four on average."""
_SENT_TOKENS = 4096
"""Of a file around the cursor that a service is sent at most: each key sends it anew, and it may be paid for."""
_TASK_TOKENS = 160
"""For the words of a conversation that asks for a fill, and for the words around its reply."""


async def fill_along(
    tiers: Sequence[Deployment], request: FillRequest, known: Knowledge = NO_KNOWLEDGE
) -> AsyncGenerator[Delta, None]:
    """Stream the text of the hole by the first tier that has something to say.

    A tier that stays silent, or fails before it spoke, is passed over where another one is left.
    """
    for position, deployment in enumerate(tiers):
        last = position == len(tiers) - 1
        spoke = False
        async with aclosing(fill_with(deployment, replace(request, model=deployment.model), known)) as deltas:
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


def fill_with(
    deployment: Deployment, request: FillRequest, known: Knowledge = NO_KNOWLEDGE
) -> AsyncGenerator[Delta, None]:
    """Stream the text of the hole by one deployment, `request.model` being its provider's name for the model.

    A model with FIM tokens is asked by them, one that fills by itself is left to it, and one that can do neither, or
    has shown that it does not know its tokens, is asked in a conversation.
    """
    if request.max_tokens == 0:
        return nothing()
    info = deployment.info
    prompted = info.fim is not None and (info.fim.works or "chat" not in info.capabilities)
    native = info.fim is None and ("fill" in info.capabilities or "chat" not in info.capabilities)
    syntax = syntax_of(request.language, request.path)
    if native:
        sent = _around(deployment, request) if deployment.upstream and (request.tidy or request.halt) else request
        source = deployment.provider.fill(sent)
    elif prompted:
        source = _prompted(deployment, request, known)
    else:
        source = _by_chat(deployment, request, lines=wants_lines(request.prefix, request.suffix, syntax))
    if request.tidy or request.halt:
        source = limit_chars(source, _TOKEN_CHARS * (request.max_tokens or _USUAL_TOKENS))
    if request.max_lines is not None and not native:
        source = limit_lines(source, request.max_lines)
    streams = prompted or (native and bool(deployment.upstream))
    halt = None
    if streams and (request.tidy or request.halt):
        halt = cache(partial(_halt, request, syntax))
    if request.tidy and native and not deployment.upstream:
        source = trimmed(source, request.suffix)
    elif request.tidy:
        source = tidied(source, request, syntax, halt, known.guard)
    elif halt is not None:
        source = halted(source, halt)
    return source if request.ending == NO_ENDING else ended_by(source, request.ending)


def _around(deployment: Deployment, request: FillRequest) -> FillRequest:
    """The request with what stands around the cursor, for a service that lays out its prompts itself."""
    context = deployment.info.context_tokens
    room = _SENT_TOKENS if context is None else max(context - (request.max_tokens or _USUAL_TOKENS), LEAST_TOKENS)
    prefix, suffix = window(request.prefix, request.suffix, min(room, _SENT_TOKENS))
    return replace(request, prefix=prefix, suffix=suffix)


def _halt(request: FillRequest, syntax: Syntax) -> Halt:
    lines = wants_lines(request.prefix, request.suffix, syntax)
    return halt_at(request.prefix, request.suffix, syntax, lines=lines)


async def nothing() -> AsyncGenerator[Delta, None]:
    """The reply of no tokens."""
    yield Delta(finish_reason="length", usage=Usage(0, 0))


async def _prompted(deployment: Deployment, request: FillRequest, known: Knowledge) -> AsyncGenerator[Delta, None]:
    """Fill by a FIM prompt. The window shrinks until the tokenizer's own count leaves room for the text."""
    info = deployment.info
    assert info.fim is not None
    prompting = Prompting(deployment, request, known)
    await prompting.gather()
    while True:
        try:
            completion = await prompting.fitted()
            if not prompting.guesses:
                prompting.keep()
            deltas = until_tokens(deployment.provider.complete(completion), stop_ids(info.fim.ids))
            async with aclosing(deltas):
                async for delta in deltas:
                    yield delta
        except ContextTooLong as error:
            if not prompting.shrink(error):
                raise
            continue
        return


async def warm_with(deployment: Deployment, request: FillRequest, known: Knowledge = NO_KNOWLEDGE) -> Usage | None:
    """Have a document's prompt read before it is asked for: what is quoted, and where the window begins, change now.

    Until the model has read it, completions go on with the prompt that it knows. None where there is nothing to get
    ready: the model keeps no prompts, or is asked in another way.
    """
    info, provider = deployment.info, deployment.provider
    if info.fim is None or not info.fim.works or not isinstance(provider, PromptCache):
        return None
    claim = replace(request.claim, priority="warm-up")
    prompting = Prompting(deployment, replace(request, claim=claim), known)
    await prompting.gather()
    while True:
        try:
            completion = await prompting.fitted()
            # Beside the prompt that the document has now, which stays read until this one is.
            apart = replace(claim, document=f"{claim.document} (next)")
            usage = await provider.warm(replace(completion, claim=apart))
        except ContextTooLong as error:
            if not prompting.shrink(error):
                raise
            continue
        prompting.keep()
        return usage


async def _by_chat(deployment: Deployment, request: FillRequest, *, lines: bool) -> AsyncGenerator[Delta, None]:
    """Fill by asking in words; the reply comes whole, as the code that it holds."""
    max_tokens, room = room_for(deployment, request)
    prefix, suffix = window(request.prefix, request.suffix, min(room - _TASK_TOKENS, _SENT_TOKENS))
    asked = replace(request, sampling=greedy(request), model=deployment.info.id)
    hole = hole_between(prefix, suffix)
    chat = fill_as_chat(asked, prefix, suffix, hole, lines=lines, max_tokens=max_tokens + _TASK_TOKENS)
    whole = await collect(limit_chars(deployment.provider.chat(chat), _TOKEN_CHARS * (max_tokens + _TASK_TOKENS)))
    yield Delta(code_of(whole.text, hole), whole.finish_reason or "stop", whole.usage)


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
