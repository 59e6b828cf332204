"""The models that an Ollama server offers, with what `/api/tags` and `/api/show` say of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from ghostd.config.providers import ProviderConfig
from ghostd.errors import UpstreamMalformed
from ghostd.models import ModelInfo
from ghostd.providers.offered import MAX_LISTED, OfferedModels
from ghostd.types import Capability, Feature, Operation

_RELAYS: frozenset[Operation] = frozenset(("ollama.chat", "ollama.generate", "ollama.embed"))
_NUM_CTX = re.compile(r"^num_ctx\s+(\d+)", re.MULTILINE)
_NANOSECONDS = re.compile(r"\.\d+")
_CLOUD = re.compile(r"[:-]cloud$")
"""Names of models that the server itself asks ollama.com for."""


class _Details(msgspec.Struct):
    family: str = ""
    parameter_size: str = ""
    quantization_level: str = ""


class _Tag(msgspec.Struct):
    name: str = ""
    model: str = ""
    modified_at: str = ""
    size: int = 0
    digest: str = ""
    details: _Details = msgspec.field(default_factory=_Details)
    remote_host: str = ""


class _Tags(msgspec.Struct):
    models: list[_Tag] | None


class _Show(msgspec.Struct):
    capabilities: list[str] | None = None
    parameters: str = ""
    model_info: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shown:
    """What `/api/show` says of one model."""

    capabilities: frozenset[str] | None
    """None: an older server."""
    context_tokens: int | None


_TAGS = msgspec.json.Decoder(_Tags)
_SHOW = msgspec.json.Decoder(_Show)


class OllamaModels(OfferedModels):
    """What is known of the models."""

    def __init__(self, settings: ProviderConfig, *, remote: bool) -> None:
        """`remote`: whether the server is another machine."""
        super().__init__(settings, self._guess)
        self._remote = remote
        self._tags: list[_Tag] = []
        self._shown: dict[str, Shown] = {}
        """By digest."""

    def read_tags(self, body: bytes) -> None:
        """Take the reply of `GET /api/tags`. Raises UpstreamMalformed."""
        try:
            self._tags = (_TAGS.decode(body).models or [])[:MAX_LISTED]
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UpstreamMalformed("the reply is not a list of models") from None
        digests = {tag.digest for tag in self._tags}
        self._shown = {digest: shown for digest, shown in self._shown.items() if digest in digests}
        self._refresh()

    def unknown(self) -> list[tuple[str, str]]:
        """Name and digest of the models that have not been described yet."""
        return [(_name(tag), tag.digest) for tag in self._tags if tag.digest and tag.digest not in self._shown]

    def read_show(self, digest: str, body: bytes) -> None:
        """Take the reply of `POST /api/show`. Raises UpstreamMalformed."""
        try:
            show = _SHOW.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UpstreamMalformed("the reply does not describe a model") from None
        capabilities = None if show.capabilities is None else frozenset(show.capabilities)
        self._shown[digest] = Shown(capabilities, _context(show))

    def described(self) -> None:
        """All that has been read shall show."""
        self._refresh()

    def _refresh(self) -> None:
        found = (self._info(tag) for tag in self._tags if _name(tag))
        self.listed(info for info in found if info.capabilities)

    def _info(self, tag: _Tag) -> ModelInfo:
        shown = self._shown.get(tag.digest)
        known = None if shown is None else shown.capabilities
        details = tag.details
        told = (details.family, details.parameter_size, details.quantization_level)
        return ModelInfo(
            _name(tag),
            "ollama",
            _capabilities(known),
            created=_seconds(tag.modified_at),
            context_tokens=None if shown is None else shown.context_tokens,
            size_bytes=tag.size or None,
            detail=" ".join(filter(None, told)),
            features=_features(known),
            relays=_RELAYS,
            remote=self._remote or bool(tag.remote_host) or _CLOUD.search(_name(tag)) is not None,
            family=details.family,
            parameter_size=details.parameter_size,
            quantization=details.quantization_level,
            digest=tag.digest.removeprefix("sha256:"),
        )

    def _guess(self, name: str) -> ModelInfo:
        remote = self._remote or _CLOUD.search(name) is not None
        return ModelInfo(name, "ollama", _capabilities(None), features=None, relays=_RELAYS, remote=remote)


def _name(tag: _Tag) -> str:
    return tag.name or tag.model


def _capabilities(known: Iterable[str] | None) -> frozenset[Capability]:
    """Where nobody knows, everything."""
    if known is None:
        return frozenset(("chat", "complete", "fill", "embed"))
    found: set[Capability] = set()
    if "completion" in known:
        found.update(("chat", "complete"))
    if "insert" in known:
        found.add("fill")
    if "embedding" in known:
        found.add("embed")
    return frozenset(found)


def _features(known: Iterable[str] | None) -> frozenset[Feature] | None:
    if known is None:
        return None
    found: set[Feature] = {"json"} if "completion" in known else set()
    words: tuple[tuple[str, Feature], ...] = (("tools", "tools"), ("vision", "vision"), ("thinking", "reasoning"))
    found.update(feature for word, feature in words if word in known)
    return frozenset(found)


def _context(show: _Show) -> int | None:
    """The context that the model is loaded with where its Modelfile says so, else the longest it was trained for."""
    chosen = _NUM_CTX.search(show.parameters)
    if chosen is not None:
        return int(chosen[1])
    for key, value in show.model_info.items():
        if key.endswith(".context_length"):
            try:
                return msgspec.json.decode(value, type=int)
            except msgspec.DecodeError:
                return None
    return None


def _seconds(date: str) -> int:
    try:
        return int(datetime.fromisoformat(_NANOSECONDS.sub("", date)).timestamp())
    except (ValueError, OverflowError):
        return 0
