"""A fill prompt for one request: what it quotes, how it is laid out, and that it fits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from ghostd.completion import families
from ghostd.completion.drafting import draft_sources
from ghostd.completion.layout import Anchor, Layout, Pieces, lay_out
from ghostd.completion.layouts import DocumentLayout, Layouts, common_share
from ghostd.completion.soundness import SyntaxGuard
from ghostd.completion.stages import measured
from ghostd.completion.window import fitting, quotable, tokens_of_pieces, window
from ghostd.errors import ContextTooLong
from ghostd.ports import TokenCounter
from ghostd.routing.deployment import Deployment
from ghostd.types import CompletionRequest, DraftSources, FillRequest, Sampling

DEFAULT_FILL_TOKENS = 128
MARGIN_TOKENS = 16
LEAST_TOKENS = 32
"""A window smaller than this is not worth asking about."""
LEAST_WINDOW_TOKENS = 512
"""What a document's prompt may have however slow the model is."""
UNKNOWN_WINDOW_TOKENS = 2048
"""Likewise, until the model's speed has been measured."""
_FALLBACK_CONTEXT_TOKENS = 2048
_STEP_SHARE = 0.95
"""Code is not equally dense everywhere: a window that shrinks a little more than its share fits at the next count."""
_RESERVE_SHARE, _RESERVE_TOKENS = 8, 256
"""An eighth of a window, at most so many tokens, is left to what is typed before something has to move."""
_QUOTED_SHARE = 3
"""A third of a prompt at most is quoted of other files."""
_QUOTING_S = 0.15
"""Time for which an automatic request may make its model read what is quoted."""
_LEAST_QUOTED_TOKENS = 128
_MUCH = 0.5
"""Quotes that are so much the same as the ones that the model has read are not worth reading while the user types."""
_LITTLE = 0.9
"""Likewise, when the user pauses."""
_DRAFTED_BELOW = 250.0
"""Tokens a second that a model writes: what is faster gains less by drafts than it takes to find them."""
_FEWEST_CHARS, _MOST_CHARS = 0.25, 16.0
"""Of a token, on average."""
_REFIT = 0.8
"""A window with fewer of its tokens is cut anew once their number is known."""


Quote = Callable[[FillRequest, bool], Awaitable[Sequence[tuple[str, str]]]]
"""What a prompt for a request quotes of the project: (name, text) of each piece, the most valuable last. The second
argument: whether the prompt leaves this machine."""


Expect = Callable[[FillRequest], Awaitable[str]]
"""What ready structures hold for the text of a request, soon; "" where they know nothing."""


Guard = Callable[[FillRequest], SyntaxGuard | None]
"""What keeps a text from breaking the file; None where nothing does."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a fill may know besides the file."""

    quote: Quote | None = None
    expect: Expect | None = None
    layouts: Layouts | None = None
    """None: each prompt is laid out by itself."""
    read_s: float = 2.0
    """Seconds that a model on this machine may take to read a document's prompt from its beginning."""
    guard: Guard = lambda _: None


NO_KNOWLEDGE = Knowledge()


def room_for(deployment: Deployment, request: FillRequest) -> tuple[int, int]:
    """The text's tokens at most, and the prompt's. Raises ContextTooLong."""
    max_tokens = request.max_tokens or DEFAULT_FILL_TOKENS
    context = deployment.info.context_tokens or _FALLBACK_CONTEXT_TOKENS
    if context - max_tokens - MARGIN_TOKENS < LEAST_TOKENS:
        raise ContextTooLong(max_tokens, context, "max_tokens")
    return max_tokens, context - max_tokens


def greedy(request: FillRequest) -> Sampling:
    """Its sampling; greedy unless it says otherwise, where the model can be told."""
    sampling = request.sampling
    return replace(sampling, temperature=0.0, optional=True) if sampling.temperature is None else sampling


