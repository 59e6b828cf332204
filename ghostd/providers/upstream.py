"""What every provider does with its service: find a key, send, and turn refusals into ghostd's errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from ghostd.config_routing import ProviderConfig, UpstreamConfig
from ghostd.errors import UpstreamError
from ghostd.ports import UpstreamProvider
from ghostd.providers.http.client import HttpClient, HttpResponse
from ghostd.providers.keys import Key, KeyPool
from ghostd.types import Timeouts

Format = Literal["json", "sse", "ndjson", "any"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One base URL of one configured provider, and what it takes to speak to it."""

    name: str
    """The provider's name in the configuration."""
    base_url: str
    """Without a slash at its end."""
    settings: ProviderConfig
    limits: UpstreamConfig
    keys: KeyPool
    http: HttpClient


ProviderFactory = Callable[[Endpoint], UpstreamProvider]
"""Entry point group `ghostd.providers`: the preset's name → what makes its provider. Must neither block nor connect."""


class Upstream:
    """Requests to one endpoint."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        authorize: Callable[[Key], Mapping[str, str]],
        refusal: Callable[[int, Mapping[str, str], bytes], UpstreamError],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`authorize` gives the headers that carry a key; `refusal` reads the dialect's error object of a status
        of 300 or more. `headers` go with every request; the configuration's win over them."""
        raise NotImplementedError

    async def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        timeouts: Timeouts,
        expect: Format = "json",
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        base_url: str | None = None,
    ) -> HttpResponse:
        """Send to `base_url + path` with a usable key; the response has a 2xx status and the expected content type.

        KeyRefused, QuotaExhausted and RateLimited rest the key, and the next usable key is tried at once.
        Raises UpstreamError, its message headed by the provider's name.
        """
        raise NotImplementedError
