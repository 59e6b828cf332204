"""Model servers that run on this machine, found by a polite look at their default ports."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ghostd.config.local import DiscoveryConfig
from ghostd.config.providers import ProviderConfig
from ghostd.errors import UpstreamError, UpstreamTimeout
from ghostd.providers.http.client import HttpClient, HttpResponse
from ghostd.providers.listeners import is_trusted
from ghostd.types import Timeouts

log = logging.getLogger(__name__)

_PROBE_S = 0.5
"""For all requests to one port."""
_MAX_REPLY_BYTES = 4 * 1024 * 1024
_LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))


@dataclass(frozen=True, slots=True)
class Found:
    """A running server, as if the configuration named it."""

    preset: str
    base_url: str
    name: str
    """The provider's: the preset's, with "-local" where the configuration uses that for something else."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How to recognise one program."""

    preset: str
    port: int
    base_path: str
    """Of the base URL that the preset wants."""
    checks: tuple[tuple[str, Callable[[Any], bool]], ...]
    """(path to GET, whether the reply's JSON is this program's); all must hold."""


def _is_ollama_version(reply: Any) -> bool:
    return isinstance(reply, dict) and isinstance(reply.get("version"), str)


def _is_ollama_list(reply: Any) -> bool:
    return isinstance(reply, dict) and isinstance(reply.get("models"), list | None)


def _is_model_list(reply: Any) -> bool:
    entries = reply.get("data") if isinstance(reply, dict) and reply.get("object") == "list" else None
    return isinstance(entries, list) and all(isinstance(e, dict) and isinstance(e.get("id"), str) for e in entries)


def _is_owned_by(owner: str) -> Callable[[Any], bool]:
    """A model list of which at least one entry names the program."""
    return lambda reply: _is_model_list(reply) and any(entry.get("owned_by") == owner for entry in reply["data"])


KINDS = (
    Kind("ollama", 11434, "", (("/api/version", _is_ollama_version), ("/api/tags", _is_ollama_list))),
    Kind("lm-studio", 1234, "/v1", (("/v1/models", _is_model_list),)),
    Kind("vllm", 8000, "/v1", (("/v1/models", _is_owned_by("vllm")),)),
    Kind("llama-server", 8080, "", (("/v1/models", _is_owned_by("llamacpp")),)),
)


class ServerDiscovery:
    """Looks for the programs of `kinds` that the configuration does not speak of. `look` may run once at a time.

    `own_ports` are ghostd's; another ghostd is recognised by its `Server` header.
    """

    def __init__(
        self,
        http: HttpClient,
        config: DiscoveryConfig,
        providers: Mapping[str, ProviderConfig],
        own_ports: Collection[int] = (),
        kinds: Sequence[Kind] = KINDS,
        known: Sequence[Found] = (),
    ) -> None:
        """`known` were found by a look under other settings; what these settings speak of is no longer."""
        self._http = http
        self._interval_s = config.interval_s
        self._providers = providers
        configured = {settings.preset or name for name, settings in providers.items()}
        taken = {port for settings in providers.values() for url in settings.base_urls if (port := _local_port(url))}
        self._kinds = tuple(
            kind
            for kind in kinds
            if config.servers and kind.preset not in configured and kind.port not in taken.union(own_ports)
        )
        presets = {kind.preset for kind in self._kinds}
        self._found = {server.preset: server for server in known if server.preset in presets}
        self._looked_s: float | None = None

    @property
    def due(self) -> bool:
        """Whether the last look is so long ago that a request should start another one."""
        return bool(self._kinds) and (self._looked_s is None or time.monotonic() - self._looked_s >= self._interval_s)

    async def look(self) -> Sequence[Found]:
        """The servers that run now; raises nothing. Takes half a second at most.

        One that was found before and is merely slow stays; one that refuses or says something else is dropped.
        """
        self._looked_s = time.monotonic()
        outcomes = await asyncio.gather(*(self._probe(kind) for kind in self._kinds))
        before = self._found
        self._found = {found.preset: found for found in outcomes if found is not None}
        for preset in self._found.keys() - before.keys():
            log.info("found %s at %s", preset, self._found[preset].base_url)
        for preset in before.keys() - self._found.keys():
            log.info("%s at %s is gone", preset, before[preset].base_url)
        return tuple(self._found.values())

    async def _probe(self, kind: Kind) -> Found | None:
        origin = f"http://127.0.0.1:{kind.port}"
        try:
            async with asyncio.timeout(_PROBE_S):
                for path, recognises in kind.checks:
                    if not recognises(await self._get(origin + path)):
                        return None
        except (TimeoutError, UpstreamTimeout):
            return self._found.get(kind.preset)
        except (UpstreamError, msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None
        if not await asyncio.to_thread(is_trusted, kind.port):
            log.warning("what listens on port %d looks like %s but is another user's; not used", kind.port, kind.preset)
            return None
        name = f"{kind.preset}-local" if kind.preset in self._providers else kind.preset
        return Found(kind.preset, origin + kind.base_path, name)

    async def _get(self, url: str) -> Any:
        """The reply's JSON; None for a refusal, another ghostd, and what is too large."""
        deadline_s = asyncio.get_running_loop().time() + _PROBE_S
        timeouts = Timeouts(_PROBE_S, _PROBE_S, _PROBE_S, deadline_s)
        response = await self._http.send("GET", url, {"accept": "application/json"}, b"", timeouts)
        try:
            if response.status != 200 or response.headers.get("server", "").lower().startswith("ghostd"):
                return None
            data = await _bounded(response)
        finally:
            response.close()
        return msgspec.json.decode(data) if data is not None else None


async def _bounded(response: HttpResponse) -> bytes | None:
    data = bytearray()
    async for block in response.blocks():
        data += block
        if len(data) > _MAX_REPLY_BYTES:
            return None
    return bytes(data)


def _local_port(url: str) -> int | None:
    """The port of a base URL on this machine; None for others and for what is no URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return port or 80 if host in _LOOPBACK else None
