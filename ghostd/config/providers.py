"""The settings of services elsewhere: [providers], [deployments], [upstream]."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ghostd.config.kinds import Bytes, Count, Probability, Seconds

UsdPerMillion = Annotated[float, Meta(ge=0, le=1_000_000)]


class LongPriceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all of a request costs whose prompt is long, where the service asks more for those."""

    above_tokens: Count
    """Prompts of more tokens are long."""
    input: UsdPerMillion
    """Prompt tokens."""
    output: UsdPerMillion
    """Generated tokens, reasoning included."""
    cached_input: UsdPerMillion | None = None
    """Prompt tokens read from the upstream's cache; unset: as `input`."""
    cache_write: UsdPerMillion | None = None
    """Prompt tokens written to it; unset: as `input`."""


class PriceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a model costs, in US dollars for a million tokens."""

    input: UsdPerMillion
    """Prompt tokens."""
    output: UsdPerMillion
    """Generated tokens, reasoning included."""
    cached_input: UsdPerMillion | None = None
    """Prompt tokens read from the upstream's cache; unset: as `input`."""
    cache_write: UsdPerMillion | None = None
    """Prompt tokens written to it; unset: as `input`."""
    long: LongPriceConfig | None = None
    """Another price for long prompts."""


class ModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of one model of a provider, and its defaults for requests that give none."""

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    """Default temperature."""
    max_tokens: Count | None = None
    """Default limit of a reply."""
    context_tokens: Count | None = None
    """Longest prompt with its reply; unset: not checked by ghostd."""
    max_output_tokens: Count | None = None
    """Longest reply it can give."""
    capabilities: tuple[Literal["chat", "complete", "fill", "embed"], ...] | None = None
    """What it can be asked for; unset: what the provider's dialect offers for a model of this name."""
    features: tuple[Literal["tools", "vision", "files", "audio", "json", "reasoning"], ...] | None = None
    """What it can do beyond text; unset: everything, as far as ghostd knows."""
    quality: Probability | None = None
    """How good it is, from 0 to 1, for the policies "quality" and "balanced"; unset: by its price."""
    price: PriceConfig | None = None
    """Its price; unset: from the price table."""


class ProviderConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One service that offers models."""

    preset: str | None = None
    """Whose API it speaks, by entry-point name: "openai", "anthropic", …; unset: the table's name."""
    base_urls: tuple[str, ...] = ()
    """Where it is (http or https); several are alternatives of each other. Unset: the preset's own."""
    keys: tuple[str, ...] | None = None
    """Where its API keys lie: "keyring:NAME", "env:NAME" or "command:…"; unset: the preset's environment variable if
    that is set, else "keyring:" and the provider's name; an empty list sends no key."""
    headers: dict[str, str] = {}
    """Further headers to send, e.g. an organisation."""
    models: tuple[str, ...] | None = None
    """The models to offer, as the service names them; unset: those that it lists itself, and any other by name."""
    model: dict[str, ModelConfig] = {}
    """What is known of single models: [providers.NAME.model."MODEL"]."""
    max_concurrency: Count | None = None
    """Requests at once to one base URL; unset: no limit."""
    rpm: Count | None = None
    """Requests a minute to one base URL; unset: no limit."""
    tpm: Count | None = None
    """Tokens a minute to one base URL, prompt and reply; unset: no limit."""
    drop_unsupported: bool = False
    """Whether parameters that the service cannot honour are left out instead of refused."""
    enabled: bool = True
    """Whether it is used."""


class DeploymentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model at one provider under a name of its own, with limits and defaults of its own."""

    model: str
    """"provider/model"."""
    base_url: str | None = None
    """Only this one of the provider's base URLs; unset: all of them."""
    max_concurrency: Count | None = None
    """Requests at once; unset: the provider's limit only."""
    rpm: Count | None = None
    """Requests a minute; unset: the provider's limit only."""
    tpm: Count | None = None
    """Tokens a minute; unset: the provider's limit only."""
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    """Default temperature; unset: the model's."""
    max_tokens: Count | None = None
    """Default limit of a reply; unset: the model's."""


class UpstreamConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits on what upstream servers may send, and on connections to them."""

    max_reply_bytes: Bytes = 128 * 1024 * 1024
    """Largest reply, after decompression."""
    max_event_bytes: Bytes = 8 * 1024 * 1024
    """Largest event of a stream."""
    max_events: Count = 1_000_000
    """Events of one stream."""
    max_header_bytes: Bytes = 64 * 1024
    """Largest head of a reply."""
    max_connections: Count = 256
    """Open connections to one server."""
    keep_alive_s: Seconds = 60.0
    """An idle connection is closed after so long."""
    proxy: str | None = None
    """http:// URL of a proxy for https upstreams; unset: HTTPS_PROXY and NO_PROXY of the environment; "" uses none."""
    ca_file: str | None = None
    """PEM file of further trusted certificate authorities."""