class Prompting:
    """Makes the prompt, and makes it smaller while it does not fit.

    Requests of one document of a session share its DocumentLayout; others are laid out by themselves. What is guessed
    to be asked next (`speculative`, `warm-up`) leaves the layout as it is until `keep` is called.
    """

    def __init__(self, deployment: Deployment, request: FillRequest, known: Knowledge) -> None:
        """Raises ContextTooLong."""
        info = deployment.info
        assert info.fim is not None
        self._deployment, self._request, self._known, self._fim = deployment, request, known, info.fim
        self._elsewhere = bool(deployment.upstream) or info.remote
        self._max_tokens, self._room = room_for(deployment, request)
        self._budget = self._room - MARGIN_TOKENS
        self._pieces: Pieces = ()
        self._state: DocumentLayout | None = None
        self._layout: Layout | None = None
        self._drafts: DraftSources | None = None
        self._refitted = False
        client = request.claim.client or request.session
        document = request.claim.document or str(request.path or "")
        if known.layouts is not None and client and document:
            self._state = known.layouts.of(client, document, deployment.name)
            self._budget = min(self._budget, self._affordable())
        self._idle = request.claim.priority == "warm-up"
        self._splits = families.ends_with_fresh(self._fim)

    async def gather(self) -> None:
        """Find what to quote."""
        with measured("retrieval"):
            self._pieces = await self._quoted()
            self._drafts = await self._draft_sources()

    async def fitted(self) -> CompletionRequest:
        """The request with its prompt. Raises ContextTooLong where the tokenizer's count leaves no room for the text;
        `shrink` then."""
        completion = self._completion()
        provider = self._deployment.provider
        most = sum(len(piece.encode()) if isinstance(piece, str) else 1 for piece in completion.prompt)
        if not isinstance(provider, TokenCounter):
            return completion
        state, layout = self._state, self._layout
        if state is not None and layout is not None:
            known = state.most_tokens(layout)
            if known is not None:
                most = min(most, known)
            cut_anew = self._is_cut(layout) and (state.anchor is None or not _same(state.anchor, layout))
            if cut_anew and not self._elsewhere and known is None:
                most = await provider.count_tokens(completion)
                state.count(layout, most)
                if not self._refitted and not _REFIT * self._budget <= most <= self._budget:
                    self._refitted = True
                    chars = sum(len(piece) for piece in completion.prompt if isinstance(piece, str))
                    state.chars_per_token = min(max(chars / max(most, 1), _FEWEST_CHARS), _MOST_CHARS)
                    return await self.fitted()
        if most > self._room:
            most = await provider.count_tokens(completion)
            if state is not None and layout is not None:
                state.count(layout, most)
            if most > self._room:
                raise ContextTooLong(most, self._room, "prompt")
        return completion

    def keep(self) -> None:
        """The prompt is being read: the document's next one begins like it."""
        if self._state is not None and self._layout is not None:
            self._state.anchor = self._layout.anchor

    @property
    def guesses(self) -> bool:
        """Whether the request is for a text that the document does not have yet."""
        return self._request.claim.priority == "speculative"

    def shrink(self, error: ContextTooLong) -> bool:
        """Cut the window so that it fits; False where it cannot be cut."""
        if self._budget < 2 * LEAST_TOKENS:
            return False
        share = self._room / error.prompt_tokens if error.prompt_tokens > self._room else 0.5
        self._budget = max(min(int(self._budget * share * _STEP_SHARE), self._budget - MARGIN_TOKENS), LEAST_TOKENS)
        self._refitted = True
        return True

    # --- the window -----------------------------------------------------------------

    def _affordable(self) -> int:
        """Tokens of a prompt that the model reads in the time it has."""
        info = self._deployment.info
        if self._elsewhere:
            return self._budget
        if info.speed is None:
            return UNKNOWN_WINDOW_TOKENS
        return max(LEAST_WINDOW_TOKENS, int(info.speed.prefill * self._known.read_s))

    def _completion(self) -> CompletionRequest:
        request = self._request
        pieces = fitting(self._pieces, self._budget // _QUOTED_SHARE)
        before, fresh, suffix = self._window(pieces)
        documents = request.open_documents if request.quote_documents else ()
        left = self._budget - tokens_of_pieces(pieces)
        quoted = [*pieces, *quotable(documents, before, suffix, left)]
        file = request.path.name if request.path is not None else families.FILE
        project = request.root.name if request.root is not None else families.PROJECT
        prompt = families.fill_prompt(self._fim, before, suffix, quoted, file=file, project=project, fresh=fresh)
        return CompletionRequest(
            model=self._deployment.info.id,
            prompt=prompt,
            sampling=greedy(request),
            max_tokens=self._max_tokens,
            stop=request.stop,
            timeouts=request.timeouts,
            claim=request.claim,
            heal=isinstance(prompt[-1], str) and not self._elsewhere,
            drafts=self._drafts,
        )

    def _window(self, pieces: Sequence[tuple[str, str]]) -> tuple[str, str, str]:
        request, state = self._request, self._state
        if state is None:
            before, suffix = window(request.prefix, request.suffix, self._budget - tokens_of_pieces(pieces))
            return before, "", suffix
        layout = self._layout = self._laid_out(state, tuple(pieces))
        if self._splits:
            return layout.anchor.stable, layout.fresh, layout.anchor.suffix
        return layout.before, "", layout.anchor.suffix

    def _laid_out(self, state: DocumentLayout, pieces: Pieces) -> Layout:
        request = self._request
        tokens = self._budget - min(self._budget // _RESERVE_SHARE, _RESERVE_TOKENS)
        taken = sum(len(name) + len(text) for name, text in pieces)
        return lay_out(
            state.anchor,
            request.prefix,
            request.suffix,
            max(int(tokens * state.chars_per_token) - taken, 64),
            pieces,
            closed=request.halt or request.tidy,
            idle=self._idle,
        )

    def _is_cut(self, layout: Layout) -> bool:
        request = self._request
        return layout.anchor.start > 0 or len(layout.anchor.suffix) < len(request.suffix)

    async def _draft_sources(self) -> DraftSources | None:
        """What a model on this machine may draft from, where its tokens take so long that this is worth it."""
        speed = self._deployment.info.speed
        if self._elsewhere or self._idle or speed is None or not 0 < speed.decode <= _DRAFTED_BELOW:
            return None
        expect = self._known.expect
        expected = await expect(self._request) if expect is not None else ""
        return draft_sources(self._request, expected, self._pieces)

    # --- what is quoted ---------------------------------------------------------------

    async def _quoted(self) -> Pieces:
        """Pieces of the project. What a model on this machine has read changes when the user asks for a completion or
        pauses, and while he types only where most of the prompt must be read anyway and the model is fast enough."""
        request, state = self._request, self._state
        quote = self._known.quote
        old = state.anchor.pieces if state is not None and state.anchor is not None else ()
        most = self._most_quoted(old)
        if quote is None or not most:
            return old
        found = tuple(await quote(request, self._deployment.info.remote))
        if state is None or self._elsewhere:
            return found
        found = tuple(fitting(found, min(most, self._budget // _QUOTED_SHARE)))
        alike = _LITTLE if self._idle else _MUCH if request.trigger == "automatic" else 1.0
        return old if old and common_share(old, found) >= alike else found

    def _most_quoted(self, old: Pieces) -> int:
        """Tokens of other pieces than the old ones that may be read now."""
        request, state = self._request, self._state
        if self._elsewhere or self._idle:
            return self._budget
        if self.guesses or (state is None and request.trigger == "automatic"):
            return 0
        if state is None or request.trigger == "manual":
            return self._budget
        speed = self._deployment.info.speed
        most = int(speed.prefill * _QUOTING_S) if speed is not None else 0
        if most < _LEAST_QUOTED_TOKENS:
            return 0
        return 0 if state.anchor is not None and _same(state.anchor, self._laid_out(state, old)) else most


def _same(anchor: Anchor, layout: Layout) -> bool:
    """Whether most of a prompt is as the last one had it."""
    now = layout.anchor
    return anchor.start == now.start and anchor.suffix == now.suffix and anchor.pieces == now.pieces
