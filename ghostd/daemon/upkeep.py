"""What goes on beside the requests: the configuration file, resting deployments, servers and models that come and go.

Part of the composition root. It wakes once a second to look at one file's time; everything else happens at start, after
something has changed, while something rests, or while requests come.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from ghostd.config.load import load_config
from ghostd.config.settings import Config
from ghostd.config.toml import error_at
from ghostd.daemon.upstreams import Providers, UnusableProvider, Upstreams
from ghostd.errors import ConfigError, ModelNotFound, UpstreamError
from ghostd.ports import UpstreamProvider
from ghostd.providers.discovery import Found, ServerDiscovery
from ghostd.providers.http.client import HttpClient
from ghostd.routing.prices import PriceTable, load_prices
from ghostd.routing.registry import Registry
from ghostd.routing.router import Router

log = logging.getLogger(__name__)

_TICK_S = 1.0
_LIST_PERIOD_S = 300.0
_LIST_TIMEOUT_S = 10.0
_WARM_PERIOD_S = 15.0
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
        self._stamp: tuple[int, int] | None = None
        self._new_stamp: tuple[int, int] | None = None
        """The file's, when it was last seen to have changed."""
        self._changing = asyncio.Lock()
        self._found: tuple[Found, ...] = ()
        self._discovery: ServerDiscovery | None = None
        self._look = _Rhythm()
        self._list = _Rhythm()
        self._warm = _Rhythm()
        self._asked = False
        """Whether any request has come."""
        self._busy: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Put the configuration into force that the daemon was started with; raises ConfigError."""
        async with self._changing:
            self._stamp = await asyncio.to_thread(_stamp, self._file)
            await self._install(self._config)

    async def reload(self) -> str:
        """Read the configuration and put its providers and routes into force; says what was done.

        Raises ConfigError, having changed nothing, when anything in it is wrong.
        """
        async with self._changing:
            self._stamp = await asyncio.to_thread(_stamp, self._file)
            config = await asyncio.to_thread(self._read)
            before = self._config
            await self._install(config)
        changed = [name for name in config.__struct_fields__ if getattr(config, name) != getattr(before, name)]
        live = [name for name in changed if name in _LIVE]
        if config.ledger.prices != before.ledger.prices:
            live.append("ledger.prices")
            if msgspec.structs.replace(before.ledger, prices=config.ledger.prices) == config.ledger:
                changed.remove("ledger")
        later = [name for name in changed if name not in _LIVE]
        told = f"in force: {', '.join(live)}" if live else "nothing to put into force"
        return told + (f"; after a restart: {', '.join(later)}" if later else "")

    async def run(self) -> None:
        """Tick until cancelled."""
        try:
            while True:
                try:
                    await self._tick()
                except Exception:
                    log.exception("upkeep failed")
                await asyncio.sleep(_TICK_S)
        finally:
            tasks = list(self._busy.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- the configuration -----------------------------------------------------------------

    def _read(self) -> Config:
        return self._command_line(load_config(self._file if self._file.exists() else None))

    async def _install(self, config: Config) -> None:
        """Replace the registry; raises ConfigError, having changed nothing."""
        prices, providers = await asyncio.to_thread(self._make, config)
        before = self._router.registry
        self._router.registry = Registry(config, before.local, providers, prices.price_of, before)
        self._config = config
        self._discovery = None
        self._look, self._list, self._warm = _Rhythm(), _Rhythm(), _Rhythm()

    def _make(self, config: Config) -> tuple[PriceTable, Providers]:
        """What a registry is made of; reads files and loads modules."""
        own = self._file.parent / Path(config.ledger.prices).expanduser() if config.ledger.prices else None
        prices = load_prices(own)
        try:
            return prices, self._upstreams.build(config, self._found)
        except UnusableProvider as error:
            raise error_at(self._file, error.keys, error.reason) from None

    async def _follow_file(self) -> None:
        stamp = await asyncio.to_thread(_stamp, self._file)
        if stamp == self._stamp:
            return
        if stamp != self._new_stamp:  # perhaps it is being written: half a file, or an empty one, may be valid
            self._new_stamp = stamp
            return
        if stamp is None:  # perhaps only for the moment in which an editor replaces it
            self._stamp = None
            log.warning("%s is gone; what it said stays in force", self._file)
            return
        try:
            log.info("the configuration has changed; %s", await self.reload())
        except ConfigError as error:
            log.error("the changed configuration is not used: %s", error)  # noqa: TRY400 - the user's mistake

    # --- once a second -------------------------------------------------------------------------

    async def _tick(self) -> None:
        await self._follow_file()
        now = asyncio.get_running_loop().time()
        requests = self._router.requests
        self._check_doubtful(now)
        if self._look.due(now, self._config.discovery.interval_s, requests):
            self._later("look for servers", self._look_for_servers())
        if requests and not self._asked:
            self._asked = True
            self._list = _Rhythm()  # some are not asked before
        if self._list.due(now, _LIST_PERIOD_S, requests):
            self._later("list models", self._list_models())
        if self._warm.due(now, _WARM_PERIOD_S):
            self._later("warm connections", self._warm_routes())

    def _check_doubtful(self, now: float) -> None:
        """A deployment whose rest is over, or which has failed and is no longer asked, is checked."""
        period_s = self._config.routing.health_interval_s
        for deployment in self._router.registry.used():
            health = deployment.health
            if not deployment.upstream:
                continue
            rested = health.rests_until is not None and not health.checked and health.rests_until - now <= _TICK_S
            if (rested or health.neglected(now, period_s)) and health.check_due(now, period_s):
                self._router.life.check(deployment)

    async def _look_for_servers(self) -> None:
        if self._discovery is None:
            config = self._config
            self._discovery = ServerDiscovery(
                self._http, config.discovery, config.providers, (self._own_port(),), known=self._found
            )
        discovery = self._discovery
        found = tuple(await discovery.look())
        async with self._changing:
            if found == self._found or discovery is not self._discovery:
                return
            self._found = found
            await self._install(self._config)
            self._discovery = discovery
            self._look.begin(asyncio.get_running_loop().time(), self._router.requests)

    async def _list_models(self) -> None:
        """Let the providers learn what their services offer, where the configuration does not say it."""
        quiet = self._router.requests == 0
        endpoints = [
            endpoints[0]
            for name, endpoints in self._router.registry.upstreams.items()
            if endpoints[0].open_ended and not (quiet and self._upstreams.may_bother(name))
        ]
        await asyncio.gather(*map(_learn, endpoints))

    async def _warm_routes(self) -> None:
        registry = self._router.registry
        for name, route in self._config.routes.items():
            if not route.warm:
                continue
            try:
                plan = registry.plan(name)
            except ModelNotFound:
                continue  # none of its models is there now
            for tier in plan.tiers:
                for choice in tier:
                    if choice.deployment.upstream:
                        await self._http.warm(choice.deployment.endpoint)

    def _later(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Do the work in the background, unless the same is still being done."""
        if name in self._busy:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._busy[name] = task
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._busy[task.get_name()]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("upkeep: could not %s", task.get_name(), exc_info=error)


class _Rhythm:
    """When something is done that is done at first, and then by a period, while requests come."""

    def __init__(self) -> None:
        self._at = float("-inf")
        self._requests = -1

    def due(self, now: float, period_s: float, requests: int | None = None) -> bool:
        """Whether it is time; begins the next period then. `requests` None: whether or not requests come."""
        if now - self._at < period_s or requests == self._requests:
            return False
        self.begin(now, requests)
        return True

    def begin(self, now: float, requests: int | None) -> None:
        """It has just been done."""
        self._at = now
        self._requests = -1 if requests is None else requests


async def _learn(endpoint: UpstreamProvider) -> None:
    try:
        await endpoint.check(_LIST_TIMEOUT_S)
    except UpstreamError as error:
        log.info("no list of models: %s", error)


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
