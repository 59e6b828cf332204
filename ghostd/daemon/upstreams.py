"""From the configuration to the providers behind a network. Part of the composition root."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ghostd import plugins
from ghostd.config.providers import ProviderConfig
from ghostd.config.settings import Config
from ghostd.errors import ConfigError
from ghostd.ports import SecretStore, UpstreamProvider
from ghostd.providers.discovery import Found
from ghostd.providers.http.client import HttpClient
from ghostd.providers.keys import KeyPool
from ghostd.providers.upstream import Endpoint, ProviderFactory

Providers = Mapping[str, tuple[UpstreamProvider, ...]]
"""By configured name, one for each base URL."""


class UnusableProvider(ConfigError):
    """A provider that cannot be made as it is configured; `keys` is the path of the setting."""

    def __init__(self, keys: tuple[str, ...], reason: str) -> None:
        super().__init__(f"`{'.'.join(keys)}`: {reason}")
        self.keys = keys
        self.reason = reason


class Upstreams:
    """Makes providers, and keeps those whose settings stay the same, so that their keys go on resting."""

    def __init__(self, http: HttpClient, secrets: SecretStore) -> None:
        self._http = http
        self._secrets = secrets
        self._made: dict[str, _Made] = {}

    def build(self, config: Config, found: Sequence[Found] = ()) -> Providers:
        """The configured providers, and the servers that were found; nothing is loaded for others.

        Raises UnusableProvider, having changed nothing. Reads files and loads modules: not for the event loop's thread.
        """
        wanted = {name: settings for name, settings in config.providers.items() if settings.enabled}
        configured = {settings.preset or name for name, settings in config.providers.items()}
        for server in found:
            if server.preset not in configured:
                wanted[server.name] = ProviderConfig(preset=server.preset, base_urls=(server.base_url,))
        made = {}
        for name, settings in wanted.items():
            before = self._made.get(name)
            same = before is not None and before.settings == settings
            made[name] = before if before is not None and same else self._make(name, settings, config)
        self._made = made
        return {name: provider.endpoints for name, provider in made.items()}

    def secret_replaced(self, reference: str) -> Sequence[str]:
        """A secret has been replaced or removed: read it anew at once. Returns the providers that use it."""
        users = [name for name, provider in self._made.items() if reference in provider.references]
        for name in users:
            self._made[name].keys.replaced(reference)
        return users

    def may_bother(self, name: str) -> bool:
        """Whether to read the provider's keys runs a command, which may ask the user something."""
        return any(reference.startswith("command:") for reference in self._made[name].references)

    def _make(self, name: str, settings: ProviderConfig, config: Config) -> _Made:
        preset = settings.preset or name
        factory: ProviderFactory | None = plugins.find("ghostd.providers", preset)
        if factory is None:
            raise UnusableProvider(("providers", name), f"no provider is called {preset!r}")
        base_url = getattr(factory, "base_url", None)
        urls = settings.base_urls or ((base_url,) if base_url else ())
        if not urls:
            reason = f"{preset} has no address of its own; name one"
            raise UnusableProvider(("providers", name, "base_urls"), reason)
        references = _references(name, settings, factory)
        optional = settings.keys is None and bool(getattr(factory, "key_optional", False))
        keys = KeyPool(name, references, self._secrets, time.monotonic, optional=optional)
        endpoints = (Endpoint(name, url.rstrip("/"), settings, config.upstream, keys, self._http) for url in urls)
        return _Made(settings, keys, tuple(references), tuple(map(factory, endpoints)))


@dataclass(frozen=True, slots=True)
class _Made:
    settings: ProviderConfig
    keys: KeyPool
    references: tuple[str, ...]
    endpoints: tuple[UpstreamProvider, ...]


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
