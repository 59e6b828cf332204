"""The fill engine: from a hole in a file to its text, by whichever model answers best."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from ghostd.completion import families
from ghostd.completion.by_chat import fill_as_chat
from ghostd.completion.chatter import code_of
from ghostd.completion.drafting import Expect, draft_sources
from ghostd.completion.halting import halt_at
from ghostd.completion.lexing import syntax_of
from ghostd.completion.postprocess import ended_by, halted, limit_lines, tidied, trimmed, until_tokens
from ghostd.completion.shape import wants_lines
from ghostd.completion.stages import measured
from ghostd.completion.window import fitting, quotable, tokens_of_pieces, window
from ghostd.errors import ContextTooLong, ProviderError
from ghostd.fim_markers import stop_ids
from ghostd.ports import TokenCounter
from ghostd.routing.deployment import Deployment
from ghostd.types import NO_DRAFTS, NO_ENDING, CompletionRequest, Delta, FillRequest, Sampling, TokenLogprob, Usage

DEFAULT_FILL_TOKENS = 128
_FALLBACK_CONTEXT_TOKENS = 2048
_MARGIN_TOKENS = 16
_LEAST_TOKENS = 32
"""A window smaller than this is not worth asking about."""
_STEP_SHARE = 0.95
"""Code is not equally dense everywhere: a window that shrinks a little more than its share fits at the next count."""
_TASK_TOKENS = 160
"""For the words of a conversation that asks for a fill, and for the words around its reply."""


Quote = Callable[[FillRequest, bool], Awaitable[Sequence[tuple[str, str]]]]
"""What a prompt for a request quotes of the project: (name, text) of each piece, the most valuable last. The second
argument: whether the prompt leaves this machine."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a fill may know besides the file."""

    quote: Quote | None = None
    expect: Expect | None = None


NO_KNOWLEDGE = Knowledge()


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
    lines = wants_lines(request.prefix, request.suffix, syntax)
    if native:
        source = deployment.provider.fill(request)
    elif prompted:
        source = _prompted(deployment, request, known)
    else:
        source = _by_chat(deployment, request, lines=lines)
    if request.max_lines is not None and not native:
        source = limit_lines(source, request.max_lines)
    streams = prompted or (native and bool(deployment.upstream))
    halt = None
    if streams and (request.tidy or request.halt):
        halt = halt_at(request.prefix, request.suffix, syntax, lines=lines)
    if request.tidy and native and not deployment.upstream:
        source = trimmed(source, request.suffix)
    elif request.tidy:
        source = tidied(source, request, syntax, halt)
    elif halt is not None:
        source = halted(source, halt)
    return source if request.ending == NO_ENDING else ended_by(source, request.ending)


async def nothing() -> AsyncGenerator[Delta, None]:
    """The reply of no tokens."""
    yield Delta(finish_reason="length", usage=Usage(0, 0))


async def _prompted(deployment: Deployment, request: FillRequest, known: Knowledge) -> AsyncGenerator[Delta, None]:
    """Fill by a FIM prompt. The window shrinks until the tokenizer's own count leaves room for the text."""
    info = deployment.info
    assert info.fim is not None
    max_tokens, room = _room(deployment, request)
    budget = room - _MARGIN_TOKENS
    documents = request.open_documents if request.quote_documents else ()
    file = request.path.name if request.path is not None else families.FILE
    project = request.root.name if request.root is not None else families.PROJECT
    with measured("retrieval"):
        found = await known.quote(request, info.remote) if known.quote is not None else ()
    drafts = NO_DRAFTS
    if not deployment.upstream:
        drafts = draft_sources(request, await known.expect(request) if known.expect is not None else "", found)
    while True:
        pieces = fitting(found, budget // 3)
        left = budget - tokens_of_pieces(pieces)
        prefix, suffix = window(request.prefix, request.suffix, left)
        quoted = [*pieces, *quotable(documents, prefix, suffix, left)]
        completion = CompletionRequest(
            model=info.id,
            prompt=families.fill_prompt(info.fim, prefix, suffix, quoted, file=file, project=project),
            sampling=_greedy(request),
            max_tokens=max_tokens,
            stop=request.stop,
            timeouts=request.timeouts,
            claim=request.claim,
            drafts=drafts,
        )
        try:
            counted = await _count(deployment, completion, room)
            if counted > room:
                raise ContextTooLong(counted, room, "prompt")
            deltas = until_tokens(deployment.provider.complete(completion), stop_ids(info.fim.ids))
            async with aclosing(deltas):
                async for delta in deltas:
                    yield delta
        except ContextTooLong as error:
            if budget < 2 * _LEAST_TOKENS:
                raise
            share = room / error.prompt_tokens if error.prompt_tokens > room else 0.5
            budget = max(min(int(budget * share * _STEP_SHARE), budget - _MARGIN_TOKENS), _LEAST_TOKENS)
            continue
        return


async def _by_chat(deployment: Deployment, request: FillRequest, *, lines: bool) -> AsyncGenerator[Delta, None]:
    """Fill by asking in words; the reply comes whole, as the code that it holds."""
    max_tokens, room = _room(deployment, request)
    prefix, suffix = window(request.prefix, request.suffix, room - _TASK_TOKENS)
    asked = replace(request, sampling=_greedy(request), model=deployment.info.id)
    chat = fill_as_chat(asked, prefix, suffix, lines=lines, max_tokens=max_tokens + _TASK_TOKENS)
    whole = await collect(deployment.provider.chat(chat))
    yield Delta(code_of(whole.text), whole.finish_reason or "stop", whole.usage)


def _room(deployment: Deployment, request: FillRequest) -> tuple[int, int]:
    """The text's tokens at most, and the prompt's."""
    max_tokens = request.max_tokens or DEFAULT_FILL_TOKENS
    context = deployment.info.context_tokens or _FALLBACK_CONTEXT_TOKENS
    if context - max_tokens - _MARGIN_TOKENS < _LEAST_TOKENS:
        raise ContextTooLong(max_tokens, context, "max_tokens")
    return max_tokens, context - max_tokens


def _greedy(request: FillRequest) -> Sampling:
    sampling = request.sampling
    return replace(sampling, temperature=0.0) if sampling.temperature is None else sampling


async def _count(deployment: Deployment, completion: CompletionRequest, room: int) -> int:
    """The prompt's tokens where they may be too many and the provider can count them; else 0."""
    most = sum(len(piece.encode()) if isinstance(piece, str) else 1 for piece in completion.prompt)
    if most <= room or not isinstance(deployment.provider, TokenCounter):
        return 0
    return await deployment.provider.count_tokens(completion)


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
