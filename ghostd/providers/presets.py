"""The services whose API is OpenAI's chat dialect or close to it: where they are, which key they want, how they differ.

Each preset is the factory of its provider, found by entry point (group `ghostd.providers`). Facts are from the
services' own API references and from the sources of the open ones, November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from ghostd.providers.openai.quirks import (
    AUDIO,
    CHAT,
    IMAGES,
    MODERATIONS,
    RESPONSES,
    TEXT,
    Quirks,
    samplers,
)

if TYPE_CHECKING:
    from ghostd.ports import UpstreamProvider
    from ghostd.providers.upstream import Endpoint

Dialect = Literal["openai", "mistral", "llama-server", "tgi"]


@dataclass(frozen=True, slots=True)
class Preset:
    """One service, and the factory of its provider (`ghostd.providers.upstream.ProviderFactory`)."""

    name: str
    base_url: str | None
    """None: the configuration must give base_urls."""
    key_variable: str | None = None
    """Environment variable that holds the key by custom; None where there is no custom."""
    key_optional: bool = False
    """Whether it may be asked without a key: servers of one's own."""
    quirks: Quirks = field(default_factory=Quirks)
    dialect: Dialect = "openai"
    """Which module speaks it."""

    def __call__(self, endpoint: Endpoint) -> UpstreamProvider:
        """The provider; modules are loaded only for services that are configured."""
        if self.dialect == "mistral":
            from ghostd.providers.mistral import MistralProvider

            return MistralProvider(endpoint, self.quirks)
        if self.dialect == "llama-server":
            from ghostd.providers.llama_server import LlamaServerProvider

            return LlamaServerProvider(endpoint, self.quirks)
        if self.dialect == "tgi":
            from ghostd.providers.tgi import TgiProvider

            return TgiProvider(endpoint, self.quirks)
        from ghostd.providers.openai.provider import OpenAIProvider

        return OpenAIProvider(endpoint, self.quirks)


_MAX_TOKENS = MappingProxyType({"max_completion_tokens": "max_tokens"})
_NO_HINTS = MappingProxyType({"stream_options": "", "user": ""})
_OPEN_SAMPLERS = samplers(top_k="top_k", min_p="min_p", repeat_penalty="repetition_penalty")

openai = Preset(
    "openai",
    "https://api.openai.com/v1",
    "OPENAI_API_KEY",
    quirks=Quirks(developer=True, refusals=True, files=True, audio=True, fill_path="/completions", verbosity=True),
)

azure = Preset(
    "azure",
    None,  # https://RESOURCE.openai.azure.com/openai/v1
    "AZURE_OPENAI_API_KEY",
    quirks=Quirks(
        developer=True,
        refusals=True,
        files=True,
        audio=True,
        models_path=None,  # it lists what could be deployed, not what is
        verbosity=True,
        loose=True,  # its filter's late results come in chunks without a delta, also after the finish
        key_header="api-key",
    ),
)

openrouter = Preset(
    "openrouter",
    "https://openrouter.ai/api/v1",
    "OPENROUTER_API_KEY",
    quirks=Quirks(
        operations=TEXT | RESPONSES,
        samplers=_OPEN_SAMPLERS,
        max_tokens="max_tokens",
        verbosity=True,
        effort="reasoning",
        thoughts="reasoning",
        files=True,
        file_urls=True,
        audio=True,
        tool_images=True,
        loose=True,
    ),
)

vllm = Preset(
    "vllm",
    "http://127.0.0.1:8000/v1",
    "VLLM_API_KEY",
    key_optional=True,
    quirks=Quirks(
        operations=TEXT | RESPONSES | frozenset(("openai.audio.transcriptions", "openai.audio.translations")),
        samplers=_OPEN_SAMPLERS,
        max_tokens="max_tokens",
        grammar="structured_outputs",
        thoughts="reasoning",
        developer=True,
        audio=True,
        tool_images=True,
        prefill="continue_final_message",
        tells_stop=True,
        strict_turns=True,
    ),
)

huggingface = Preset(
    "huggingface",
    "https://router.huggingface.co/v1",
    "HF_TOKEN",
    quirks=Quirks(operations=CHAT | RESPONSES, max_tokens="max_tokens", loose=True, strict_turns=True),
)

tgi = Preset(
    "tgi",
    "http://127.0.0.1:3000",
    "HF_TOKEN",
    key_optional=True,
    dialect="tgi",
    quirks=Quirks(
        operations=frozenset(("openai.chat", "openai.completions")),
        samplers=samplers("logit_bias"),
        max_tokens="max_tokens",
        renames=_MAX_TOKENS,
        effort="none",
        parallel=False,
        chat_path="/v1/chat/completions",
        models_path="/v1/models",
        root_suffix="/v1",
        user=False,
        loose=True,
        strict_turns=True,
    ),
)

