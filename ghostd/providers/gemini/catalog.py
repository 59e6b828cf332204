"""The models that a Gemini service offers: those it lists, and any other by name."""

from __future__ import annotations

import msgspec

from ghostd.config.providers import ProviderConfig
from ghostd.errors import UpstreamMalformed
from ghostd.models import ModelInfo
from ghostd.providers.gemini.models import gemini_traits
from ghostd.providers.offered import MAX_LISTED, OfferedModels
from ghostd.types import Capability, Feature, Operation

_RELAYS: frozenset[Operation] = frozenset(("gemini.generate",))


class _Listed(msgspec.Struct, rename="camel"):
    name: str
    input_token_limit: int | None = None
    output_token_limit: int | None = None
    supported_generation_methods: list[str] = []
    thinking: bool | None = None


class _List(msgspec.Struct):
    models: list[_Listed]


_LIST = msgspec.json.Decoder(_List)


class GeminiModels(OfferedModels):
    """What is known of the models."""

    def __init__(self, settings: ProviderConfig) -> None:
        super().__init__(settings, _guess)

    def read_list(self, body: bytes) -> None:
        """Take the reply of `GET /v1beta/models`, less what neither talks nor embeds. Raises UpstreamMalformed."""
        try:
            listed = _LIST.decode(body).models[:MAX_LISTED]
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UpstreamMalformed("the reply is not a list of models") from None
        self.listed(info for model in listed if (info := _described(model)).capabilities)


def _described(model: _Listed) -> ModelInfo:
    capabilities: set[Capability] = set()
    if "generateContent" in model.supported_generation_methods:
        capabilities.add("chat")
    if "embedContent" in model.supported_generation_methods:
        capabilities.add("embed")
    name = model.name.removeprefix("models/")
    thinks = gemini_traits(name).thinks if model.thinking is None else model.thinking
    return _info(name, frozenset(capabilities), thinks, model.input_token_limit, model.output_token_limit)


def _guess(name: str) -> ModelInfo:
    capability: Capability = "embed" if "embedding" in name else "chat"
    return _info(name, frozenset((capability,)), gemini_traits(name).thinks, None, None)


def _info(
    name: str, capabilities: frozenset[Capability], thinks: bool, context: int | None, output: int | None
) -> ModelInfo:
    features: set[Feature] = {"tools", "vision", "files", "audio", "json"}
    if thinks:
        features.add("reasoning")
    talks = "chat" in capabilities
    return ModelInfo(
        name,
        "google",
        capabilities,
        context_tokens=context,
        max_output_tokens=output if talks else None,
        features=frozenset(features) if talks else frozenset(),
        relays=_RELAYS if talks else frozenset(),
        remote=True,
    )
