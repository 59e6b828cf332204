"""The services with a dialect of their own: where they are and which key they want.

Each is the factory of its provider, found by entry point (group `ghostd.providers`), and looks like a Preset of
`ghostd.providers.presets`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ghostd.ports import UpstreamProvider
    from ghostd.providers.upstream import Endpoint


@dataclass(frozen=True, slots=True)
class NativePreset:
    """One service, and the factory of its provider (`ghostd.providers.upstream.ProviderFactory`)."""

    name: Literal["anthropic", "gemini", "ollama"]
    base_url: str
    key_variable: str | None
    """Environment variable that holds the key by custom."""
    key_optional: bool = False
    """Whether it may be asked without a key."""

    def __call__(self, endpoint: Endpoint) -> UpstreamProvider:
        """The provider; modules are loaded only for services that are configured."""
        if self.name == "anthropic":
            from ghostd.providers.anthropic.provider import AnthropicProvider

            return AnthropicProvider(endpoint)
        if self.name == "gemini":
            from ghostd.providers.gemini.provider import GeminiProvider

            return GeminiProvider(endpoint)
        from ghostd.providers.ollama.provider import OllamaProvider

        return OllamaProvider(endpoint)


anthropic = NativePreset("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY")
gemini = NativePreset("gemini", "https://generativelanguage.googleapis.com", "GEMINI_API_KEY")
ollama = NativePreset("ollama", "http://127.0.0.1:11434", "OLLAMA_API_KEY", key_optional=True)
