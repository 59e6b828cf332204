"""What is known of the models of services that speak OpenAI's dialect, by their names and from the services' lists."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

import msgspec

from ghostd.errors import UpstreamMalformed
from ghostd.models import ModelInfo
from ghostd.providers.openai.quirks import AUDIO, CHAT, IMAGES, MODERATIONS, RESPONSES, Quirks
from ghostd.types import Capability, Feature, Operation

_Kind = tuple[re.Pattern[str], frozenset[Capability], frozenset[Operation]]


def _kind(pattern: str, operations: frozenset[Operation], *capabilities: Capability) -> _Kind:
    return re.compile(pattern), frozenset(capabilities), operations


_KINDS: tuple[_Kind, ...] = (
    _kind(r"embed|\bbge\b|\bgte\b|\be5-|minilm|all-mpnet", frozenset(("openai.embeddings",)), "embed"),
    _kind(r"moderation", MODERATIONS),
    _kind(r"dall-e-3|gpt-image", IMAGES - {"openai.images.variations"}),
    _kind(r"dall-e|image-generation|flux|stable-diffusion|sdxl|grok-.*image", IMAGES),
    _kind(r"whisper|transcribe", AUDIO - {"openai.audio.speech"}),
    _kind(r"(^|[/-])tts($|-)|playai|orpheus", frozenset(("openai.audio.speech",))),
    _kind(r"gpt-3\.5-turbo-instruct|davinci-002|babbage-002", frozenset(("openai.completions",)), "complete", "fill"),
)
"""Models that do something else than chat, by a part of their name in lower case; the first match counts."""

_REASONING = re.compile(r"(^|/)(o\d|gpt-5|gpt-oss|grok-[34]|magistral)|reason|think|deepseek-r|\br1\b|qwq|qwen3")
_NOT_REASONING = re.compile(r"(^|/)(gpt-3|gpt-4|chatgpt-4o|gpt-5[^/]*-chat|codestral|grok-2)|non-reasoning")
_NO_VISION = re.compile(r"(^|/)(gpt-3\.5|gpt-4($|-\d{4}|-turbo-preview)|o1-mini|o3-mini|codestral|deepseek)")
_CONTEXT: tuple[tuple[re.Pattern[str], int, int], ...] = tuple(
    (re.compile(pattern), context, output)
    for pattern, context, output in (
        (r"^gpt-4\.1", 1_047_576, 32_768),
        (r"^(gpt-4o|chatgpt-4o)", 128_000, 16_384),
        (r"^gpt-5[^/]*-chat", 128_000, 16_384),
        (r"^gpt-5($|-)", 400_000, 128_000),
        (r"^(o1|o3|o4-mini)($|-\d|-pro)", 200_000, 100_000),
        (r"^gpt-4-turbo", 128_000, 4_096),
        (r"^gpt-3\.5-turbo-instruct", 4_096, 4_096),
        (r"^gpt-3\.5-turbo", 16_385, 4_096),
    )
)
"""Context and longest reply of OpenAI's own models, in tokens."""
OPENAI_HOST = "api.openai.com"


def reasons(model: str) -> bool | None:
    """Whether a model of this name can think before it answers; None where nobody knows."""
    name = model.lower()
    if _NOT_REASONING.search(name):
        return False
    return True if _REASONING.search(name) else None


def guesser(provider: str, base_url: str, quirks: Quirks) -> Callable[[str], ModelInfo]:
    """What says what a model of some name can do at this service."""
    host = urlsplit(base_url).hostname or ""
    remote = not is_loopback(host)
    operations = quirks.operations
    others: set[Capability] = set()
    if "openai.completions" in operations and host != OPENAI_HOST:
        others.add("complete")
    if "openai.embeddings" in operations and not remote:
        others.add("embed")  # a server of one's own serves what it was started with, whatever its name
    if quirks.fill_path is not None and host != OPENAI_HOST:
        others.add("fill")

    def guess(name: str) -> ModelInfo:
        lower = name.lower()
        for pattern, capabilities, kinds in _KINDS:
            if pattern.search(lower):
                relays = operations & kinds
                known = capabilities - (frozenset() if quirks.fill_path else frozenset(("fill",)))
                return ModelInfo(name, provider, known, relays=relays, remote=remote, source="configuration")
        context, output = next(
            ((found, most) for pattern, found, most in _CONTEXT if pattern.search(lower)), (None, None)
        )
        return ModelInfo(
            name,
            provider,
            frozenset(("chat", *others)),
            context_tokens=context if host == OPENAI_HOST else None,
            max_output_tokens=output if host == OPENAI_HOST else None,
            features=_features(lower, quirks) if host == OPENAI_HOST else None,
            relays=operations & (CHAT | RESPONSES) if host == OPENAI_HOST else operations,
            remote=remote,
            tells_stop=quirks.tells_stop,
            source="configuration",
        )

    return guess


def _features(lower: str, quirks: Quirks) -> frozenset[Feature]:
    found: set[Feature] = {"tools", "json"}
    if not _NO_VISION.search(lower):
        found |= {"vision", "files"} if quirks.files else {"vision"}
    if "audio" in lower:
        found.add("audio")
    if reasons(lower):
        found.add("reasoning")
    return frozenset(found)


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine."""
    return host in {"localhost", "::1"} or host.startswith("127.") or host.endswith(".localhost")


class _Listed(msgspec.Struct):
    id: str
    created: float | None = None
    context_length: int | None = None
    """OpenRouter's, Together's."""
    max_model_len: int | None = None
    """vLLM's."""
    context_window: int | None = None
    """Groq's."""
    max_context_length: int | None = None
    """Mistral's, LM Studio's."""


class _List(msgspec.Struct):
    data: list[_Listed]


_LIST = msgspec.json.Decoder(_List | list[_Listed])


def listed(body: bytes, guess: Callable[[str], ModelInfo]) -> list[ModelInfo]:
    """The models in a reply to GET /models; raises UpstreamMalformed."""
    try:
        reply = _LIST.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamMalformed("its list of models is not in OpenAI's form") from None
    found = []
    for model in reply.data if isinstance(reply, _List) else reply:
        info = guess(model.id)
        context = model.context_length or model.max_model_len or model.context_window or model.max_context_length
        created = int(model.created) if model.created and 0 < model.created < 1e11 else 0
        found.append(replace(info, created=created, context_tokens=context or info.context_tokens, source="service"))
    return found