transformers = Preset(
    "transformers",
    "http://127.0.0.1:8000/v1",
    None,
    key_optional=True,
    quirks=Quirks(
        # It refuses the members of OpenAI's API that it does not use.
        operations=CHAT | RESPONSES | frozenset(("openai.audio.transcriptions",)),
        samplers=samplers("logprobs", "presence_penalty", "logit_bias"),
        max_tokens="max_tokens",
        renames=MappingProxyType({**_MAX_TOKENS, **_NO_HINTS}),
        include_usage=False,
        user=False,
        tool_choice=False,
        parallel=False,
        schemas="none",
        effort="none",
        loose=True,
        strict_turns=True,
    ),
)

mistral = Preset(
    "mistral",
    "https://api.mistral.ai/v1",
    "MISTRAL_API_KEY",
    dialect="mistral",
    quirks=Quirks(
        operations=CHAT | MODERATIONS | frozenset(("openai.embeddings", "openai.audio.transcriptions", "mistral.fim")),
        samplers=samplers("seed", "logit_bias", "logprobs", seed="random_seed"),
        max_tokens="max_tokens",
        renames=MappingProxyType({**_MAX_TOKENS, **_NO_HINTS, "seed": "random_seed"}),
        include_usage=False,  # unknown members are refused; the last chunk says it unasked
        user=False,
        any_tool="any",
        files=True,
        file_urls=True,
        audio=True,
        tool_images=True,
        fill_path="/fim/completions",
        loose=True,
        prefill="prefix",
        strict_turns=True,
    ),
)

llama_server = Preset(
    "llama-server",
    "http://127.0.0.1:8080",
    "LLAMA_API_KEY",
    key_optional=True,
    dialect="llama-server",
    quirks=Quirks(
        operations=TEXT | RESPONSES | frozenset(("llamacpp.infill", "llamacpp.completion")),
        samplers=samplers(top_k="top_k", min_p="min_p", repeat_penalty="repeat_penalty"),
        max_tokens="max_tokens",
        grammar="grammar",
        thoughts="reasoning_content",
        audio=True,
        chat_path="/v1/chat/completions",
        models_path="/v1/models",
        root_suffix="/v1",
        fill_path="/infill",
        strict_turns=True,
    ),
)

lm_studio = Preset(
    "lm-studio",
    "http://127.0.0.1:1234/v1",
    "LM_API_TOKEN",
    key_optional=True,
    quirks=Quirks(
        operations=TEXT | RESPONSES,
        samplers=samplers(top_k="top_k", min_p="min_p", repeat_penalty="repeat_penalty"),
        max_tokens="max_tokens",
        user=False,
        loose=True,
        strict_turns=True,
    ),
)

groq = Preset(
    "groq",
    "https://api.groq.com/openai/v1",
    "GROQ_API_KEY",
    quirks=Quirks(
        operations=CHAT | RESPONSES | AUDIO,
        samplers=samplers("logprobs", "logit_bias", "presence_penalty", "frequency_penalty"),
        strict_turns=True,
    ),
)

deepseek = Preset(
    "deepseek",
    "https://api.deepseek.com",
    "DEEPSEEK_API_KEY",
    quirks=Quirks(
        operations=CHAT,
        samplers=samplers("seed", "logit_bias"),
        max_tokens="max_tokens",
        renames=_MAX_TOKENS,
        schemas="json_object",
        effort="thinking",
        thoughts="reasoning_content",
        user=False,
        parallel=False,
        fill_path="/beta/completions",
        root_suffix="/v1",
    ),
)

together = Preset(
    "together",
    "https://api.together.xyz/v1",
    "TOGETHER_API_KEY",
    quirks=Quirks(
        operations=TEXT | IMAGES | AUDIO,
        samplers=samplers("logprobs", top_k="top_k", min_p="min_p", repeat_penalty="repetition_penalty"),
        max_tokens="max_tokens",
        user=False,
        loose=True,
        strict_turns=True,
    ),
)

fireworks = Preset(
    "fireworks",
    "https://api.fireworks.ai/inference/v1",
    "FIREWORKS_API_KEY",
    quirks=Quirks(
        operations=TEXT | RESPONSES,
        samplers=_OPEN_SAMPLERS,
        max_tokens="max_tokens",
        grammar="response_format",
        thoughts="reasoning_content",
        loose=True,
        strict_turns=True,
    ),
)

xai = Preset(
    "xai",
    "https://api.x.ai/v1",
    "XAI_API_KEY",
    quirks=Quirks(operations=CHAT | RESPONSES | IMAGES, samplers=samplers("logit_bias"), loose=True),
)

github_models = Preset(
    "github-models",
    "https://models.github.ai/inference",
    "GITHUB_TOKEN",
    quirks=Quirks(
        operations=frozenset(("openai.chat", "openai.embeddings")),
        samplers=samplers("logit_bias", "logprobs"),
        max_tokens="max_tokens",
        user=False,
        models_path=None,  # its catalogue is another API
    ),
)

openai_compatible = Preset(
    "openai-compatible",
    None,
    None,
    key_optional=True,
    quirks=Quirks(max_tokens="max_tokens", loose=True, strict_turns=True),
)

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            openai, azure, openrouter, vllm, huggingface, tgi, transformers, mistral, llama_server, lm_studio, groq,
            deepseek, together, fireworks, xai, github_models, openai_compatible,
        )
    }
)  # fmt: skip
"""By the name that the setting `preset` takes."""
