"""The models that an Anthropic service offers: those it lists, with what it says of them, and any other by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from ghostd.config.providers import ProviderConfig
from ghostd.errors import UpstreamMalformed
from ghostd.models import ModelInfo
from ghostd.providers.anthropic.models import Effort, ModelTraits, traits_of
from ghostd.providers.offered import MAX_LISTED, OfferedModels
from ghostd.types import Feature, Operation

RELAYS: frozenset[Operation] = frozenset(("anthropic.messages", "anthropic.count_tokens"))
_EFFORTS: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")


class _Support(msgspec.Struct, frozen=True):
    supported: bool = False


class _ThinkingTypes(msgspec.Struct, frozen=True):
    adaptive: _Support = _Support()
    enabled: _Support = _Support()
    disabled: _Support | None = None


class _Thinking(msgspec.Struct):
    supported: bool = False
    types: _ThinkingTypes = _ThinkingTypes()


class _Capabilities(msgspec.Struct):
    image_input: _Support | None = None
    pdf_input: _Support | None = None
    structured_outputs: _Support | None = None
    thinking: _Thinking | None = None
    effort: dict[str, msgspec.Raw] | None = None


class _Listed(msgspec.Struct):
    id: str
    created_at: str = ""
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    lifecycle: str = "active"
    capabilities: _Capabilities | None = None


class _Page(msgspec.Struct):
    data: list[_Listed]


_PAGE = msgspec.json.Decoder(_Page)


class AnthropicModels(OfferedModels):
    """What is known of the models."""

    def __init__(self, settings: ProviderConfig) -> None:
        super().__init__(settings, lambda name: _info(name, traits_of(name)))
        self._traits: dict[str, ModelTraits] = {}

    def traits(self, name: str) -> ModelTraits:
        """What a model of this name takes; what the configuration says of its limit wins."""
        traits = self._traits.get(name) or traits_of(name)
        limit = self.model(name).max_output_tokens
        return traits if limit == traits.max_output_tokens else replace(traits, max_output_tokens=limit)

    def read_list(self, body: bytes) -> None:
        """Take the reply of `GET /v1/models`. Raises UpstreamMalformed."""
        try:
            listed: Sequence[_Listed] = _PAGE.decode(body).data[:MAX_LISTED]
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UpstreamMalformed("the reply is not a list of models") from None
        usable = [model for model in listed if model.lifecycle != "retired"]
        self._traits = {model.id: _described(model) for model in usable}
        self.listed(_info(model.id, self._traits[model.id], _seconds(model.created_at)) for model in usable)


def _described(model: _Listed) -> ModelTraits:
    """What the service says of a model; what it leaves out is guessed by the name."""
    guess = traits_of(model.id)
    told = model.capabilities or _Capabilities()
    traits = replace(
        guess,
        context_tokens=model.max_input_tokens or guess.context_tokens,
        max_output_tokens=model.max_tokens or guess.max_output_tokens,
        vision=_told(told.image_input, guess.vision),
        pdf=_told(told.pdf_input, guess.pdf),
        structured=_told(told.structured_outputs, guess.structured),
    )
    if told.thinking is not None:
        types = told.thinking.types
        traits = replace(
            traits,
            adaptive=told.thinking.supported and types.adaptive.supported,
            budget=told.thinking.supported and types.enabled.supported,
            can_disable=_told(types.disabled, guess.can_disable),
        )
    if told.effort is not None:
        traits = replace(traits, efforts=tuple(effort for effort in _EFFORTS if _is_supported(told.effort.get(effort))))
    return traits


def _told(support: _Support | None, guess: bool) -> bool:
    return guess if support is None else support.supported


def _is_supported(raw: msgspec.Raw | None) -> bool:
    """An effort level's own description; the object holds other members, too."""
    try:
        return raw is not None and msgspec.json.decode(raw, type=_Support).supported
    except msgspec.DecodeError:
        return False


def _info(name: str, traits: ModelTraits, created: int = 0) -> ModelInfo:
    features: set[Feature] = {"tools"}
    if traits.vision:
        features.add("vision")
    if traits.pdf:
        features.add("files")
    if traits.structured:
        features.add("json")
    if traits.thinks:
        features.add("reasoning")
    return ModelInfo(
        name,
        "anthropic",
        frozenset(("chat",)),
        created=created,
        context_tokens=traits.context_tokens,
        max_output_tokens=traits.max_output_tokens,
        features=frozenset(features),
        relays=RELAYS,
        remote=True,
        tells_stop=True,
    )


def _seconds(date: str) -> int:
    try:
        return int(datetime.fromisoformat(date).timestamp())
    except (ValueError, OverflowError):
        return 0
