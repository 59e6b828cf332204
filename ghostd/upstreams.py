"""From the configuration to the providers behind a network. Part of the composition root."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

from ghostd.config import Config
from ghostd.config_routing import ProviderConfig
from ghostd.errors import ConfigError
from ghostd.ports import SecretStore, UpstreamProvider
from ghostd.providers.discovery import Found
from ghostd.providers.http.client import HttpClient
from ghostd.providers.keys import KeyPool
from ghostd.providers.upstream import Endpoint, ProviderFactory

Providers = Mapping[str, tuple[UpstreamProvider, ...]]
"""By configured name, one for each base URL."""


class Upstreams:
    """Makes providers, and keeps those whose settings stay the same, so that their keys go on resting."""

    def __init__(self, http: HttpClient, secrets: SecretStore) -> None:
        self._http = http
        self._secrets = secrets
        self._made: dict[str, tuple[ProviderConfig, tuple[UpstreamProvider, ...]]] = {}

    def build(self, config: Config, found: Sequence[Found] = ()) -> Providers:
        """The configured providers, and the servers that were found; nothing is loaded for others.

        Raises ConfigError for a preset that cannot be used as it is configured.
        """
        wanted = {name: settings for name, settings in config.providers.items() if settings.enabled}
        for server in found:
            wanted.setdefault(server.name, ProviderConfig(preset=server.preset, base_urls=(server.base_url,)))
        made = {}
        for name, settings in wanted.items():
            before = self._made.get(name)
            if before is not None and before[0] == settings:
                made[name] = before
            else:
                made[name] = (settings, self._make(name, settings, config))
        self._made = made
        return {name: providers for name, (_, providers) in made.items()}

    def _make(self, name: str, settings: ProviderConfig, config: Config) -> tuple[UpstreamProvider, ...]:
        preset = settings.preset or name
        entries = entry_points(group="ghostd.providers", name=preset)
        if not entries:
            raise ConfigError(f"`providers.{name}`: no provider is called {preset!r}")
        factory: ProviderFactory = next(iter(entries)).load()
        base_url = getattr(factory, "base_url", None)
        urls = settings.base_urls or ((base_url,) if base_url else ())
        if not urls:
            raise ConfigError(f"`providers.{name}.base_urls`: {preset} has no address of its own; name one")
        keys = KeyPool(name, _references(name, settings, factory), self._secrets, time.monotonic,
                       optional=settings.keys is None and bool(getattr(factory, "key_optional", False)))  # fmt: skip
        return tuple(
            factory(Endpoint(name, url.rstrip("/"), settings, config.upstream, keys, self._http)) for url in urls
        )


def _references(name: str, settings: ProviderConfig, factory: Any) -> Sequence[str]:
    """Where the keys lie: as configured, else in the customary environment variable, else in the keyring."""
    if settings.keys is not None:
        return settings.keys
    variable = getattr(factory, "key_variable", None)
    if variable and os.environ.get(variable):
        return (f"env:{variable}",)
    if getattr(factory, "key_optional", False):
        return ()
    return (f"keyring:{name}",)
