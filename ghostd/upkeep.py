"""What goes on beside the requests: the configuration file, resting deployments, servers that come and go.

Part of the composition root. It wakes once a second to look at one file's time; everything else happens only after
something has changed, while something rests, or while requests come.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from ghostd.config import Config, load_config
from ghostd.errors import GhostdError
from ghostd.providers.discovery import Found, ServerDiscovery
from ghostd.providers.http.client import HttpClient
from ghostd.routing.prices import load_prices
from ghostd.routing.registry import Registry
from ghostd.routing.router import Router
from ghostd.upstreams import Upstreams

log = logging.getLogger(__name__)

_TICK_S = 1.0
_LIST_PERIOD_S = 300.0
_LIVE = ("providers", "deployments", "routes", "aliases", "experiments", "routing")
"""Sections that take effect at once; the ledger's prices, too."""


class Upkeep:
    """Keeps the router's registry in step with the configuration and with what runs on this machine."""

    def __init__(
        self,
        config: Config,
        config_file: Path,
        router: Router,
        upstreams: Upstreams,
        http: HttpClient,
        own_port: Callable[[], int],
        command_line: Callable[[Config], Config] = lambda config: config,
    ) -> None:
        """`config_file` need not exist. `command_line` puts the command line's options over a configuration."""
        self._config = config
        self._file = config_file
        self._router = router
        self._upstreams = upstreams
        self._http = http
        self._own_port = own_port
        self._command_line = command_line
        self._stamp = _stamp(config_file)
        self._found: tuple[Found, ...] = ()
        self._discovery: ServerDiscovery | None = None
        self._requests = -1
        self._looked = float("-inf")
        self._listed = float("-inf")
        self._busy: set[asyncio.Task[None]] = set()

    def reload(self) -> str:
        """Read the configuration and put its providers and routes into force; says what was done.

        Raises ConfigError, having changed nothing, when anything in it is wrong.
        """
        self._stamp = _stamp(self._file)
        config = self._command_line(load_config(self._file if self._file.exists() else None))
        changed = [name for name in config.__struct_fields__ if getattr(config, name) != getattr(self._config, name)]
        self._install(config)
        self._discovery = None
        self._looked = self._listed = float("-inf")
        live = [name for name in changed if name in _LIVE]
        later = [name for name in changed if name not in _LIVE]
        told = f"in force: {', '.join(live)}" if live else "nothing to put into force"
        return told + (f"; after a restart: {', '.join(later)}" if later else "")

    def _install(self, config: Config) -> None:
        own = self._file.parent / Path(config.ledger.prices).expanduser() if config.ledger.prices else None
        prices = load_prices(own)
        before = self._router.registry
        registry = Registry(config, before.local, self._upstreams.build(config, self._found), prices.price_of, before)
        self._router.registry = registry
        self._config = config
        for name, route in config.routes.items():
            if route.warm:
                self._later(self._warm(registry, name))

    async def _warm(self, registry: Registry, name: str) -> None:
        for tier in registry.plan(name).tiers:
            for choice in tier:
                if choice.deployment.upstream:
                    await self._http.warm(choice.deployment.endpoint)

    async def run(self) -> None:
        """Tick until cancelled."""
        try:
            while True:
                self._tick()
                await asyncio.sleep(_TICK_S)
        finally:
            for task in self._busy:
                task.cancel()
            await asyncio.gather(*self._busy, return_exceptions=True)

    def start(self) -> None:
        """Put the configuration into force that the daemon was started with; raises ConfigError."""
        self._install(self._config)

    def _tick(self) -> None:
        now = asyncio.get_running_loop().time()
        if (stamp := _stamp(self._file)) != self._stamp:
            self._stamp = stamp
            try:
                log.info("the configuration has changed; %s", self.reload())
            except GhostdError as error:
                log.error("the changed configuration is not used: %s", error)  # noqa: TRY400 - the user's mistake
        self._check_resting(now)
        if self._router.requests == self._requests:
            return
        if now - self._looked >= self._config.discovery.interval_s:
            self._requests, self._looked = self._router.requests, now
            self._later(self._look_for_servers())
        if now - self._listed >= _LIST_PERIOD_S:
            self._listed = now
            self._later(self._list_models())

    def _check_resting(self, now: float) -> None:
        """A deployment whose rest is over is checked before a request has to try it."""
        period_s = self._config.routing.health_interval_s
        for deployment in self._router.registry.used():
            health = deployment.health
            if not deployment.upstream or health.rests_until is None or health.checked:
                continue
            if health.rests_until - now <= _TICK_S and health.check_due(now, period_s):
                self._router.check(deployment)

    async def _look_for_servers(self) -> None:
        if self._discovery is None:
            config = self._config
            self._discovery = ServerDiscovery(self._http, config.discovery, config.providers, (self._own_port(),))
        found = tuple(await self._discovery.look())
        if found != self._found:
            self._found = found
            self._install(self._config)
            self._listed = float("-inf")

    async def _list_models(self) -> None:
        for endpoints in list(self._router.registry.upstreams.values()):
            refresh = getattr(endpoints[0], "refresh_models", None)
            if refresh is not None:
                try:
                    await refresh()
                except GhostdError as error:
                    log.info("no list of models: %s", error)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="upkeep")
        self._busy.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("upkeep failed", exc_info=error)


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
