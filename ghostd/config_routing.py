"""The part of the configuration that says which models there are elsewhere and how requests find them.

`docs/configuration.md` lists every setting; `routing/tables.py` checks what types cannot say.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Bytes = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]
Probability = Annotated[float, Meta(ge=0, le=1)]
UsdPerMillion = Annotated[float, Meta(ge=0, le=1_000_000)]

Policy = Literal["ordered", "balanced", "cheapest", "fastest", "quality", "local-first"]
"""ordered: as listed; balanced: by success, speed and price together; local-first: this machine's models, then
balanced."""


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


class RouteEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One deployment of a route."""

    model: str
    """"provider/model", a deployment's name, or a local model's."""
    order: Annotated[int, Meta(ge=1)] = 1
    """Lower ones are tried first; equal ones share the load."""
    weight: Annotated[float, Meta(gt=0)] = 1.0
    """Share of the load among equals."""


class RouteConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A public model name and the deployments behind it."""

    deployments: tuple[str | RouteEntry, ...]
    """What answers, e.g. ["openai/gpt-4.1", {model = "anthropic/claude-sonnet-4-5", order = 2}]."""
    policy: Policy = "ordered"
    """How deployments of one order are ranked; "ordered" shares by weight and load."""
    fallbacks: tuple[str, ...] = ()
    """Models or routes to try when every deployment has failed."""
    fallback_on: tuple[Literal["error", "context", "content_filter"], ...] = ("error", "context")
    """What sends a request to the fallbacks: failures, a prompt too long, a refused content."""
    local_last_resort: bool = False
    """Whether any local model that can do the job answers when all else has failed."""
    timeout_s: Seconds | None = None
    """Time for the whole request; unset: routing.timeout_s."""
    first_byte_s: Seconds | None = None
    """Time until a stream begins; unset: routing.first_byte_s."""
    reply_s: Seconds | None = None
    """Time until a reply that is not streamed begins; unset: routing.reply_s."""
    idle_s: Seconds | None = None
    """Longest silence inside a reply; unset: routing.idle_s."""
    hedge: bool = False
    """Whether a request that waits longer than the 95th percentile is also sent to another deployment."""
    warm: bool = False
    """Whether a connection is kept open to each base URL, so that the first request need not make one."""


class ExperimentArm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One arm of an A/B split."""

    model: str
    """A model, deployment or route."""
    weight: Annotated[float, Meta(gt=0)] = 1.0
    """Share of the subjects."""


class ExperimentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An A/B split: requests for one model name are shared among arms, each subject always in the same one."""

    model: str
    """The public name whose requests are split."""
    arms: dict[str, ExperimentArm]
    """The arms by name: [experiments.NAME.arms.ARM]."""
    subject: Literal["client", "user", "session"] = "user"
    """What sticks to an arm: the client (API key or name), the request's `user`, or its session header."""
    enabled: bool = True
    """Whether requests are split now."""


class RoutingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How requests find a model that answers."""

    unknown_model: Literal["error", "fallback"] = "error"
    """What a request for an unknown model gets: an error, or the model "auto"."""
    policy: Policy = "balanced"
    """How the virtual model "auto" ranks the models."""
    timeout_s: Seconds = 600.0
    """Time for a whole request, all attempts together."""
    connect_s: Seconds = 5.0
    """Time to connect to an upstream."""
    first_byte_s: Seconds = 30.0
    """Time until a stream's first event."""
    reply_s: Seconds = 120.0
    """Time until the first byte of a reply that is not streamed."""
    idle_s: Seconds = 60.0
    """Longest silence inside a reply."""
    max_attempts: Count = 5
    """Deployments that one request may try, repeats included."""
    retry_budget: Probability = 0.2
    """Share of the requests that may be repeated attempts at a deployment that has just failed them (failing over to
    another one is free)."""
    backoff_ms: Annotated[int, Meta(ge=0)] = 100
    """First pause before a repeat; doubles, with full jitter."""
    max_backoff_s: Seconds = 5.0
    """Longest pause before a repeat; an upstream that asks for more is not waited for."""
    breaker_failures: Count = 3
    """Failures in a row after which a deployment rests."""
    breaker_rate: Probability = 0.5
    """Share of failures among the last `breaker_window` requests from which it rests."""
    breaker_window: Count = 20
    """Requests that the share is taken over."""
    rest_s: Seconds = 5.0
    """First rest of a deployment; doubles while it keeps failing."""
    max_rest_s: Seconds = 300.0
    """Longest rest."""
    probe_after_s: Seconds = 2.0
    """A deployment that has not answered for so long is asked for a sign of life beside the request."""
    health_interval_s: Seconds = 30.0
    """Period of the checks of deployments that rest, or have failed and are no longer asked; others are not checked."""


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


class LedgerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The record of requests, tokens and costs."""

    enabled: bool = True
    """Whether requests are recorded."""
    flush_s: Seconds = 1.0
    """How long rows may wait in the journal before they are moved to the database."""
    retention_days: Count = 400
    """Older rows are deleted."""
    prices: str | None = None
    """A TOML file of prices that replaces or adds to the built-in table; relative to the configuration's folder."""


class DiscoveryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Models and servers that are on this machine already."""

    ollama_store: bool = True
    """GGUF files in Ollama's store."""
    lm_studio: bool = True
    """GGUF files in LM Studio's folder."""
    llama_cpp: bool = True
    """GGUF files in llama.cpp's download cache."""
    huggingface: bool = True
    """GGUF files in the Hugging Face cache."""
    servers: bool = True
    """Ollama, LM Studio, vLLM and llama-server on their default ports of this machine."""
    interval_s: Seconds = 60.0
    """Period of the look for servers, while requests come."""
