"""Whose tokenizer counts for a name, and what it says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ghostd.errors import RequestError, UnsupportedParameter, UpstreamError
from ghostd.measured import Tokenizers
from ghostd.ports import TokenCounter, Tokenizer
from ghostd.routing.call import Call
from ghostd.routing.deployment import Deployment
from ghostd.routing.features import features_of
from ghostd.routing.registry import Registry
from ghostd.routing.selection import select
from ghostd.types import Capability, ChatRequest, CompletionRequest, Timeouts

log = logging.getLogger(__name__)

_TIMEOUTS = Timeouts(first_byte_s=10.0, idle_s=10.0)
"""Of a service that is asked to count; an estimate after that is worth more."""


@dataclass(frozen=True, slots=True)
class TokenCount:
    """How many tokens a prompt has for the deployment that would be asked first."""

    deployment: str
    tokens: int
    exact: bool
    """Whether it is what the usage will say; else it is an estimate."""


class Tokens:
    """Questions about tokens, by the registry in force. Every method raises RequestError or ProviderError."""

    def __init__(self, registry: Callable[[], Registry]) -> None:
        self._registry = registry
        self.known: Tokenizers | None = None
        """Tokenizers of services that tell no counts; None: their tokens are estimated."""

    async def count(self, request: ChatRequest | CompletionRequest, estimate: int) -> TokenCount:
        """The tokens of a request's prompt; `estimate` is the front-end's, in tokens of no tokenizer in particular."""
        deployment = self._first(request)
        provider = deployment.provider
        if isinstance(provider, TokenCounter):
            asked = replace(request, model=deployment.model, timeouts=_TIMEOUTS)
            try:
                return TokenCount(deployment.name, await provider.count_tokens(asked), exact=True)
            except (UpstreamError, UnsupportedParameter) as error:
                if not deployment.upstream:
                    raise
                log.info("%s counts no tokens (%s); they are estimated", deployment.name, error)
        elif deployment.upstream and self.known is not None:
            found = await self.known.measure(deployment.model, request)
            if found is not None:
                return TokenCount(deployment.name, found.tokens, found.exact)
        return TokenCount(deployment.name, round(estimate * deployment.health.prompt_ratio), exact=False)

    async def tokenize(self, model: str, text: str, *, special: bool, bos: bool) -> Sequence[int]:
        """Token ids of a text by itself, by the tokenizer of a model of this name; see `_tokenizer`.

        A service's own special tokens are never recognised: no text that it is sent can hold them.
        """
        try:
            tokenizer, own = self._tokenizer(model, "complete")
        except UnsupportedParameter:
            for known, own in self._known(model):
                if (tokens := await known.tokenize(own, text)) is not None:
                    return tokens
            raise
        return await tokenizer.tokenize(own, text, special=special, bos=bos)

    async def pieces(self, model: str, tokens: Sequence[int]) -> Sequence[bytes]:
        """The bytes of each token."""
        try:
            tokenizer, own = self._tokenizer(model, "complete")
        except UnsupportedParameter:
            for known, own in self._known(model):
                if (pieces := await known.pieces(own, tokens)) is not None:
                    return pieces
            raise
        return await tokenizer.pieces(own, tokens)

    async def render(self, request: ChatRequest) -> str:
        """The text that the model's chat template makes of a conversation."""
        tokenizer, own = self._tokenizer(request.model, "chat")
        return await tokenizer.render(replace(request, model=own))

    def chat_template(self, model: str) -> str:
        """The model's chat template; "" where ghostd has none."""
        try:
            tokenizer, own = self._tokenizer(model, "chat")
        except UnsupportedParameter:
            return ""
        return tokenizer.chat_template(own)

    def _first(self, request: ChatRequest | CompletionRequest) -> Deployment:
        """Which would be asked first; where none can do it, the first one of the name's."""
        plan = self._registry().plan(request.model)
        wanted: Capability = "chat" if isinstance(request, ChatRequest) else "complete"
        call = Call(wanted, request.model, wanted, tuple, relayable=False, max_tokens=request.max_tokens)
        try:
            return select(plan, call, partial(features_of, call)).tiers[0][0].deployment
        except RequestError:
            return plan.tiers[0][0].deployment

    def _known(self, model: str) -> list[tuple[Tokenizers, str]]:
        """The tokenizers of services, and the service's own name of the model that would be asked first."""
        if self.known is None:
            return []
        first = self._registry().plan(model).tiers[0][0].deployment
        return [(self.known, first.model)] if first.upstream else []

    def _tokenizer(self, model: str, capability: Capability) -> tuple[Tokenizer, str]:
        """Who holds the tokenizer of a name's models, and its own name of the model; a loaded one before others.

        Raises ModelNotFound, and UnsupportedParameter where there is none.
        """
        deployments = [choice.deployment for tier in self._registry().plan(model).tiers for choice in tier]
        able = [d for d in deployments if isinstance(d.provider, Tokenizer) and d.info.state != "failed"]
        fit = [d for d in able if capability in d.info.capabilities] or able
        if not fit:
            raise UnsupportedParameter(
                f"ghostd has no tokenizer of the model '{model}'; it has those of local models, and OpenAI's where the "
                "package quicktok-v1 is installed (ghostd[token-counts]).",
                "model",
            )
        found = min(fit, key=lambda deployment: deployment.info.state != "ready")
        assert isinstance(found.provider, Tokenizer)
        return found.provider, found.model
