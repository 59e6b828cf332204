"""The table of services."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from providers.openai_dialect import OpenAIDialect

from ghostd.providers import presets
from ghostd.providers.openai.models import guesser, is_loopback, reasons
from ghostd.providers.presets import PRESETS, Preset
from ghostd.testing.upstream_contract import UpstreamContract
from ghostd.types import Operation

_EVERY = sorted(PRESETS.values(), key=lambda preset: preset.name)
_DOCS = Path(__file__).parents[2] / "docs" / "providers.md"


class TestLooseService(UpstreamContract):
    """A service whose streams are not held to every letter; strictness beyond that is the same."""

    dialect = OpenAIDialect(presets.openrouter)


class TestServiceWithoutStreamOptions(UpstreamContract):
    dialect = OpenAIDialect(presets.transformers)


@pytest.mark.parametrize("preset", _EVERY, ids=lambda preset: preset.name)
def test_each_service_is_reached_safely(preset: Preset) -> None:
    """Https, but for this machine; a key, but for servers of one's own."""
    if preset.base_url is None:
        return
    url = urlsplit(preset.base_url)
    local = is_loopback(url.hostname or "")
    assert url.scheme == ("http" if local else "https")
    assert not preset.base_url.endswith("/")
    assert local == preset.key_optional
    assert local or preset.key_variable


@pytest.mark.parametrize("preset", _EVERY, ids=lambda preset: preset.name)
def test_each_service_stands_in_the_documentation(preset: Preset) -> None:
    (row,) = re.findall(rf"^\| `{re.escape(preset.name)}` \|.*$", _DOCS.read_text("utf-8"), re.MULTILINE)
    assert (preset.base_url or "base_urls") in row
    assert preset.key_variable is None or f"`{preset.key_variable}`" in row


def test_a_presets_attribute_is_found_by_its_name() -> None:
    """Entry points name attributes of the module."""
    for name, preset in PRESETS.items():
        assert getattr(presets, name.replace("-", "_")) is preset


@pytest.mark.parametrize(
    ("name", "capabilities", "relays"),
    [
        ("gpt-4.1", {"chat"}, {"openai.chat", "openai.responses"}),
        ("gpt-3.5-turbo-instruct", {"complete", "fill"}, {"openai.completions"}),
        ("text-embedding-3-large", {"embed"}, {"openai.embeddings"}),
        ("omni-moderation-latest", set(), {"openai.moderations"}),
        ("gpt-image-1", set(), {"openai.images.generations", "openai.images.edits"}),
        ("whisper-1", set(), {"openai.audio.transcriptions", "openai.audio.translations"}),
        ("gpt-4o-mini-tts", set(), {"openai.audio.speech"}),
        ("a-model-of-the-future", {"chat"}, {"openai.chat", "openai.responses"}),
    ],
)
def test_what_openais_models_do_follows_from_their_names(
    name: str, capabilities: set[str], relays: set[Operation]
) -> None:
    info = guesser("openai", "https://api.openai.com/v1", presets.openai.quirks)(name)
    assert (set(info.capabilities), set(info.relays), info.remote) == (capabilities, relays, True)


def test_what_openais_models_take() -> None:
    guess = guesser("openai", "https://api.openai.com/v1", presets.openai.quirks)
    assert guess("gpt-4.1-mini").features == frozenset(("tools", "json", "vision", "files"))
    assert guess("gpt-4.1").context_tokens == 1_047_576
    assert "reasoning" in (guess("gpt-5").features or ()) and guess("gpt-5").max_output_tokens == 128_000
    assert "vision" not in (guess("gpt-3.5-turbo").features or ())


def test_models_elsewhere_may_be_anything() -> None:
    """A server of one's own serves what it was started with, whatever its name."""
    info = guesser("vllm", "http://127.0.0.1:8000/v1", presets.vllm.quirks)("my/model")
    assert info.capabilities == {"chat", "complete", "embed"}
    assert (info.features, info.context_tokens, info.remote) == (None, None, False)
    assert info.relays == presets.vllm.quirks.operations
    assert "fill" in guesser("m", "https://api.mistral.ai/v1", presets.mistral.quirks)("codestral-latest").capabilities


@pytest.mark.parametrize(
    ("name", "expected"),
    [("gpt-4o", False), ("o3-mini", True), ("gpt-5.1", True), ("gpt-5-chat-latest", False), ("llama-4", None)],
)
def test_which_models_think(name: str, expected: bool | None) -> None:
    assert reasons(name) is expected
